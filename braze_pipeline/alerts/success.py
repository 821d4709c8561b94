"""Runs that went well, for the messages about them (``alerts: {success: …}`` in ``defs.yaml``)."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from braze_pipeline.alerts.action_store import add_message
from braze_pipeline.alerts.connection import writing
from braze_pipeline.storage.sql_files import read_sql


@dataclass(frozen=True, kw_only=True)
class Success:
    """A run that sent, with the counts of its newest day; no personal data.

    Attributes:
        first_day, last_day: The as-of dates of the run.
        accepted, rejected, unchanged: Users.
        attributes: Values that Braze accepted.
        data_points: Those of the plan that was sent.
        warnings: The checks that reported a warning, separated by commas.
        open_actions: The destination's, when the run ended.
    """

    destination: str
    template: str
    first_day: str
    last_day: str
    run_id: str
    accepted: int
    rejected: int
    unchanged: int
    attributes: int
    data_points: int
    warnings: str = ""
    open_actions: int = 0


def report_success(path: Path, success: Success, *, after_failure: bool, at: datetime) -> bool:
    """Put a message about a run that went well into the outbox.

    Args:
        path: The store of actions.
        success: The run.
        after_failure: Only if the run resolved an action; else once for each as-of date.
        at: When the run ended; the actions that it resolved have that time too.

    Returns:
        Whether there is a new message.

    Raises:
        sqlite3.Error: the store cannot be written.
    """
    values = {
        **asdict(success),
        "occasion": success.run_id if after_failure else success.last_day,
        "after_failure": after_failure,
        "now": at.isoformat(),
    }
    with writing(path) as con:
        inserted = con.execute(read_sql("alerts", "recorded_success"), values)
        if not inserted.rowcount:
            return False
        add_message(con, "succeeded", success=inserted.lastrowid)
        return True


def stored_success(con: sqlite3.Connection, number: int) -> Success:
    """One of the stored runs that a message is about."""
    row = dict(con.execute("SELECT * FROM successes WHERE success = ?", (number,)).fetchone())
    del row["success"], row["occasion"]
    return Success(**row)
