"""The SQLite files beside the database: how each is opened, and what is said of one that fails."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from braze_pipeline.errors import LedgerError
from braze_pipeline.storage.warehouse import disk_full

WAIT_SECONDS: Final = 30.0
"""How long to wait for another process."""

_AGAIN: Final = 0.01
_CODE: Final = 0xFF
"""The part of an error's number that names its kind."""


def connect(
    path: Path | str, *, isolation_level: Literal["DEFERRED"] | None = "DEFERRED"
) -> sqlite3.Connection:
    """A connection from any thread, with a write-ahead log: readers and the writer do not wait.

    Raises:
        sqlite3.Error: the file cannot be used, or another process did not let go of it.
    """
    con = sqlite3.connect(
        path, timeout=WAIT_SECONDS, isolation_level=isolation_level, check_same_thread=False
    )
    # For this statement alone SQLite does not wait: two that create a file meet here.
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            con.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            if error.sqlite_errorcode & _CODE != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                con.close()
                raise
            time.sleep(_AGAIN)
        else:
            return con


@contextmanager
def named_errors(path: Path, *, what: str, if_damaged: str) -> Iterator[None]:
    """Name the file in errors of the block: ``what`` it is, and what to do ``if_damaged``.

    Raises:
        LedgerError: it cannot be used.
        DiskFull: the disk is full.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise disk_full(error, path) or LedgerError(
            f"The {what} {path} cannot be used: {type(error).__name__}.",
            fix="Check its folder's permissions and that the file is on a local disk. If it is "
            f"damaged, {if_damaged}",
        ) from error
