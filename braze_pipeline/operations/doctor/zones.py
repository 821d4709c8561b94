"""Time zone data: Python and DuckDB must have the same, as both decide when a day ends."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.operations.doctor.finding import Finding, failure, ok
from braze_pipeline.storage.warehouse import prepare

if TYPE_CHECKING:
    import duckdb

_WEEKS = 53
_LOCAL = "SELECT timezone($zone::VARCHAR, make_timestamptz($moment::BIGINT))"


def zones(names: Iterable[str]) -> list[Finding]:
    """Compare each zone once, week by week over the coming year."""
    import duckdb

    start = datetime.now(UTC).replace(microsecond=0)
    with duckdb.connect() as con:
        prepare(con)
        return [_zone(con, name, start) for name in dict.fromkeys(names)]


def _zone(con: duckdb.DuckDBPyConnection, name: str, start: datetime) -> Finding:
    about = f"time zone {name}"
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        missing = ConfigurationError(
            "This machine has no data for this time zone.",
            fix="Reinstall tzdata: pip install -U tzdata.",
        )
        return failure(about, missing)
    for week in range(_WEEKS):
        moment = start + timedelta(weeks=week)
        parameters = {"zone": name, "moment": int(moment.timestamp()) * 1_000_000}
        row = con.execute(_LOCAL, parameters).fetchone()
        if row is None or row[0] != moment.astimezone(zone).replace(tzinfo=None):
            different = ConfigurationError(
                f"Python and DuckDB disagree on the local time in the week of {moment:%Y-%m-%d}.",
                fix="Upgrade both: pip install -U tzdata duckdb, within requirements.lock.",
            )
            return failure(about, different)
    return ok(about, f"Now {start.astimezone(zone):%Y-%m-%d %H:%M (UTC%z)}.")
