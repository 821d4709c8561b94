"""The DuckDB file, and how processes share it.

DuckDB allows one writing process per file. So a connection is opened late and closed early, and a
lock of another process is waited for and then reported.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braze_pipeline import private
from braze_pipeline.errors import (
    ConfigurationError,
    DatabaseLocked,
    DiskFull,
    LedgerError,
    OutOfMemory,
)
from braze_pipeline.storage import machine, migrations
from braze_pipeline.storage.namesakes import namesakes
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import literal

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LOCK_WAIT_SECONDS = 60.0
_SPILT = ".tmp"
_BESIDE = (".wal", _SPILT)
"""Files that DuckDB creates beside its own, and leaves there when it is killed."""

_UNNAMED_SECONDS = 60.0
"""After so long, an empty folder that did not get its name will never get it."""

SNAPSHOTS = ".snapshots"
EXTRACTS = ".extracts"

_FULL = ("No space left on device", "database or disk is full", "max_temp_directory_size")
"""How SQLite and DuckDB report a full disk. The last is about DuckDB's temporary files, which may
take most of the disk."""


@dataclass(frozen=True)
class Warehouse:
    """The DuckDB file and the files beside it.

    Attributes:
        path: The DuckDB file. It is created with its folder if absent.
        lock_wait: Seconds to wait for a lock that another process holds.
    """

    path: Path
    lock_wait: float = LOCK_WAIT_SECONDS

    @property
    def journal_path(self) -> Path:
        """The acknowledgement journal (SQLite)."""
        return self.path.with_suffix(".journal.sqlite")

    @property
    def snapshots(self) -> Path:
        """The folder of plan snapshots (Parquet)."""
        return self.path.with_suffix(SNAPSHOTS)

    @property
    def extracts(self) -> Path:
        """The folder of what runs read from places that DuckDB does not read by itself."""
        return self.path.with_suffix(EXTRACTS)

    def snapshot(self, plan_id: str) -> Path:
        """The snapshot of a plan, wherever the database and its folder were moved."""
        return self.snapshots / f"{plan_id}.parquet"

    @property
    def actions_path(self) -> Path:
        """The workflow actions (SQLite, so that the daemon never waits for DuckDB's lock)."""
        return self.path.with_suffix(".actions.sqlite")

    @property
    def limits_path(self) -> Path:
        """What was used of Braze's rate limits (SQLite)."""
        return self.path.with_suffix(".limits.sqlite")

    def lock_path(self, destination: str) -> Path:
        """The file that is locked during a send to this destination."""
        return self.path.with_suffix(f".{destination}.lock")

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A short connection; always closed, even after an exception.

        A connection that may write first upgrades the file to the schemas of this version.

        Raises:
            ConfigurationError: the file would be created beside one of its namesakes.
            DatabaseLocked: another process kept the file open for longer than ``lock_wait``.
            DiskFull: the disk of the file is full.
            OutOfMemory: a statement needs more memory than DuckDB may use.
            LedgerError: this version cannot read the file as a DuckDB file.
            NewerVersion: a newer version of the package wrote it.
        """
        if not read_only:
            beside = (self.path.with_name(self.path.name + suffix) for suffix in _BESIDE)
            private.tighten(self.path, *beside)
        with (
            resource_errors(self.path),
            private.new_files(),
            closing(self._open(read_only=read_only)) as connection,
        ):
            if not read_only:
                self._remove_spilt(connection)
                migrations.upgrade(connection, self.path)
            yield connection

    def _remove_spilt(self, con: duckdb.DuckDBPyConnection) -> None:
        """Remove the temporary files of a killed process: DuckDB does so only when it spills again.

        The lock on the database is ours. So they belong to nobody, or to another connection of this
        process: what is listed first and not known to DuckDB then is left over.
        """
        there = list(self.path.with_name(self.path.name + _SPILT).glob("*"))
        if there:
            used = con.execute("SELECT path FROM duckdb_temporary_files()").fetchall()
            names = {Path(path).name for (path,) in used}
            for file in there:
                if file.name not in names:
                    file.unlink(missing_ok=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder beside the file, removed at the end.

        Folders left by killed processes are removed first: nobody holds their lock.

        Raises:
            LedgerError: the folder of the database cannot be written to.
        """
        prefix = f"{self.path.stem}.scratch-"
        with refusals(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in self.path.parent.glob(f"{prefix}*"):
                with suppress(BlockingIOError, FileNotFoundError), locked(left):
                    shutil.rmtree(left)
            for left in self.path.parent.glob(f".{prefix}*"):
                with suppress(OSError):
                    if time.time() - left.stat().st_mtime > _UNNAMED_SECONDS:
                        left.rmdir()
            folder = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=self.path.parent))
        with locked(folder):
            # It gets the name that other processes look for only once it is locked.
            folder = folder.rename(folder.with_name(folder.name.removeprefix(".")))
            try:
                yield folder
            finally:
                shutil.rmtree(folder)

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        import duckdb

        if not self.path.exists() and (others := namesakes(self.path)):
            raise ConfigurationError(
                f"There is no database {self.path} yet, and a new one would share the journal, the "
                f"snapshots and the lock of {others[0]}, which differs in the suffix alone.",
                fix="If that file is a copy, move it to another folder. If a pipeline uses it, set "
                "BRAZE_PIPELINE_DATABASE to a file of another name.",
            )
        with refusals(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        deadline = time.monotonic() + self.lock_wait
        while True:
            try:
                connection = duckdb.connect(str(self.path), read_only=read_only)
            except duckdb.Error as error:
                if "Could not set lock on file" not in str(error):
                    raise _unreadable(error, self.path) from error
                if time.monotonic() > deadline:
                    raise DatabaseLocked(
                        f"Another process keeps {self.path} open; waited {self.lock_wait:.0f} s.",
                        fix="End it (a DuckDB shell, a notebook, another run) and run again.",
                    ) from error
                time.sleep(random.uniform(0.05, 0.4))
            else:
                prepare(connection)
                return connection


@contextmanager
def resource_errors(path: Path) -> Iterator[None]:
    """Turn DuckDB's errors into ``DiskFull`` (the disk of ``path``) or ``OutOfMemory`` if they mean
    that.
    """
    try:
        yield
    except Exception as error:
        known = disk_full(error, path) or _out_of_memory(error)
        if known is not None:
            raise known from error
        raise


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Name the file or folder of the pipeline that the system refuses.

    Raises:
        LedgerError: it cannot be used.
        DiskFull: its disk is full.
    """
    try:
        yield
    except OSError as error:
        raise disk_full(error, path) or LedgerError(
            f"{path} cannot be used: {error.strerror}.",
            fix="Run as the user to whom the database belongs, or correct the permissions or "
            "BRAZE_PIPELINE_DATABASE.",
        ) from error


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder's lock; the system releases it when the process ends, however it ends.

    Raises:
        BlockingIOError: another process holds it, and ``wait`` is not set.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(opened)


def columns(con: duckdb.DuckDBPyConnection, relation: str) -> tuple[tuple[str, str], ...]:
    """Name and DuckDB type of each column of a table, view or query."""
    rows = con.execute(f"DESCRIBE {relation}").fetchall()
    return tuple((str(row[0]), str(row[1])) for row in rows)


def single_row(
    con: duckdb.DuckDBPyConnection, query: str, parameters: object = None
) -> tuple[Any, ...]:
    """The row of a query that always gives exactly one, such as an aggregate over a table."""
    return con.execute(query, parameters).fetchall()[0]


def named_rows(
    con: duckdb.DuckDBPyConnection, query: str, parameters: object = None
) -> list[dict[str, Any]]:
    """The rows of a query, by the names of its columns."""
    found = con.execute(query, parameters)
    names = [str(column[0]) for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@contextmanager
def registered(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> Iterator[None]:
    """Make Arrow rows available in SQL under a name."""
    _finish(con)
    con.register(name, rows)
    try:
        yield
    finally:
        con.unregister(name)


def arrow(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """The rows of a query, in Arrow."""
    _finish(con)
    return con.sql(query).to_arrow_table()


@contextmanager
def arrow_batches(
    con: duckdb.DuckDBPyConnection, query: str, *, rows: int
) -> Iterator[pa.RecordBatchReader]:
    """The rows of a query in Arrow batches of ``rows``, in order, while the query runs.

    The connection can do nothing else until the last batch is read.
    """
    _finish(con)
    # How far DuckDB computes ahead while a batch is used. With its default, 1 MB, threads wait.
    con.execute("SET streaming_buffer_size = '32MB'")
    try:
        # An open reader keeps the database open: the next `connect` would wait for it, for ever.
        with con.execute(query).to_arrow_reader(rows) as reader:
            yield reader
    finally:
        con.execute("RESET streaming_buffer_size")


def _finish(con: duckdb.DuckDBPyConnection) -> None:
    """Discard the unread rest of the last result: in DuckDB 2 it blocks all but ``execute``."""
    con.execute("SELECT 1").fetchall()


def prepare(
    connection: duckdb.DuckDBPyConnection, environ: Mapping[str, str] | None = None
) -> None:
    """The settings of every connection, with the limits of ``machine``.

    Raises:
        ConfigurationError: the environment sets a limit that DuckDB does not accept.
    """
    import duckdb

    connection.execute(read_sql("storage", "session"))
    limits = machine.limits(environ)
    for setting, value, variable in (
        ("memory_limit", limits.memory, machine.MEMORY_VARIABLE),
        ("threads", limits.threads, machine.THREADS_VARIABLE),
    ):
        try:
            connection.execute(f"SET {setting} = {literal(value)}")
        except duckdb.Error as error:
            raise ConfigurationError(
                f"{variable} is {value!r}, which DuckDB does not accept.",
                fix="Write memory with its unit (4GB), and threads as a number of at least 1.",
            ) from error


def disk_full(error: BaseException, path: Path) -> DiskFull | None:
    """``DiskFull`` if that is what an exception of DuckDB, SQLite or the system means."""
    out_of_space = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    if not out_of_space and not any(words in str(error) for words in _FULL):
        return None
    return DiskFull(
        f"The disk that holds {path} is full.",
        fix="Free some space and run again: what Braze acknowledged is kept.",
    )


def _out_of_memory(error: BaseException) -> OutOfMemory | None:
    import duckdb

    if not isinstance(error, duckdb.OutOfMemoryException):
        return None
    used = re.search(r"\(([\d.]+ \w+/[\d.]+ \w+) used\)", str(error))
    return OutOfMemory(
        "DuckDB needs more memory than it may use" + (f" ({used[1]})." if used else "."),
        fix="Give the machine more memory, or keep less per customer in the SQL "
        "(docs/running-it.md, Sizing).",
    )


def _unreadable(error: Exception, path: Path) -> Exception:
    return disk_full(error, path) or LedgerError(
        f"{path} cannot be opened as a DuckDB file: {error}",
        fix="Check the path in BRAZE_PIPELINE_DATABASE and the DuckDB version that wrote the file.",
    )
