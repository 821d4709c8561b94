"""Checks that everything a run needs is in order, without changing anything.

============== ==================================================================
``finding``    the result of a check: what it saw, and how to fix it
``connection`` the name and the port of a Braze endpoint
``access``     whether it answers like Braze, the key, its permissions, the clock
``disk``       free space and permissions where the database is
``database``   the files of the database and their schemas
``journal``    sends that are not in the ledger yet; the last acknowledgement
``zones``      time zone data
============== ==================================================================

``braze_pipeline.orchestration.health`` checks Dagster's own settings.
"""

from __future__ import annotations

from braze_pipeline.operations.doctor.access import access
from braze_pipeline.operations.doctor.connection import reach
from braze_pipeline.operations.doctor.database import database
from braze_pipeline.operations.doctor.disk import disk, private_files
from braze_pipeline.operations.doctor.finding import Finding, State, exit_code, failure, ok, warning
from braze_pipeline.operations.doctor.journal import journal
from braze_pipeline.operations.doctor.zones import zones

__all__ = [
    "Finding",
    "State",
    "access",
    "database",
    "disk",
    "exit_code",
    "failure",
    "journal",
    "ok",
    "private_files",
    "reach",
    "warning",
    "zones",
]
