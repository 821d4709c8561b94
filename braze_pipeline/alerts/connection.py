"""The SQLite file of the store: opened, made on first use, one transaction at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from braze_pipeline import private
from braze_pipeline.storage.migrations import ACTIONS


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to read with; every statement sees what is committed. It creates no file."""
    with closing(_connect(path) if path.exists() else _connect(None)) as con:
        yield con


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection inside one transaction: all of the block is written, or nothing."""
    with closing(_connect(path)) as con:
        con.execute("BEGIN IMMEDIATE")
        try:
            yield con
        except BaseException:
            con.execute("ROLLBACK")
            raise
        con.execute("COMMIT")


def _connect(path: Path | None) -> sqlite3.Connection:
    """To the file, which is created where it is not there; None for an empty one in memory."""
    if path is not None:
        private.file(path)
    con = sqlite3.connect(path or ":memory:", timeout=30.0, isolation_level=None)
    try:
        _prepare(con, path)
    except BaseException:
        con.close()
        raise
    return con


def _prepare(con: sqlite3.Connection, path: Path | None) -> None:
    con.execute("PRAGMA journal_mode = WAL")
    con.execute("PRAGMA foreign_keys = ON")
    ACTIONS.upgrade(con, path or "memory")
