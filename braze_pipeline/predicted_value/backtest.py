"""How well each candidate would have predicted a time that is known by now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

from braze_pipeline.predicted_value.candidates import NAMES, learn_scales, predictions
from braze_pipeline.predicted_value.fit import Candidate
from braze_pipeline.predicted_value.likelihood import Refused
from braze_pipeline.predicted_value.model import fit_model
from braze_pipeline.predicted_value.purchases import gather_statistics
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.warehouse import arrow, single_row

if TYPE_CHECKING:
    import duckdb

FEWEST_DAYS = 90
"""The shortest time to hold out: a shorter one has the orders of one campaign."""

FEWEST_CUSTOMERS = 100

_STEP = "CASE WHEN {0} > 0 THEN round(ln({0}) * 1000)::INTEGER ELSE -1000000 END"
# Money in steps of a thousandth.


@dataclass(frozen=True)
class Backtest:
    """What was found.

    Attributes:
        candidates: Those that could predict.
        days: Length of the held-out time.
        customers: Who had bought before it.
        constant_error: The mean error of giving everybody the same value.
        notes: What the reader should know.
    """

    candidates: tuple[Candidate, ...]
    days: int
    customers: int
    constant_error: float
    notes: tuple[str, ...]


def run_backtest(
    con: duckdb.DuckDBPyConnection, first: date, last: date, horizon_days: int
) -> Backtest:
    """Hold out the last ``horizon_days``, or half of the data if that is shorter, and predict them.

    Everything that a candidate uses is learnt from the time before.

    Raises:
        Refused: there is too little time or there are too few customers to hold out.
    """
    days = min(horizon_days, (last - first).days // 2)
    fewest = min(FEWEST_DAYS, horizon_days)
    if days < fewest:
        raise Refused(
            f"The orders cover {(last - first).days} days. A prediction needs at least "
            f"{2 * fewest}: half to learn from, half to test with."
        )
    notes = []
    if days < horizon_days:
        notes.append(
            f"The orders cover {(last - first).days} days, too few to hold out {horizon_days}: the "
            f"backtest holds out the last {days}."
        )
    end = last - timedelta(days=days)
    scales = learn_scales(con, first, end, horizon_days)
    gather_statistics(con, end, last)
    customers, total = single_row(
        con, "SELECT count(*), sum(later_value) FROM predicted_value_statistics"
    )
    if customers < FEWEST_CUSTOMERS or not total:
        raise Refused(
            f"{customers:,} customers bought before the held-out time, and spent "
            f"{'something' if total else 'nothing'} in it: too few to test a prediction with."
        )
    parameters: Mapping[str, float] = {}
    try:
        parameters, _ = fit_model(con)
    except Refused as reason:
        notes.append(f"The model takes no part in the backtest. {reason}")
    span = (end - first).days + 1
    query = predictions(con, parameters, scales, days=days, span=span)
    con.execute(f"CREATE OR REPLACE TEMP TABLE predicted_value_backtest AS {query}")
    return Backtest(
        candidates=tuple(_measure(con, name) for name in NAMES if parameters or name != "model"),
        days=days,
        customers=customers,
        constant_error=_mean_error(con, repr(round(scales["constant"] * days, 2))),
        notes=tuple(notes),
    )


def _measure(con: duckdb.DuckDBPyConnection, name: str) -> Candidate:
    predicted, actual = single_row(
        con, f"SELECT sum({name}), sum(later_value) FROM predicted_value_backtest"
    )
    deciles, share = _tenths(con, name)
    return Candidate(
        name=name,
        mean_error=_mean_error(con, name),
        rank_correlation=_rank_correlation(con, name),
        calibration=round(float(predicted / actual), 4),
        top_tenth_share=share,
        deciles=deciles,
    )


def _mean_error(con: duckdb.DuckDBPyConnection, predicted: str) -> float:
    total, customers = single_row(
        con,
        f"SELECT sum(abs({predicted}::DECIMAL(18, 2) - later_value)), count(*) "
        "FROM predicted_value_backtest",
    )
    return round(float(total) / int(customers), 2)


def _rank_correlation(con: duckdb.DuckDBPyConnection, name: str) -> float:
    steps = {"step": _STEP.format(name), "actual_step": _STEP.format("later_value")}
    query = read_sql("predicted_value", "ranks", name=name, **steps)
    n, x, y, xx, yy, xy = map(int, single_row(con, query))
    spread = (n * xx - x * x) * (n * yy - y * y)
    return round((n * xy - x * y) / sqrt(spread), 4) if spread else 0.0


def _tenths(
    con: duckdb.DuckDBPyConnection, name: str
) -> tuple[tuple[tuple[float, float], ...], float]:
    """The deciles, and the share of the first. Equal predictions across a border are shared out."""
    import numpy as np

    rows = arrow(con, read_sql("predicted_value", "tenths", name=name, step=_STEP.format(name)))
    customers, predicted, actual = (
        np.concatenate([[0.0], np.cumsum(column.to_numpy())]) for column in rows.columns
    )
    borders = np.linspace(0, customers[-1], 11)
    found = [
        [(high - low) / borders[1] for low, high in pairwise(np.interp(borders, customers, sums))]
        for sums in (predicted, actual)
    ]
    deciles = tuple((round(float(p), 2), round(float(a), 2)) for p, a in zip(*found, strict=True))
    return deciles, round(float(found[1][0] * borders[1] / actual[-1]), 4)
