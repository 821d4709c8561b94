"""The day that the rows of now stand for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from braze_pipeline.attributes.current_state import newest_day, require_newest
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.settings.project import ScheduleSettings
from braze_pipeline_tests.shop import template

NOW = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
YESTERDAY = date(2026, 6, 30)


@pytest.mark.parametrize(
    ("settings", "newest"),
    [
        ({}, YESTERDAY),
        # It is half past midnight there: another day is over.
        ({"time_zone": "Europe/London"}, date(2026, 7, 1)),
        ({"schedule": ScheduleSettings(lag_days=2)}, date(2026, 6, 28)),
        ({"end_date": date(2011, 12, 9)}, date(2011, 12, 9)),
        ({"end_date": date(2030, 1, 1)}, YESTERDAY),
    ],
)
def test_it_is_the_last_day_that_is_over(settings: dict[str, Any], newest: date) -> None:
    t = template(Path("mine.sql"), **{"time_zone": "UTC", **settings})
    assert newest_day(t, NOW) == newest
    require_newest(t, newest, NOW)
    with pytest.raises(ConfigurationError, match=f"Run {newest} alone"):
        require_newest(t, newest - timedelta(days=1), NOW)


def test_a_time_without_a_zone_is_in_utc() -> None:
    t = template(Path("mine.sql"), time_zone="UTC")
    assert newest_day(t, NOW.replace(tzinfo=None)) == YESTERDAY
