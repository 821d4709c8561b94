"""What was used of Braze's rate limits: one SQLite file beside the database, for all senders.

A rerun in the same hour and another destination of the same company go on from it. It holds counts
of the last hours, nothing else. Projects with databases of their own name one file for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline import private
from braze_pipeline.storage.migrations import LIMITS
from braze_pipeline.storage.sqlite_files import connect, named_errors
from braze_pipeline.storage.transaction import transaction
from braze_pipeline.user_input import path_of

if TYPE_CHECKING:
    from braze_pipeline.storage.warehouse import Warehouse


VARIABLE: Final = "BRAZE_PIPELINE_LIMITS"


def limits_path(warehouse: Warehouse, environ: Mapping[str, str]) -> Path:
    """The file of rate limits: beside the database, unless the environment names another."""
    named = environ.get(VARIABLE, "").strip()
    return path_of(named) if named else warehouse.limits_path


_named_errors = partial(
    named_errors,
    what="file of rate limits",
    if_damaged="delete it: it only counts the requests of the last hours.",
)


class LimitsFile:
    """A text for each limit, changed by one process and one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, or create it.

        Raises:
            LedgerError: the file cannot be used.
            NewerVersion: a newer version of the package wrote it.
            DiskFull: the disk is full.
        """
        self._path = path
        self._lock = threading.Lock()
        private.file(path)
        with _named_errors(path):
            self._con = connect(path, isolation_level=None)
            # A crash of the machine may cost the last counts: then Braze answers 429 earlier.
            self._con.execute("PRAGMA synchronous = NORMAL")
            LIMITS.upgrade(self._con, path)

    def update(self, name: str, change: Callable[[str | None], str]) -> None:
        """Replace the text of a limit by what ``change`` makes of it (None: there is none yet).

        Raises:
            LedgerError: the file cannot be used.
            DiskFull: the disk is full.
        """
        with (
            self._lock,
            _named_errors(self._path),
            transaction(self._con, begin="BEGIN IMMEDIATE"),
        ):
            row = self._con.execute("SELECT used FROM limits WHERE name = ?", [name]).fetchone()
            self._con.execute(
                "INSERT INTO limits (name, used) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET used = excluded.used",
                [name, change(row and row[0])],
            )

    def close(self) -> None:
        """Close the file."""
        self._con.close()
