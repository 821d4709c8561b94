"""The budget of a rate limit in the file that all senders on this machine share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from math import inf, isfinite
from typing import TYPE_CHECKING, TypeVar

from braze_pipeline.braze.rate_limiter import Budget, HourUse

if TYPE_CHECKING:
    from braze_pipeline.storage.limits import LimitsFile

T = TypeVar("T")


class SharedBudget:
    """A ``BudgetStore`` in the file of rate limits."""

    def __init__(self, file: LimitsFile, name: str) -> None:
        self._file = file
        self._name = name

    def update(self, change: Callable[[Budget], T]) -> T:
        """See ``BudgetStore.update``."""
        found: list[T] = []

        def changed(text: str | None) -> str:
            budget = _read(text)
            found.append(change(budget))
            return _written(budget)

        self._file.update(self._name, changed)
        return found[0]


def _read(text: str | None) -> Budget:
    if text is None:
        return Budget()
    data = json.loads(text)
    hours = {int(hour): HourUse(**use) for hour, use in data["hours"].items()}
    return Budget(-inf if data["next_at"] is None else data["next_at"], hours)


def _written(budget: Budget) -> str:
    next_at = budget.next_at if isfinite(budget.next_at) else None
    return json.dumps(
        {"next_at": next_at, "hours": {hour: asdict(use) for hour, use in budget.hours.items()}}
    )
