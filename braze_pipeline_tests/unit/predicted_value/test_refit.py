"""A fit and its predictions, from a table of orders to a table of predictions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest

from braze_pipeline.predicted_value import Fit, refit, score
from braze_pipeline_tests.unit.predicted_value.worlds import FIRST, TRUTH, draw, shop

DAYS = 600
LAST = FIRST + timedelta(days=DAYS)


@pytest.fixture(scope="module")
def drawn() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        shop(con, draw(3_000, DAYS))
        yield con


@pytest.fixture(scope="module")
def fit(drawn: duckdb.DuckDBPyConnection) -> Fit:
    return refit(drawn, LAST, 180)


def test_customers_who_behave_like_the_model_are_predicted_by_it(fit: Fit) -> None:
    assert fit.refused == fit.notes == ()
    assert fit.published == "model"
    assert set(fit.parameters) == set(TRUTH)
    assert [c.name for c in fit.backtest] == [
        "past_value", "last_year", "past_value_by_tenure", "model",
    ]  # fmt: skip
    model = fit.backtest[-1]
    assert model.calibration == pytest.approx(1, abs=0.1)
    assert fit.backtest_days == 180


def test_a_fit_survives_storage(fit: Fit) -> None:
    assert Fit.from_json(fit.as_json()) == fit


def test_every_customer_with_a_purchase_has_one_row(
    drawn: duckdb.DuckDBPyConnection, fit: Fit
) -> None:
    score(drawn, fit, "predicted")
    try:
        rows = drawn.execute(
            "SELECT count(*), count(DISTINCT customer_id), count(predicted_clv), "
            "min(predicted_on), max(fit_id), min(predicted_clv) FROM predicted"
        ).fetchone()
        assert rows is not None
        assert rows[:5] == (3_000, 3_000, 3_000, LAST, fit.fit_id)
        assert rows[5] >= 0
    finally:
        drawn.execute("DROP TABLE predicted")


def test_without_purchases_there_is_a_sentence(drawn: duckdb.DuckDBPyConnection) -> None:
    found = refit(drawn, date(2000, 1, 1), 365)
    assert found.published is None
    assert found.refused == ("There is no purchase up to that day.",)
