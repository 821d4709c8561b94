"""SQL without ``$as_of``: its tables have no history, so their rows are those of now.

A ready table (a dbt model, a customer 360) is often like that. Its rows can stand for the newest
day only: for an older day, they would be values that nobody had then.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from braze_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings


def last_ended(t: TemplateSettings, now: datetime) -> date:
    """The last day that is over in the template's time zone, less the schedule's lag.

    ``now`` is in UTC if it has no time zone.
    """
    local = (now if now.tzinfo else now.replace(tzinfo=UTC)).astimezone(ZoneInfo(t.time_zone))
    lag = t.schedule.lag_days if t.schedule else 0
    return local.date() - timedelta(days=1 + lag)


def newest_day(t: TemplateSettings, now: datetime) -> date:
    """The day that rows of now stand for: ``last_ended``, or ``end_date`` if that is earlier."""
    day = last_ended(t, now)
    return min(day, t.end_date) if t.end_date else day


def require_newest(t: TemplateSettings, day: date, now: datetime) -> None:
    """Refuse a day that rows of now cannot stand for.

    Raises:
        ConfigurationError: it is older than the newest day.
    """
    newest = newest_day(t, now)
    if day < newest:
        raise ConfigurationError(
            f"{t.attributes_sql} does not use $as_of, so it gives the rows of now: they stand for "
            f"the newest day, {newest}, and not for {day}.",
            fix=f"Run {newest} alone. For older days, keep history in the table and choose the "
            "day's rows in the SQL, such as `WHERE as_of = $as_of`.",
        )
