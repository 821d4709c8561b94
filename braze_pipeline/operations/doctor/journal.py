"""The journal of acknowledgements: sends that are not in the ledger yet, and the last answer."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from braze_pipeline.errors import PipelineError
from braze_pipeline.operations.doctor.database import sqlite_version
from braze_pipeline.operations.doctor.finding import Finding, failure, ok, warning
from braze_pipeline.storage import journal as records
from braze_pipeline.storage.migrations import JOURNAL

if TYPE_CHECKING:
    from pathlib import Path

    from braze_pipeline.storage.warehouse import Warehouse


def journal(
    warehouse: Warehouse,
    destination: str,
    *,
    max_age_hours: float | None,
    now: datetime | None = None,
) -> list[Finding]:
    """What the journal has about a destination.

    Args:
        warehouse: The database that the journal is beside.
        destination: The destination's name.
        max_age_hours: How old the last acknowledgement may be; None if nothing is scheduled.
        now: The time, with a time zone.
    """
    path = warehouse.journal_path
    name = f"{destination}: journal"
    if not path.exists():
        return [ok(name, "Nothing has been sent from here yet.")]
    try:
        sqlite_version(path, JOURNAL)
        plans = [send.plan_id for send in records.unapplied(path, destination)]
        last = records.last_acknowledged(path, destination)
    except PipelineError as error:
        return [failure(name, error)]
    return [
        _unapplied(name, warehouse, destination, plans),
        _age(destination, last, max_age_hours, now or datetime.now(UTC)),
    ]


def _unapplied(name: str, warehouse: Warehouse, destination: str, plans: Sequence[str]) -> Finding:
    if _sending(warehouse.lock_path(destination)):
        return ok(name, "A send is in progress.")
    if not plans:
        return ok(name, "Every send is in the ledger.")
    lost = [plan for plan in plans if not warehouse.snapshot(plan).exists()]
    sends = "1 send ended" if len(plans) == 1 else f"{len(plans)} sends ended"
    saw = f"{sends} before the ledger was updated"
    if lost:
        return warning(
            name,
            f"{saw}; missing plan snapshots: {len(lost)}.",
            f"Restore the snapshots to {warehouse.snapshots} before the next run. Otherwise what "
            "these sends brought is sent again, which does no harm.",
        )
    return warning(name, f"{saw}.", "Run again: the next run updates the ledger first.")


def _sending(lock: Path) -> bool:
    """Whether another process holds the destination's lock; it is released at once."""
    if not lock.exists():
        return False
    file = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _age(destination: str, last: str | None, max_age_hours: float | None, now: datetime) -> Finding:
    name = f"{destination}: last acknowledged"
    if last is None:
        return ok(name, "Braze has not acknowledged anything from here yet.")
    moment = datetime.fromisoformat(last)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    hours = (now - moment).total_seconds() / 3600
    saw = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC, {hours:,.1f} hours ago."
    if max_age_hours is not None and hours > max_age_hours:
        return warning(
            name,
            saw,
            "On days without changes nothing is sent. If there were changes, check that the "
            "schedule runs, and see `braze-pipeline actions`.",
        )
    return ok(name, saw)
