"""The ways to predict, what is learnt for them, and which one is published.

The model competes with three guesses from a customer's past value. Each of those is scaled by one
factor for all customers, learnt from the time before: so all candidates predict money.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from math import sqrt
from typing import TYPE_CHECKING

from braze_pipeline.predicted_value.fit import Candidate
from braze_pipeline.predicted_value.likelihood import DIGITS
from braze_pipeline.predicted_value.model import compute_factors
from braze_pipeline.predicted_value.purchases import gather_statistics
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.warehouse import single_row

if TYPE_CHECKING:
    import duckdb

RAW = {
    "past_value": "value * {days} / {span}",
    "last_year": "year_value * {days} / least({span}, 365)",
    # Nobody's first days are extrapolated to more than what they spent.
    "past_value_by_tenure": "value * {days} / greatest(tenure, {days})",
}
"""The guesses before they are scaled, simplest first: past spending, brought from the time that it
covers to the days to predict. ``span`` is the number of days with data."""

NAMES = (*RAW, "model")
"""All candidates, simplest first."""

SAME_RANK = 0.01
SAME_ERROR = 0.05
LEAST_CORRELATION = 0.1


def learn_scales(
    con: duckdb.DuckDBPyConnection, first: date, end: date, days: int
) -> dict[str, float]:
    """What to multiply each guess by, and the mean value of a customer and day (``constant``).

    Learnt from the last ``days`` before ``end``, or half of the time since the first purchase if
    that is shorter: what customers from before spent in them, divided by the guesses before them.
    Replaces the statistics.
    """
    window = max(1, min(days, (end - first).days // 2))
    gather_statistics(con, end - timedelta(days=window), end)
    raw = _raw(window, (end - first).days + 1 - window)
    # As decimals, so that the sum does not depend on the order of the rows.
    sums = ", ".join(f"sum(({one})::DECIMAL(28, 6))" for one in (*raw.values(), window))
    later, *guessed = single_row(
        con, f"SELECT sum(later_value), {sums} FROM predicted_value_statistics"
    )
    return {
        name: float(f"{float(later or 0) / float(guess):.{DIGITS}g}") if guess else 0.0
        for name, guess in zip((*raw, "constant"), guessed, strict=True)
    }


def predictions(
    con: duckdb.DuckDBPyConnection,
    parameters: Mapping[str, float],
    scales: Mapping[str, float],
    *,
    days: int,
    span: int,
) -> str:
    """The query of what each candidate predicts from the statistics for the next ``days``.

    ``span`` is the number of days from the first purchase to the day of the statistics.
    """
    compute_factors(con, parameters, days)
    model = {name: repr(parameters[name]) if parameters else "NULL::DOUBLE" for name in "pqv"}
    guesses = {name: repr(scales[name]) for name in RAW}
    raw = {f"raw_{name}": expression for name, expression in _raw(days, span).items()}
    return read_sql("predicted_value", "predictions", days=days, **model, **guesses, **raw)


def _raw(days: int, span: int) -> dict[str, str]:
    return {name: guess.format(days=days, span=max(span, 1)) for name, guess in RAW.items()}


def choose(
    candidates: Sequence[Candidate],
    *,
    usable: Collection[str],
    customers: int,
    constant_error: float,
) -> str | None:
    """The name of the best candidate; None if none is better than a constant.

    A candidate counts only if its mean error is below that of giving everybody the same value, and
    its rank correlation is above ``LEAST_CORRELATION`` and above three standard errors of chance.

    The rank correlation decides first: who gets a message depends on the order of customers, and
    an error in the level moves a threshold for everybody. Candidates within ``SAME_RANK`` of the
    highest are equal in that (about the standard error of a difference at 5,000 customers). Of
    these, the smallest mean error wins; within ``SAME_ERROR`` of it, the simplest does, as it is
    explained most easily and changes least.
    """
    least = max(LEAST_CORRELATION, 3 / sqrt(customers))
    good = [
        c
        for c in candidates
        if c.name in usable and c.rank_correlation >= least and c.mean_error < constant_error
    ]
    if not good:
        return None
    highest = max(c.rank_correlation for c in good)
    good = [c for c in good if c.rank_correlation >= highest - SAME_RANK]
    smallest = min(c.mean_error for c in good)
    good = [c for c in good if c.mean_error <= smallest * (1 + SAME_ERROR)]
    return min((c.name for c in good), key=NAMES.index)
