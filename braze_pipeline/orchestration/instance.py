"""Dagster's instance, opened by one process at a time.

Dagster creates the tables of a new SQLite storage without a lock. Of two processes that do so at
once, one may fail with "table already exists", or both leave their schema version behind: after
that, no process can open the instance any more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from braze_pipeline.config.project import dagster_home
from braze_pipeline.storage.warehouse import locked


@contextmanager
def current() -> Iterator[dg.DagsterInstance]:
    """Open the instance of ``DAGSTER_HOME``, or a temporary one if that is not set.

    Raises:
        ConfigurationError: it is not an existing folder.
    """
    folder = dagster_home(os.environ)
    with of_folder(folder) if folder else dg.DagsterInstance.ephemeral() as instance:
        yield instance


@contextmanager
def of_folder(folder: Path) -> Iterator[dg.DagsterInstance]:
    """Open the instance of a folder, whose lock is held only until the instance is open.

    The systemd units in ``deploy`` take the same lock, by the command ``flock``.
    """
    with locked(folder, wait=True):
        opened = dg.DagsterInstance.from_config(str(folder))
    with opened as instance:
        yield instance
