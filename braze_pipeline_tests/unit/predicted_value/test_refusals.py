"""Where a number would be a guess there is a sentence instead."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import numpy as np
import pytest

from braze_pipeline.errors import ConfigurationError, NewerVersion
from braze_pipeline.predicted_value import METHOD_VERSION, Fit, refit, score
from braze_pipeline.predicted_value.bg_nbd import OrderGroups
from braze_pipeline.predicted_value.bg_nbd import fit as fit_orders
from braze_pipeline.predicted_value.gamma_gamma import ValueGroups
from braze_pipeline.predicted_value.gamma_gamma import fit as fit_values
from braze_pipeline.predicted_value.likelihood import Refused, maximise
from braze_pipeline_tests.unit.predicted_value.worlds import FIRST, draw, shop


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def test_too_few_repeat_customers_leave_the_guesses(con: duckdb.DuckDBPyConnection) -> None:
    few = [(n, times[: None if n < 90 else 1], values) for n, times, values in draw(400, 600)]
    shop(con, [(n, times, values[: len(times)]) for n, times, values in few])
    fit = refit(con, day(600), 180)
    assert fit.parameters == {}
    assert fit.refused[0].startswith("Too few customers bought on more than one day: ")
    assert [c.name for c in fit.backtest] == ["past_value", "last_year", "past_value_by_tenure"]
    assert fit.notes[0].startswith("The model takes no part in the backtest. Too few customers")


def test_order_value_that_depends_on_frequency_leaves_the_guesses(
    con: duckdb.DuckDBPyConnection,
) -> None:
    shop(con, [(n, times, values * len(times)) for n, times, values in draw(1_500, 600)])
    fit = refit(con, day(600), 180)
    assert fit.refused[0].startswith("Customers who order more often spend more per order (corr")
    assert fit.published in {"past_value", "last_year", "past_value_by_tenure"}
    score(con, fit, "predicted")
    counts = con.execute(
        "SELECT count(*), count(predicted_clv), count(expected_orders), "
        "count(expected_order_value), count(probability_active) FROM predicted"
    ).fetchone()
    assert counts == (1_500, 1_500, 0, 0, 0)


def test_customers_who_never_stop_are_beyond_the_model() -> None:
    rng = np.random.default_rng(1)
    repeats = rng.poisson(rng.gamma(2, 3, 2_000)).astype(float)
    recency = np.where(repeats > 0, 360.0, 0)
    groups = OrderGroups(repeats, recency, np.full(2_000, 365.0), np.ones(2_000))
    with pytest.raises(Refused, match=r"parameter [ab] ran to the border of the search"):
        fit_orders(groups)


def test_order_values_without_a_mean_are_beyond_the_model() -> None:
    rng = np.random.default_rng(1)
    orders = rng.integers(1, 9, 3_000).astype(float)
    values = rng.gamma(5 * orders) / orders / rng.gamma(0.8, 0.1, 3_000)
    with pytest.raises(Refused, match=r"so large that the mean value .* cannot be estimated"):
        fit_values(ValueGroups(orders, values, np.ones(3_000)))


def test_a_search_without_a_result_is_refused() -> None:
    with pytest.raises(Refused, match=r"The model of things did not converge\."):
        maximise(
            lambda _: (float("nan"), np.array([float("nan")])),
            what="things", bounds={"x": (0.1, 10)}, starts=[[1]], customers=1,
        )  # fmt: skip


def test_a_flat_likelihood_is_refused() -> None:
    with pytest.raises(Refused, match="no maximum was found"):
        maximise(
            lambda _: (0.0, np.zeros(1)),
            what="things", bounds={"x": (0.1, 10)}, starts=[[1]], customers=1,
        )  # fmt: skip


def test_a_short_history_cannot_be_tested_so_nothing_is_published(
    con: duckdb.DuckDBPyConnection,
) -> None:
    shop(con, draw(600, 600))
    fit = refit(con, day(150), 365)
    assert (fit.published, fit.backtest) == (None, ())
    assert fit.refused[-1] == (
        f"The orders cover {(fit.last_day - fit.first_day).days} days. A prediction needs at "  # type: ignore[operator]
        "least 180: half to learn from, half to test with."
    )
    with pytest.raises(ValueError, match="publishes nothing"):
        score(con, fit, "predicted")


def test_with_less_than_two_horizons_half_of_the_time_is_held_out_and_that_is_noted(
    con: duckdb.DuckDBPyConnection,
) -> None:
    shop(con, draw(800, 600))
    fit = refit(con, day(600), 365)
    assert fit.backtest_days == (fit.last_day - fit.first_day).days // 2  # type: ignore[operator]
    assert fit.notes[-1].endswith(f"the backtest holds out the last {fit.backtest_days}.")


def test_nothing_is_published_that_is_no_better_than_a_constant(
    con: duckdb.DuckDBPyConnection,
) -> None:
    rng = np.random.default_rng(5)
    histories = [
        (n, np.array([rng.uniform(0, 200), rng.uniform(200, 400)]), rng.gamma(2, 20, 2))
        for n in range(1_000)
    ]
    shop(con, histories)
    fit = refit(con, day(400), 180)
    assert len(fit.backtest) >= 3
    assert fit.published is None
    assert fit.refused[-1].startswith("No candidate predicts better than giving every customer")


def test_a_held_out_time_without_purchases_tests_nothing(con: duckdb.DuckDBPyConnection) -> None:
    gone = [(n, times[:1] / 10, values[:1]) for n, times, values in draw(300, 600)]
    shop(con, [*gone, (999, np.array([500.0]), np.array([5.0]))])
    fit = refit(con, day(600), 180)
    assert fit.published is None
    assert fit.refused[-1].endswith("spent nothing in it: too few to test a prediction with.")


def test_without_scipy_the_error_names_the_extra(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'braze-pipeline\[predicted-value\]"):
        refit(con, day(600), 365)


def test_a_fit_of_a_newer_method_is_refused() -> None:
    text = Fit(fit_id="2024-01-01-abc", as_of=FIRST, horizon_days=365).as_json()
    newer = json.dumps(json.loads(text) | {"method_version": METHOD_VERSION + 1, "more": 1})
    with pytest.raises(NewerVersion, match="2024-01-01-abc"):
        Fit.from_json(newer)
