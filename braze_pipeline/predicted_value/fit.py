"""A fit: the parameters, what the backtest found, and which prediction is published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from braze_pipeline.errors import NewerVersion

METHOD_VERSION = 1
"""Counts up when the same orders give other predictions, or what a fit stores changes."""


@dataclass(frozen=True)
class Candidate:
    """One way to predict, as the backtest found it. Money is in the currency of the orders.

    Attributes:
        name: A name of ``candidates.NAMES``.
        mean_error: Mean absolute error per customer.
        rank_correlation: Spearman's, between predicted and actual value.
        calibration: All that was predicted, divided by all that was spent.
        top_tenth_share: Share of the actual value that the top tenth by prediction spent.
        deciles: Mean predicted and mean actual value of each tenth by prediction, best first.
    """

    name: str
    mean_error: float
    rank_correlation: float
    calibration: float
    top_tenth_share: float
    deciles: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Fit:
    """What is known about predictions at a day.

    Attributes:
        fit_id: The same for the same data, parameters and method.
        as_of: Only orders up to the end of this day were used.
        horizon_days: For how many days value is predicted.
        first_day: Of the first purchase; None if there is none.
        last_day: Of the last one.
        customers: With a purchase.
        repeat_customers: With purchases on several days.
        groups: Of customers with the same history; the model is fitted on them.
        parameters: r, alpha (in days), a and b of orders, p, q and v of order value; empty if the
            model did not fit.
        backtest: Each candidate; empty if there was too little time to hold out.
        backtest_days: Length of the held-out time.
        published: Name of the candidate whose values are published; None if none is.
        refused: Why the model was not fitted or nothing is published, in plain sentences.
        scales: What the past values are multiplied by, for each candidate but the model.
        notes: What the reader of the backtest should know, in plain sentences.
    """

    fit_id: str
    as_of: date
    horizon_days: int
    first_day: date | None = None
    last_day: date | None = None
    customers: int = 0
    repeat_customers: int = 0
    groups: int = 0
    parameters: Mapping[str, float] = field(default_factory=dict)
    backtest: tuple[Candidate, ...] = ()
    backtest_days: int | None = None
    published: str | None = None
    refused: tuple[str, ...] = ()
    scales: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_json(self) -> str:
        """The fit as JSON text, with the version of the method."""
        return json.dumps(
            {"method_version": METHOD_VERSION, **asdict(self)}, default=str, sort_keys=True
        )

    @classmethod
    def from_json(cls, text: str) -> Fit:
        """The fit that ``as_json`` wrote.

        Raises:
            NewerVersion: a newer version of the package wrote it.
        """
        raw: dict[str, Any] = json.loads(text)
        version = raw.pop("method_version")
        if version > METHOD_VERSION:
            raise NewerVersion(
                f"The fit {raw.get('fit_id')} of predicted_value was made by a newer version of "
                f"braze_pipeline (method {version}; this one knows method {METHOD_VERSION}).",
                fix="Use the version of braze_pipeline that made it, or a newer one.",
            )
        for name in ("as_of", "first_day", "last_day"):
            raw[name] = raw[name] and date.fromisoformat(raw[name])
        for name in ("refused", "notes"):
            raw[name] = tuple(raw[name])
        raw["backtest"] = tuple(
            Candidate(**one | {"deciles": tuple(map(tuple, one["deciles"]))})
            for one in raw["backtest"]
        )
        return cls(**raw)
