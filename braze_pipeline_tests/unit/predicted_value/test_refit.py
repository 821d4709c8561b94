"""A fit and its predictions, from a table of orders to a table of predictions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import numpy as np
import pytest
from scipy.stats import spearmanr

from braze_pipeline.predicted_value import Fit, model, refit, score
from braze_pipeline.predicted_value.purchases import purchases
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


def test_the_backtest_is_what_a_fit_of_that_day_would_have_predicted(
    drawn: duckdb.DuckDBPyConnection, fit: Fit
) -> None:
    """Recomputed from a fit of the earlier day, and scipy's rank correlation."""
    day = (fit.last_day or LAST) - timedelta(days=180)
    earlier = refit(drawn, day, 180)
    assert (earlier.last_day, earlier.published) == (day, "model")
    score(drawn, earlier, "earlier")
    try:
        found = drawn.execute(
            """
            SELECT predicted_clv, coalesce(spent, 0) FROM earlier LEFT JOIN (
                SELECT customer_id, sum(unit_price) AS spent FROM orders
                WHERE ordered_at::DATE > $day
                GROUP BY customer_id
            ) USING (customer_id)
            ORDER BY predicted_clv DESC
            """,
            {"day": day},
        ).fetchnumpy()
    finally:
        drawn.execute("DROP TABLE earlier")
    predicted, actual = found.values()
    tested = fit.backtest[-1]
    tenth = actual[: len(actual) // 10]
    assert tested.rank_correlation == pytest.approx(spearmanr(predicted, actual)[0], abs=0.001)
    assert tested.mean_error == pytest.approx(np.abs(predicted - actual).mean(), abs=0.006)
    assert tested.calibration == pytest.approx(predicted.sum() / actual.sum(), abs=0.0001)
    assert tested.top_tenth_share == pytest.approx(tenth.sum() / actual.sum(), abs=0.001)
    assert tested.deciles[0] == pytest.approx(
        (predicted[: len(tenth)].mean(), tenth.mean()), rel=0.01
    )
    assert len(tested.deciles) == 10


def test_the_backtest_predicts_without_the_held_out_orders(
    drawn: duckdb.DuckDBPyConnection, fit: Fit
) -> None:
    with duckdb.connect() as con:
        con.register("rows", drawn.execute("FROM orders").to_arrow_table())
        con.execute(
            "CREATE TABLE orders AS SELECT * REPLACE (unit_price * IF(ordered_at > $day, 3, 1) AS "
            "unit_price) FROM rows",
            {"day": LAST - timedelta(days=180)},
        )
        other = refit(con, LAST, 180)
    for one, two in zip(fit.backtest, other.backtest, strict=True):
        assert [p for p, _ in one.deciles] == [p for p, _ in two.deciles]
        assert two.calibration == pytest.approx(one.calibration / 3, abs=0.001)


def test_neither_later_orders_nor_the_order_of_the_rows_change_a_fit(
    drawn: duckdb.DuckDBPyConnection, fit: Fit
) -> None:
    with duckdb.connect() as con:
        con.register("rows", drawn.execute("FROM orders").to_arrow_table())
        con.execute(
            "SET threads = 3; CREATE TABLE orders AS FROM (FROM rows UNION ALL "
            f"SELECT * REPLACE (ordered_at + INTERVAL {DAYS + 1} DAY AS ordered_at, "
            "'later' || order_id AS order_id) FROM rows) ORDER BY hash(order_id, product_id)"
        )
        assert refit(con, LAST, 180) == fit
        score(con, fit, "predicted")
        shuffled = con.execute("FROM predicted").fetchall()
    score(drawn, fit, "predicted")
    assert drawn.execute("FROM predicted").fetchall() == shuffled
    drawn.execute("DROP TABLE predicted")


def test_coarser_groups_hardly_change_the_parameters(
    drawn: duckdb.DuckDBPyConnection, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "MOST_GROUPS", 2_000)
    coarse = refit(drawn, LAST, 180)
    assert coarse.groups <= 2_000 < fit.groups
    for name, value in fit.parameters.items():
        assert coarse.parameters[name] == pytest.approx(value, rel=0.005)


def test_a_score_in_chunks_gives_the_same_rows(
    drawn: duckdb.DuckDBPyConnection, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(drawn, fit, "whole")
    monkeypatch.setattr(model, "CHUNK", 100)
    score(drawn, fit, "parts")
    assert drawn.execute("FROM whole").fetchall() == drawn.execute("FROM parts").fetchall()
    drawn.execute("DROP TABLE whole; DROP TABLE parts")


def test_purchases_are_those_of_the_customer_attributes() -> None:
    with duckdb.connect() as con:
        con.execute(
            """
            CREATE TABLE orders AS SELECT * FROM (VALUES
                ('ann', '1', TIMESTAMP '2024-01-01 23:00', 2.0, 5.005),   -- pence: 10.01
                ('ann', '1', TIMESTAMP '2024-01-02 01:00', 1.0, 1.0),     -- dated by its first line
                ('ann', '2', TIMESTAMP '2024-01-01 08:00', 1.0, 4.0),     -- same day: one purchase
                ('ann', 'C3', TIMESTAMP '2024-01-05 08:00', 1.0, 9.0),    -- cancellation
                ('ann', '4', TIMESTAMP '2024-01-06 08:00', -1.0, 9.0),    -- nothing owed
                ('ann', '5', TIMESTAMP '2024-02-01 00:00', 1.0, 7.0),     -- after the day
                (NULL, '6', TIMESTAMP '2024-01-07 08:00', 1.0, 9.0)
            ) AS t(customer_id, order_id, ordered_at, quantity, unit_price)
            """
        )
        with purchases(con, date(2024, 1, 31)) as days:
            found = con.execute(
                "SELECT customer_id, day, value::DOUBLE FROM predicted_value_purchases"
            ).fetchall()
    assert found == [("ann", date(2024, 1, 1), 15.01)]
    assert days == (date(2024, 1, 1), date(2024, 1, 1))
