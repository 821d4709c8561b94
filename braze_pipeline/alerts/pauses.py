"""Destinations that a person has paused: runs plan for them, and send nothing.

They are beside the workflow actions, in SQLite, so that a destination can be paused at once, also
while a run keeps the DuckDB file open or a send is under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from braze_pipeline.alerts.connection import reading, writing
from braze_pipeline.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Why and since when (UTC) nothing is sent to a destination."""

    destination: str
    reason: str
    paused_at: datetime

    def sentence(self) -> str:
        """The pause in one line."""
        since = f"{self.paused_at:%Y-%m-%d %H:%M}"
        return f"{self.destination} is paused since {since} UTC, so nothing is sent: {self.reason}"


def pause(path: Path, destination: str, *, reason: str, at: datetime) -> None:
    """Send nothing to a destination from now on; of one that is paused, change the reason.

    Raises:
        UsageError: the reason is blank.
        LedgerError: (as all functions here) the file was written by a newer version.
        sqlite3.Error: (as all functions here) it cannot be read or written.
    """
    if not reason.strip():
        raise UsageError(
            f"{destination} cannot be paused without a reason.",
            fix="Say why in a few words; it is shown until the destination is resumed.",
        )
    with writing(path) as con:
        con.execute(
            "INSERT INTO pauses (destination, reason, paused_at) VALUES (?, ?, ?) "
            "ON CONFLICT (destination) DO UPDATE SET reason = excluded.reason",
            (destination, reason, at.isoformat()),
        )


def resume(path: Path, destination: str) -> bool:
    """Let runs send to a destination again; whether it was paused."""
    with writing(path) as con:
        query = "DELETE FROM pauses WHERE destination = ?"
        return bool(con.execute(query, (destination,)).rowcount)


def paused(path: Path, destination: str) -> Pause | None:
    """The pause of a destination; None if runs send to it."""
    with reading(path) as con:
        row = con.execute(
            "SELECT reason, paused_at FROM pauses WHERE destination = ?", (destination,)
        ).fetchone()
    if row is None:
        return None
    at = datetime.fromisoformat(row["paused_at"])
    return Pause(destination=destination, reason=row["reason"], paused_at=at)
