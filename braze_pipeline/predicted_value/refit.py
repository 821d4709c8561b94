"""A fit as of a day, and the predictions that it gives."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.predicted_value.backtest import run_backtest
from braze_pipeline.predicted_value.candidates import NAMES, choose, learn_scales, predictions
from braze_pipeline.predicted_value.fit import Fit
from braze_pipeline.predicted_value.likelihood import Refused, special_functions
from braze_pipeline.predicted_value.model import fit_model
from braze_pipeline.predicted_value.purchases import gather_statistics, purchases
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.warehouse import single_row

if TYPE_CHECKING:
    import duckdb


def refit(
    con: duckdb.DuckDBPyConnection, as_of: date, horizon_days: int, *, table: str | None = None
) -> Fit:
    """Fit the model on the orders up to the end of a day, test it, and choose what is published.

    Time ends at the last purchase, not at ``as_of``: days that the data do not cover say nothing.

    Args:
        con: A connection with the table or view ``orders``.
        as_of: The day.
        horizon_days: For how many days value is predicted.
        table: Makes this table of the predictions too, as ``score`` does, if any are published.

    Raises:
        ConfigurationError: scipy is not installed.
        SourceChanged: see ``purchases``.
    """
    special_functions()
    fit = Fit(fit_id="", as_of=as_of, horizon_days=horizon_days)
    with purchases(con, as_of) as (first, last):
        if first is None or last is None:
            return _named(replace(fit, refused=("There is no purchase up to that day.",)))
        fit = _modelled(con, replace(fit, first_day=first, last_day=last), last)
        try:
            test = run_backtest(con, first, last, horizon_days)
        except Refused as reason:
            return _named(replace(fit, refused=(*fit.refused, str(reason))))
        usable = NAMES if fit.parameters else NAMES[:-1]
        published = choose(
            test.candidates,
            usable=usable,
            customers=test.customers,
            constant_error=test.constant_error,
        )
        fit = replace(
            fit,
            backtest=test.candidates,
            backtest_days=test.days,
            published=published,
            scales=learn_scales(con, first, last, horizon_days),
            notes=test.notes,
        )
        if published is None:
            better = "No candidate predicts better than giving every customer the same value"
            error = f"mean error {test.constant_error:,.2f} over {test.days} days"
            fit = replace(fit, refused=(*fit.refused, f"{better} ({error})."))
        fit = _named(fit)
        if published is not None and table is not None:
            _score(con, fit, table)
    return fit


def _modelled(con: duckdb.DuckDBPyConnection, fit: Fit, last: date) -> Fit:
    gather_statistics(con, last, last)
    customers, repeat = single_row(
        con, "SELECT count(*), count(*) FILTER (repeats > 0) FROM predicted_value_statistics"
    )
    fit = replace(fit, customers=customers, repeat_customers=repeat)
    try:
        parameters, groups = fit_model(con)
    except Refused as reason:
        return replace(fit, refused=(str(reason),))
    return replace(fit, parameters=parameters, groups=groups)


def _named(fit: Fit) -> Fit:
    digest = hashlib.sha256(fit.as_json().encode()).hexdigest()
    return replace(fit, fit_id=f"{fit.as_of}-{digest[:6]}")


def score(con: duckdb.DuckDBPyConnection, fit: Fit, table: str) -> None:
    """Make ``table``: what each customer is expected to spend after ``fit.as_of``, and why.

    One row per customer with a purchase up to the last day of the fit's orders. The columns of
    the model are NULL where it did not fit. The same orders and the same fit give the same rows,
    in the same order.

    Args:
        con: A connection with the table or view ``orders``.
        fit: A fit that publishes a candidate.
        table: The name of the table to make, quoted if necessary.

    Raises:
        ValueError: the fit publishes nothing.
        SourceChanged: see ``purchases``.
    """
    if fit.published not in NAMES:
        raise ValueError(f"The fit {fit.fit_id} publishes nothing.")
    with purchases(con, fit.as_of):
        _score(con, fit, table)


def _score(con: duckdb.DuckDBPyConnection, fit: Fit, table: str) -> None:
    # Time is that of the fit: an order that came late since then moves its own customer alone.
    first, last = fit.first_day or fit.as_of, fit.last_day or fit.as_of
    gather_statistics(con, last, last)
    query = predictions(
        con, fit.parameters, fit.scales, days=fit.horizon_days, span=(last - first).days + 1
    )
    con.execute(
        read_sql(
            "predicted_value", "score", table=table, day=fit.as_of, fit_id=fit.fit_id,
            published=fit.published, predictions=query,
        )
    )  # fmt: skip
