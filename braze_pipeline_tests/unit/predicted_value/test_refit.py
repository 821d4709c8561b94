"""A fit and its predictions, from a table of orders to a table of predictions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from braze_pipeline.predicted_value import Fit, backtest, model, refit, score
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


def test_a_fit_makes_the_same_predictions_as_a_score_of_it(
    drawn: duckdb.DuckDBPyConnection, fit: Fit
) -> None:
    again = refit(drawn, LAST, 180, table="with_it")
    score(drawn, fit, "afterwards")
    try:
        assert again == fit
        rows = [drawn.execute(f"FROM {table}").fetchall() for table in ("with_it", "afterwards")]
        assert rows[0] == rows[1]
        assert len(rows[0]) == 3_000
        # A fit that publishes nothing makes no table.
        refit(drawn, date(2000, 1, 1), 180, table="nothing")
        with pytest.raises(duckdb.CatalogException):
            drawn.execute("FROM nothing")
    finally:
        drawn.execute("DROP TABLE with_it; DROP TABLE afterwards")


def test_the_value_of_an_order_is_between_the_customers_mean_and_that_of_all(
    drawn: duckdb.DuckDBPyConnection, fit: Fit
) -> None:
    """Formula (5) of the note on Gamma-Gamma: a mean of the two, weighted by the orders."""
    score(drawn, fit, "predicted")
    try:
        found = drawn.execute(
            """
            SELECT predicted_clv, expected_orders, expected_order_value, days, mean FROM predicted
            JOIN (
                SELECT customer_id, count(DISTINCT ordered_at::DATE) AS days,
                    sum(unit_price) / count(DISTINCT ordered_at::DATE) AS mean
                FROM orders GROUP BY customer_id
            ) USING (customer_id)
            """
        ).fetchnumpy()
    finally:
        drawn.execute("DROP TABLE predicted")
    clv, orders, value, days, mean = found.values()
    p, q, v = (fit.parameters[name] for name in "pqv")
    weight = p * days / (p * days + q - 1)
    assert value == pytest.approx(weight * mean + (1 - weight) * p * v / (q - 1), abs=0.006)
    assert clv == pytest.approx(orders * value, abs=0.02, rel=0.001)


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
            SELECT predicted_clv, coalesce(spent, 0), coalesce(last_year, 0)
            FROM earlier LEFT JOIN (
                SELECT customer_id, sum(unit_price) FILTER (ordered_at::DATE > $day) AS spent,
                    sum(unit_price) FILTER (
                        ordered_at::DATE BETWEEN $day - INTERVAL 12 MONTH + INTERVAL 1 DAY AND $day
                    ) AS last_year
                FROM orders GROUP BY customer_id
            ) USING (customer_id)
            ORDER BY predicted_clv DESC
            """,
            {"day": day},
        ).fetchnumpy()
    finally:
        drawn.execute("DROP TABLE earlier")
    predicted, actual, last_year = (np.round(column, 2) for column in found.values())
    assert fit.backtest[1].rank_correlation == pytest.approx(
        spearmanr(last_year, actual)[0], abs=0.001
    )
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


def test_equal_values_share_a_rank_and_a_tenth() -> None:
    rng = np.random.default_rng(1)
    actual = rng.poisson(0.7, 2_000) * 5.0
    guess = np.where(rng.random(2_000) < 0.6, 0, actual + rng.poisson(2, 2_000))
    with duckdb.connect() as con:
        con.register("rows", pa.table({"guess": guess, "later_value": actual}))
        con.execute(
            "CREATE TEMP TABLE predicted_value_backtest AS "
            "SELECT COLUMNS(*)::DECIMAL(18, 2) FROM rows"
        )
        measured = backtest._measure(con, "guess")
    assert measured.rank_correlation == pytest.approx(spearmanr(guess, actual)[0], abs=0.0001)
    # The last tenths are alike: all of them predict nothing.
    for tenth in measured.deciles[-2:]:
        assert tenth == pytest.approx((0, actual[guess == 0].mean()), abs=0.01)


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
                ('ann', 'C3', TIMESTAMP '2024-01-05 08:00', -2.0, 5.005), -- cancellation
                ('ann', '4', TIMESTAMP '2024-01-06 08:00', -1.0, 9.0),    -- nothing owed
                ('ann', '5', TIMESTAMP '2024-02-01 00:00', 1.0, 7.0),     -- after the day
                ('bob', '6', TIMESTAMP '2024-01-03 08:00', 2.0, 12345678901.25), -- in rials
                (NULL, '7', TIMESTAMP '2024-01-07 08:00', 1.0, 9.0)
            ) AS t(customer_id, order_id, ordered_at, quantity, unit_price)
            """
        )
        with purchases(con, date(2024, 1, 31)) as days:
            found = con.execute(
                "SELECT customer_id, day, value::DOUBLE FROM predicted_value_purchases ORDER BY ALL"
            ).fetchall()
    assert found == [
        ("ann", date(2024, 1, 1), 15.01),
        ("bob", date(2024, 1, 3), 24691357802.5),
    ]
    assert days == (date(2024, 1, 1), date(2024, 1, 3))
