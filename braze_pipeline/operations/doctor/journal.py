"""The journal of acknowledgements: sends that are not in the ledger yet, and the last answer."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from braze_pipeline.errors import LedgerError
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
    """What the journal says of a destination.

    Args:
        warehouse: Where the journal lies.
        destination: The destination's name.
        max_age_hours: How old the last acknowledgement may be; None where nothing is scheduled.
        now: The time, with a zone.
    """
    path = warehouse.journal_path
    name = f"{destination}: journal"
    if not path.exists():
        return [ok(name, "Nothing was sent from here yet.")]
    try:
        version = _version(path)
    except sqlite3.Error as error:
        return [failure(name, _unreadable(path, error))]
    if version > JOURNAL.version:
        return [failure(name, _newer(path, version))]
    return [
        _unapplied(
            warehouse, destination, [s.plan_id for s in records.unapplied(path, destination)]
        ),
        _age(
            destination,
            records.last_acknowledged(path, destination),
            max_age_hours,
            now or datetime.now(UTC),
        ),
    ]


def _version(path: Path) -> int:
    """The schema version of a sound journal; nothing is written."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as con:
        version = JOURNAL.found(con)
        if (
            version == JOURNAL.version
            and con.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok"
        ):
            raise sqlite3.DatabaseError("damaged")
    return version


def _unapplied(warehouse: Warehouse, destination: str, plans: Sequence[str]) -> Finding:
    name = f"{destination}: journal"
    if _sending(warehouse.lock_path(destination)):
        return ok(name, "A send is under way.")
    if not plans:
        return ok(name, "Every send is in the ledger.")
    lost = [plan for plan in plans if not warehouse.snapshot(plan).exists()]
    saw = f"{len(plans)} send{'s' * (len(plans) > 1)} ended without getting into the ledger"
    if lost:
        return warning(
            name,
            f"{saw}; the plan's snapshot of {len(lost)} is gone.",
            f"Put the snapshots back into {warehouse.snapshots} before the next run, or leave it: "
            "what these sends brought is then sent again, which does no harm.",
        )
    return warning(name, f"{saw}.", "Run again: the next run brings them in before anything else.")


def _sending(lock: Path) -> bool:
    """Whether somebody holds the destination's lock; it is let go of at once."""
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
            "Days on which nothing changed send nothing; if there were changes, look whether the "
            "schedule runs, and at `braze-pipeline actions`.",
        )
    return ok(name, saw)


def _unreadable(path: Path, error: sqlite3.Error) -> LedgerError:
    return LedgerError(
        f"The journal {path} cannot be read ({type(error).__name__}).",
        fix="Restore it from a backup, or move it away with its -wal and -shm: what Braze "
        "acknowledged since the last run is then sent again.",
    )


def _newer(path: Path, version: int) -> LedgerError:
    return LedgerError(
        f"The journal {path} was written by a newer version (schema {version}).",
        fix="Use the version of braze_pipeline that wrote it, or a newer one.",
    )
