"""Whether everything a run needs is in order, found out without changing anything.

============ =====================================================================
``finding``  what a check gives: what it saw, and what to mend
``reach``    the name and the port of a Braze endpoint
``access``   whether it answers as Braze does, the key, its permissions, the clock
``disk``     room and rights beside the database
``database`` the DuckDB file, and the ledger's schema in it
``journal``  sends that are not in the ledger yet; the last acknowledgement
``zones``    time zone data
============ =====================================================================

Dagster's own settings are looked at by ``braze_pipeline.orchestration.health``.
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
