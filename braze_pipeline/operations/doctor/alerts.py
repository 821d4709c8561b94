"""Whether a person has paused the destination, and which notifications wait."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from braze_pipeline.alerts import ActionStore, Outbox
from braze_pipeline.alerts.pauses import paused
from braze_pipeline.errors import PipelineError
from braze_pipeline.operations.doctor.database import sqlite_version
from braze_pipeline.operations.doctor.finding import Finding, ok, warning
from braze_pipeline.storage.migrations import ACTIONS

if TYPE_CHECKING:
    from braze_pipeline.alerts.pauses import Pause
    from braze_pipeline.storage.warehouse import Warehouse


def alerts(warehouse: Warehouse, destination: str) -> list[Finding]:
    """What the file of actions has about it. One that cannot be read has a finding of its own."""
    path = warehouse.actions_path
    try:
        # Older files are not upgraded here.
        if not path.exists() or sqlite_version(path, ACTIONS) < ACTIONS.version:
            return []
        found = paused(path, destination)
        waiting = Outbox(ActionStore(path), destination).waiting()
    except (PipelineError, sqlite3.Error):
        return []
    return [_sends(destination, found), _notifications(destination, waiting)]


def _sends(destination: str, found: Pause | None) -> Finding:
    name = f"{destination}: sends"
    if found is None:
        return ok(name, "Not paused.")
    fix = f"`braze-pipeline resume {destination}` lets runs send again."
    return warning(name, found.sentence(), fix)


def _notifications(destination: str, waiting: list[str]) -> Finding:
    name = f"{destination}: notifications"
    if not waiting:
        return ok(name, "No notification is waiting for a retry.")
    fix = (
        "Correct the channel's variables in the code server's environment "
        "(docs/workflow-actions.md), or fix the server that they name. Until then, check "
        "`braze-pipeline actions`."
    )
    return warning(name, " ".join(waiting), fix)
