"""The days of refits: plain dates, from the settings alone, so that a rerun finds the same ones."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from braze_pipeline.settings import Refit

_MONTHS: Final = {"monthly": 1, "quarterly": 3}


def newest_refit(refit: Refit, day: date) -> date:
    """The newest day of a refit that is not after ``day``."""
    if refit.every == "weekly":
        return day - timedelta(days=(day.isoweekday() - refit.day) % 7)
    months = _MONTHS[refit.every]
    of_year = day.year * 12 + day.month - 1
    if day.day < refit.day:
        of_year -= 1
    year, month = divmod(of_year - of_year % months, 12)
    return date(year, month + 1, refit.day)


def next_refit(refit: Refit, day: date) -> date:
    """The first day of a refit after ``day``."""
    found = day
    while newest_refit(refit, found) <= day:
        found += timedelta(days=1)
    return found
