"""The SQLite file of the store: created on first use, one transaction at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from braze_pipeline import private
from braze_pipeline.storage.migrations import ACTIONS
from braze_pipeline.storage.sqlite_files import connect
from braze_pipeline.storage.transaction import transaction


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to read with; each statement sees what is committed. It creates no file."""
    if path.exists():
        private.file(path)
    name = path if path.exists() else ":memory:"
    with closing(connect(name, isolation_level=None)) as con:
        con.row_factory = sqlite3.Row
        con.execute("PRAGMA foreign_keys = ON")
        ACTIONS.upgrade(con, path)
        yield con


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection in one transaction: everything in the block is written, or nothing."""
    private.file(path)
    with reading(path) as con, transaction(con, begin="BEGIN IMMEDIATE"):
        yield con
