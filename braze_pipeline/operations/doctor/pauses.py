"""Whether a person has paused the destination."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from braze_pipeline.alerts.pauses import paused
from braze_pipeline.errors import PipelineError
from braze_pipeline.operations.doctor.database import sqlite_version
from braze_pipeline.operations.doctor.finding import Finding, ok, warning
from braze_pipeline.storage.migrations import ACTIONS

if TYPE_CHECKING:
    from braze_pipeline.storage.warehouse import Warehouse


def pauses(warehouse: Warehouse, destination: str) -> list[Finding]:
    """A warning while it is paused. A file that cannot be read has a finding of its own."""
    path = warehouse.actions_path
    try:
        # Older files are not upgraded here, and have no pauses.
        if not path.exists() or sqlite_version(path, ACTIONS) < ACTIONS.version:
            return []
        found = paused(path, destination)
    except (PipelineError, sqlite3.Error):
        return []
    name = f"{destination}: sends"
    if found is None:
        return [ok(name, "Not paused.")]
    fix = f"`braze-pipeline resume {destination}` lets runs send again."
    return [warning(name, found.sentence(), fix)]
