"""The days of refits."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from braze_pipeline.predicted_value.refit_days import newest_refit, next_refit
from braze_pipeline.settings import Refit


@pytest.mark.parametrize(
    ("refit", "day", "newest", "coming"),
    [
        ({}, "2026-03-01", "2026-03-01", "2026-04-01"),
        ({}, "2026-02-28", "2026-02-01", "2026-03-01"),
        ({"day": 5}, "2026-01-04", "2025-12-05", "2026-01-05"),
        ({"every": "quarterly"}, "2026-06-30", "2026-04-01", "2026-07-01"),
        ({"every": "quarterly", "day": 15}, "2026-01-14", "2025-10-15", "2026-01-15"),
        # 29 November 2026 is a Sunday.
        ({"every": "weekly"}, "2026-11-29", "2026-11-23", "2026-11-30"),
        ({"every": "weekly", "day": 7}, "2026-11-29", "2026-11-29", "2026-12-06"),
    ],
)
def test_the_newest_refit_day_is_not_after_the_day_and_the_next_one_is(
    refit: dict[str, Any], day: str, newest: str, coming: str
) -> None:
    settings = Refit(**refit)
    assert newest_refit(settings, date.fromisoformat(day)) == date.fromisoformat(newest)
    assert next_refit(settings, date.fromisoformat(day)) == date.fromisoformat(coming)


@pytest.mark.parametrize("every", ["weekly", "monthly", "quarterly"])
def test_a_year_has_as_many_refits_as_its_word_says(every: Any) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    found = {newest_refit(Refit(every=every), day) for day in days}
    assert len([day for day in found if day.year == 2026]) == {
        "weekly": 52, "monthly": 12, "quarterly": 4
    }[every]  # fmt: skip
