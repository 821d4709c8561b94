"""What a run reads of places that DuckDB does not read by itself, as private files of that run.

Each table is read once, as a stream, and the tables of one database in one snapshot. Every later
step of the run, and every rerun from failure, reads these files. They become visible together, when
all are complete: what was half read is removed, and so is an extract that turns out to be unusable.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline import private
from braze_pipeline.errors import DatabaseLocked, SourceError, SourceMissing
from braze_pipeline.settings import replace
from braze_pipeline.settings.places import Database, Files
from braze_pipeline.sources.remote import databases, lakehouse, object_store, parquet, snapshots
from braze_pipeline.storage.warehouse import locked, resource_errors
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from braze_pipeline.settings import SourceSettings
    from braze_pipeline.settings.places import Place

SCHEMA_VERSION: Final = 1
KEPT: Final = 2
"""Extracts of so many runs are kept: that of the last run, and that of the one before."""
_MANIFEST: Final = "extract.json"
_PART: Final = ".part"
_LOG_EVERY: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Extract:
    """What was read of one table.

    Attributes:
        place: Where from; changed since, it is read again.
        file: The file or folder with its rows, below the extract's folder.
        rows: How many; None for files, which were copied unread.
        bytes: Of Arrow, or of the files.
        seconds: How long it took.
    """

    place: str
    file: str
    rows: int | None
    bytes: int
    seconds: float

    def sentence(self) -> str:
        """For the log and the UI."""
        rows = "" if self.rows is None else f"{counted(self.rows, 'row')}, "
        return f"{rows}{self.bytes / 1e6:,.1f} MB read in {self.seconds:,.1f} s from {self.place}"


@contextmanager
def extracted(
    sources: Sequence[SourceSettings],
    folder: Path,
    *,
    environ: Mapping[str, str],
    log: Callable[[str], None] = lambda _: None,
    first: Callable[[databases.Snapshot], None] = lambda _: None,
) -> Iterator[tuple[tuple[SourceSettings, ...], dict[str, Extract]]]:
    """The sources with every place read into ``folder``, or found there from before.

    While the context is open, nobody removes the files. If it ends with a ``SourceError``, they are
    removed: the remedy is at the source, so a rerun has to read it again.

    Args:
        sources: All sources of a template; those that DuckDB reads by itself stay as they are.
        folder: Where the files of this run belong; other runs' folders lie beside it.
        environ: The environment, with the addresses of the connections.
        log: Called with a line about the progress, every few seconds.
        first: Called with the snapshot of each database, before anything is read through it.

    Raises:
        SourceError: see ``databases``, ``lakehouse`` and ``object_store``.
        ConfigurationError: a driver or library is not installed, or an address is not set.
        DiskFull: no room is left beside ``folder``.
    """
    placed = {source.name: source.place for source in sources if source.place is not None}
    if not placed:
        _prune(folder, kept=0)
        yield tuple(sources), {}
        return
    with ExitStack() as stack:
        done = _there(folder, placed)
        if done is not None:
            stack.enter_context(locked(folder))
        else:
            optional = frozenset(source.name for source in sources if source.optional)
            done = _extract(placed, optional, folder, environ, log, first, stack)
        _prune(folder, kept=KEPT - 1)
        try:
            yield tuple(_local(source, folder, done) for source in sources), done
        except SourceError:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _local(source: SourceSettings, folder: Path, done: Mapping[str, Extract]) -> SourceSettings:
    if source.place is None:
        return source
    file = folder / done[source.name].file
    return replace(source, path=file, shared=False, place=None, location=str(source.place))


def _there(folder: Path, placed: Mapping[str, Place]) -> dict[str, Extract] | None:
    """What an earlier step or attempt of the run read of these places, if it read them all."""
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        return None
    found = json.loads(manifest.read_text(encoding="utf-8"))
    if found["schema_version"] != SCHEMA_VERSION:
        return None
    done = {name: Extract(**one) for name, one in found["tables"].items()}
    wanted = {name: repr(place) for name, place in placed.items()}
    whole = wanted.items() <= found["identities"].items()
    return {name: done[name] for name in wanted} if whole else None


def _extract(
    placed: Mapping[str, Place],
    optional: Collection[str],
    folder: Path,
    environ: Mapping[str, str],
    log: Callable[[str], None],
    first: Callable[[databases.Snapshot], None],
    stack: ExitStack,
) -> dict[str, Extract]:
    """Read every place; the lock on the folder is held until ``stack`` ends."""
    private.folder(folder.parent)
    part = folder.with_name(f".{folder.name}{_PART}")
    for old in (part, folder):
        shutil.rmtree(old, ignore_errors=True)
    stack.enter_context(locked(private.folder(part)))
    try:
        with private.new_files(), resource_errors(part):
            done = _read_all(placed, optional, part, environ, log, first)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)  # a full disk must not stay full
        raise
    part.rename(folder)
    return done


def _read_all(
    placed: Mapping[str, Place],
    optional: Collection[str],
    part: Path,
    environ: Mapping[str, str],
    log: Callable[[str], None],
    first: Callable[[databases.Snapshot], None],
) -> dict[str, Extract]:
    done = {}
    opened: dict[str, databases.Snapshot] = {}
    with ExitStack() as databases_open:
        for name, place in placed.items():
            if isinstance(place, Database) and place.connection.name not in opened:
                opened[place.connection.name] = databases_open.enter_context(
                    snapshots.snapshot(place.connection, environ)
                )
                first(opened[place.connection.name])
            try:
                done[name] = _read(name, place, part, opened, log)
            except SourceMissing:
                if name not in optional:
                    raise
                # An empty folder: whoever looks for the table finds that it is not there.
                done[name] = Extract(place=str(place), file=name, rows=0, bytes=0, seconds=0.0)
            log(f"{name}: {done[name].sentence()}")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "identities": {name: repr(place) for name, place in placed.items()},
        "tables": {name: asdict(one) for name, one in done.items()},
    }
    (part / _MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    return done


def _read(
    name: str,
    place: Place,
    part: Path,
    opened: Mapping[str, databases.Snapshot],
    log: Callable[[str], None],
) -> Extract:
    into = private.folder(part / name)
    meter = _Meter(name, place, log)
    if isinstance(place, Files):
        file = object_store.copy(name, place, into, report=meter.copied)
    else:
        file = into / f"{name}.parquet"
        rows = (
            opened[place.connection.name].stream(name, place)
            if isinstance(place, Database)
            else lakehouse.stream(name, place)
        )
        with rows as batches:
            parquet.write(name, place, meter.counted(batches), file)
    return meter.extract(file.relative_to(part))


class _Meter:
    """Counts what is read of one table, and logs how far it is."""

    def __init__(self, name: str, place: Place, log: Callable[[str], None]) -> None:
        self._name, self._place, self._log = name, place, log
        self._started = self._logged = time.monotonic()
        self._rows: int | None = None
        self._bytes = 0

    def counted(self, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """The same rows, counted on the way."""
        import pyarrow as pa

        self._rows = 0

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in rows:
                self._rows = (self._rows or 0) + batch.num_rows
                self._bytes += batch.nbytes
                self._progress()
                yield batch

        return pa.RecordBatchReader.from_batches(rows.schema, batches())

    def copied(self, bytes_: int) -> None:
        """So many bytes of the files were copied so far."""
        self._bytes = bytes_
        self._progress()

    def extract(self, file: Path) -> Extract:
        """The end of it."""
        return Extract(
            place=str(self._place),
            file=str(file),
            rows=self._rows,
            bytes=self._bytes,
            seconds=round(time.monotonic() - self._started, 3),
        )

    def _progress(self) -> None:
        now = time.monotonic()
        if now - self._logged >= _LOG_EVERY:
            self._logged = now
            rows = "" if self._rows is None else f"{self._rows:,} rows, "
            self._log(f"{self._name}: {rows}{self._bytes / 1e6:,.0f} MB read so far")


def forget_extracts(extracts: Path) -> int:
    """Remove the extracts of all templates and runs; how many there were.

    They are copies for reruns, which then read the places again.

    Raises:
        DatabaseLocked: a run reads one of them; none is removed.
    """
    found = sorted(one for one in extracts.glob("*/*") if one.is_dir())
    with ExitStack() as stack:
        for one in found:
            with suppress(FileNotFoundError):
                _enter_lock(stack, one)
        for one in found:
            with suppress(FileNotFoundError):
                shutil.rmtree(one)
    return len(found)


def _enter_lock(stack: ExitStack, extract: Path) -> None:
    try:
        stack.enter_context(locked(extract))
    except BlockingIOError as error:
        raise DatabaseLocked(
            f"A run reads {extract}, a copy of source tables with all customers in it.",
            fix="Wait until the run has read its sources, then try again. Nothing was removed.",
        ) from error


def _prune(folder: Path, *, kept: int) -> None:
    """Remove the extracts of other runs, but for the newest and those that somebody reads.

    What a killed process left half read is removed too.
    """
    if not folder.parent.is_dir():
        return
    others = [one for one in folder.parent.iterdir() if one != folder and one.is_dir()]
    parts = [one for one in others if one.name.endswith(_PART)]
    whole = sorted(
        (one for one in others if one not in parts),
        key=lambda one: one.stat().st_mtime,
        reverse=True,
    )
    for old in (*parts, *whole[kept:]):
        with suppress(BlockingIOError, FileNotFoundError), locked(old):
            shutil.rmtree(old)
