"""The DuckDB file, and how processes share it.

DuckDB takes one writing process a file. So a connection is opened late, closed early, and a lock
held elsewhere is waited for, then named.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import re
import shutil
import string
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline import private
from braze_pipeline.errors import DatabaseLocked, DiskFull, LedgerError, OutOfMemory
from braze_pipeline.storage import migrations

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LOCK_WAIT_SECONDS = 60.0
_BESIDE = (".wal", ".tmp")
"""What DuckDB makes beside its file, and leaves there when it is killed."""

SNAPSHOTS = ".snapshots"

# What SQLite and DuckDB say; the last of DuckDB's temporary files, which may take most of the disk.
_FULL = ("No space left on device", "database or disk is full", "max_temp_directory_size")


_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

OURS = "__"
"""What the names of our own columns begin with, where they stand beside columns that a brand named.
A brand's own column may not begin so, so that no name that it chooses means one of ours."""


def name_key(name: str) -> str:
    """The same for all names that DuckDB takes for one: it does for ``A`` and ``a``, not for ``Ä``
    and ``ä``.
    """
    return name.translate(_LOWER)


def quote(identifier: str) -> str:
    """An identifier as DuckDB reads it back letter by letter."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal, for places where DuckDB takes no parameter (paths, COPY)."""
    return "'" + text.replace("'", "''") + "'"


def family(type_: str) -> str:
    """The sort of a DuckDB type: what its values have in common for a mapping."""
    bare = type_.upper()
    if bare.endswith("]"):
        return "list"
    if bare.startswith(("STRUCT", "MAP", "UNION")):
        return "struct"
    if bare.startswith("DECIMAL"):
        return "decimal"
    return _FAMILIES.get(bare, "other")


_FAMILIES = {
    "VARCHAR": "text",
    "JSON": "json",
    "BOOLEAN": "boolean",
    "FLOAT": "double",
    "DOUBLE": "double",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "instant",
} | {
    f"{sign}{size}INT{end}": "integer"
    for sign in ("", "U")
    for size, end in (("TINY", ""), ("SMALL", ""), ("", "EGER"), ("BIG", ""), ("HUGE", ""))
}


@dataclass(frozen=True)
class Warehouse:
    """The DuckDB file and what lies beside it.

    Attributes:
        path: The DuckDB file. Created with its folder when it is not there.
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

    def snapshot(self, plan_id: str) -> Path:
        """The snapshot of a plan, wherever the database and its folder were moved to."""
        return self.snapshots / f"{plan_id}.parquet"

    @property
    def actions_path(self) -> Path:
        """The workflow actions (SQLite, so that the daemon never waits for DuckDB's lock)."""
        return self.path.with_suffix(".actions.sqlite")

    def lock_path(self, destination: str) -> Path:
        """The file whose lock means: a send to this destination is under way."""
        return self.path.with_suffix(f".{destination}.lock")

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A short connection; always closed, also on an exception.

        One that may write brings the file to the schemas of this version first.

        Raises:
            DatabaseLocked: another process kept the file open for longer than ``lock_wait``.
            DiskFull: no room is left beside the file.
            OutOfMemory: a statement needs more memory than DuckDB may use.
            LedgerError: the file is not a DuckDB file this version can read.
            NewerVersion: a newer version of the package wrote it.
        """
        if not read_only:
            # The others are tightened where they are opened.
            private.tighten(self.path, *(self.path.with_name(self.path.name + x) for x in _BESIDE))
        with (
            lacking(self.path),
            private.made(),
            closing(self._open(read_only=read_only)) as connection,
        ):
            if not read_only:
                migrations.upgrade(connection, self.path)
            yield connection

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A private folder beside the file, gone at the end.

        Those of processes that were killed are removed first: each holds its folder's lock.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        prefix = f"{self.path.stem}.scratch-"
        for left in self.path.parent.glob(f"{prefix}*"):
            with suppress(BlockingIOError, FileNotFoundError), _locked(left):
                shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=self.path.parent))
        with _locked(folder):
            # Under the name that others look for only once it is locked.
            folder = folder.rename(folder.with_name(folder.name.removeprefix(".")))
            try:
                yield folder
            finally:
                shutil.rmtree(folder)

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        import duckdb

        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        deadline = time.monotonic() + self.lock_wait
        while True:
            try:
                connection = duckdb.connect(str(self.path), read_only=read_only)
            except duckdb.IOException as error:
                if not _is_lock(error):
                    raise _unreadable(error, self.path) from error
                if time.monotonic() > deadline:
                    raise DatabaseLocked(
                        f"Another process keeps {self.path} open; waited {self.lock_wait:.0f} s.",
                        fix="End it (a DuckDB shell, a notebook, another run) and run again.",
                    ) from error
                time.sleep(random.uniform(0.05, 0.4))
            except duckdb.Error as error:
                raise _unreadable(error, self.path) from error
            else:
                prepare(connection)
                return connection


@contextmanager
def lacking(path: Path) -> Iterator[None]:
    """Errors of DuckDB as ``DiskFull`` (of the disk of ``path``) or ``OutOfMemory``, if so."""
    try:
        yield
    except Exception as error:
        found = disk_full(error, path) or out_of_memory(error)
        if found is not None:
            raise found from error
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; the system frees it when the process ends, however it ends.

    Raises:
        BlockingIOError: somebody else holds it.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(opened)


def columns(con: duckdb.DuckDBPyConnection, relation: str) -> tuple[tuple[str, str], ...]:
    """Name and DuckDB type of each column of a table, view or query."""
    found = con.execute(f"DESCRIBE {relation}").fetchall()
    return tuple((str(row[0]), str(row[1])) for row in found)


@contextmanager
def registered(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> Iterator[None]:
    """Rows of Arrow under a name of SQL."""
    _finish(con)
    con.register(name, rows)
    try:
        yield
    finally:
        con.unregister(name)


def arrow(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """The rows of a query."""
    _finish(con)
    return con.sql(query).to_arrow_table()


def _finish(con: duckdb.DuckDBPyConnection) -> None:
    """Give up what was not read of the last result: in DuckDB 2 it blocks all but ``execute``."""
    con.execute("SELECT 1").fetchall()


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """The session settings that every connection of ours has."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET enable_progress_bar = false")
    # A table's name in SQL is never a variable of the program.
    connection.execute("SET python_enable_replacements = false")


def disk_full(error: BaseException, path: Path) -> DiskFull | None:
    """``DiskFull`` when that is what an exception of DuckDB, SQLite or the system means."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _disk_full(path)
    text = str(error)
    if any(words in text for words in _FULL):
        return _disk_full(path)
    return None


def _disk_full(path: Path) -> DiskFull:
    return DiskFull(
        f"No room is left on the disk that holds {path}.",
        fix="Free some room and run again: what Braze acknowledged is kept.",
    )


def out_of_memory(error: BaseException) -> OutOfMemory | None:
    """``OutOfMemory`` when that is what an exception of DuckDB means."""
    import duckdb

    if not isinstance(error, duckdb.OutOfMemoryException):
        return None
    used = re.search(r"\(([\d.]+ \w+/[\d.]+ \w+) used\)", str(error))
    return OutOfMemory(
        "DuckDB needs more memory than it may use" + (f" ({used[1]})." if used else "."),
        fix="Give the machine more, or let the SQL keep less of each customer (docs/running-it.md, "
        "Sizing).",
    )


def _is_lock(error: Exception) -> bool:
    return "Could not set lock on file" in str(error)


def _unreadable(error: Exception, path: Path) -> Exception:
    full = disk_full(error, path)
    if full is not None:
        return full
    return LedgerError(
        f"{path} cannot be opened as a DuckDB file: {error}",
        fix="Check the path in BRAZE_PIPELINE_DATABASE and the DuckDB version that wrote the file.",
    )
