"""The shipped SQL against an oracle that computes each customer apart."""

# ruff: noqa: DTZ001 (times of sources have no zone: they are local)

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_pipeline.storage import migrations, warehouse
from braze_pipeline_tests.shop import (
    Consent,
    Line,
    Prediction,
    Shop,
    build,
    expected,
    same,
    template,
)

AS_OF = date(2012, 2, 29)
CUSTOMERS = ("1", "2", "3", "4")


def built(con: duckdb.DuckDBPyConnection, shop: Shop, as_of: date) -> dict[str, dict[str, Any]]:
    shop.attach(con)
    build(con, template(), as_of)
    found = con.execute("SELECT * FROM braze.customer_attributes WHERE __as_of = ?", [as_of])
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {row["customer_id"]: row for row in rows}


def check(found: dict[str, dict[str, Any]], wanted: dict[str, dict[str, Any]]) -> None:
    assert found.keys() == wanted.keys()
    for customer, attributes in wanted.items():
        for name, value in attributes.items():
            assert same(found[customer][name], value), (
                customer,
                name,
                found[customer][name],
                value,
            )


# Around the day itself, the year before it, and 90 days apart; and any time of day.
days = st.sampled_from([0, 1, 2, 89, 90, 91, 364, 365, 366, 367, 500]) | st.integers(0, 800)
seconds = st.sampled_from([0, 1, 43200, 86399])
past = st.builds(
    lambda ago, second: datetime.combine(AS_OF, datetime.min.time())
    + timedelta(seconds=second) - timedelta(days=ago),
    days, seconds,
)  # fmt: skip
future = st.builds(
    lambda ahead, second: datetime.combine(AS_OF, datetime.min.time())
    + timedelta(days=1 + ahead, seconds=second),
    st.integers(0, 40), seconds,
)  # fmt: skip


def lines(when: st.SearchStrategy[datetime]) -> st.SearchStrategy[list[Line]]:
    return st.lists(
        st.builds(
            Line,
            order_id=st.sampled_from(["A1", "A2", "A3", "A4", "A5", "C1", "C2", "539"]),
            customer_id=st.sampled_from([*CUSTOMERS[:3], None, "9"]),
            ordered_at=when,
            product_id=st.sampled_from(["10001", "10002", "85123A", "POST", "M", "gift_1", None]),
            product_name=st.sampled_from(
                ["BAG", "CUP ", "CUP", "TEA", "PEN", "HAT", "BOX", "", None]
            ),
            quantity=st.sampled_from([1, 2, 3, -1, -2, 0, 12, None]),
            pence=st.sampled_from([0, 1, 125, 333, 1000, -50, None])
            | st.sampled_from(["0.5", "100.5", "28.7"]).map(Decimal),
        ),
        max_size=25,
    )


def consents(when: st.SearchStrategy[datetime]) -> st.SearchStrategy[list[Consent]]:
    return st.lists(
        st.builds(
            Consent,
            customer_id=st.sampled_from(CUSTOMERS),
            channel=st.sampled_from(["email", "sms", "push"]),
            opted_in=st.sampled_from([True, False, None]),
            changed_at=when | st.none(),
        ),
        max_size=10,
    )


def predictions(when: st.SearchStrategy[datetime]) -> st.SearchStrategy[list[Prediction]]:
    return st.lists(
        st.builds(
            Prediction,
            customer_id=st.sampled_from(CUSTOMERS),
            predicted_on=when.map(datetime.date),
            predicted_clv=st.sampled_from([0.0, 1.5, 700.25, None]),
        ),
        max_size=6,
    )


def shops(when: st.SearchStrategy[datetime]) -> st.SearchStrategy[Shop]:
    return st.builds(
        Shop,
        customers=st.just(CUSTOMERS),
        # Someone known always bought something: that nobody did is an error of its own.
        lines=lines(when).map(
            lambda some: [
                Line("Z", "1", datetime(2010, 1, 5, 9), "10001", "BAG", 1, 125), *some
            ]
        ),
        consents=consents(when),
        predictions=predictions(when),
    )  # fmt: skip


@pytest.fixture(scope="module")
def shared() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        warehouse.prepare(con)
        migrations.upgrade(con, "memory")
        con.execute("SET threads = 1")  # quicker for tables of a few rows
        yield con


@given(shop=shops(past | future))
@settings(max_examples=100)
def test_every_attribute_is_what_the_oracle_computes(
    shared: duckdb.DuckDBPyConnection, shop: Shop
) -> None:
    check(built(shared, shop, AS_OF), expected(shop, AS_OF))


@given(shop=shops(past), later=shops(future))
@settings(max_examples=30)
def test_rows_dated_after_the_day_change_nothing(
    shared: duckdb.DuckDBPyConnection, shop: Shop, later: Shop
) -> None:
    before = built(shared, shop, AS_OF)
    both = Shop(
        customers=CUSTOMERS,
        lines=[*shop.lines, *later.lines[1:]],
        # A withdrawal without a date is not one of a later day.
        consents=[*shop.consents, *(one for one in later.consents if one.changed_at)],
        predictions=[*shop.predictions, *later.predictions],
    )
    assert built(shared, both, AS_OF) == before


@given(shop=shops(past), seed=st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_order_of_rows_changes_nothing(
    shared: duckdb.DuckDBPyConnection, shop: Shop, seed: Any
) -> None:
    before = built(shared, shop, AS_OF)
    shuffled = Shop(
        customers=seed.sample(CUSTOMERS, len(CUSTOMERS)),
        lines=seed.sample(shop.lines, len(shop.lines)),
        consents=seed.sample(shop.consents, len(shop.consents)),
        predictions=seed.sample(shop.predictions, len(shop.predictions)),
    )
    assert built(shared, shuffled, AS_OF) == before


def line(
    order: str, when: datetime, quantity: int = 1, pence: int | Decimal = 1000, **more: Any
) -> Line:
    row = {"product_id": "10001", "product_name": "BAG", "customer_id": "1"} | more
    return Line(order_id=order, ordered_at=when, quantity=quantity, pence=pence, **row)


def of_one(con: duckdb.DuckDBPyConnection, *lines: Line, as_of: date = AS_OF) -> dict[str, Any]:
    return built(con, Shop(customers=["1"], lines=lines), as_of)["1"]


def test_an_order_in_the_last_second_of_the_day_counts_and_a_second_later_does_not(
    con: duckdb.DuckDBPyConnection,
) -> None:
    found = of_one(
        con,
        line("A", datetime(2012, 2, 29, 23, 59, 59)),
        line("B", datetime(2012, 3, 1, 0, 0, 0)),
    )
    assert (found["lifetime_orders"], found["l12m_recency"]) == (1, 0)


def test_the_last_twelve_months_begin_the_day_after_the_day_a_year_ago(
    con: duckdb.DuckDBPyConnection,
) -> None:
    found = of_one(
        con,
        line("A", datetime(2010, 12, 9, 23, 59)),
        line("B", datetime(2010, 12, 10)),
        as_of=date(2011, 12, 9),
    )
    assert (found["l12m_frequency"], found["l12m_monetary"]) == (1, 10.0)


def test_a_cancellation_lowers_the_value_and_is_no_order(con: duckdb.DuckDBPyConnection) -> None:
    found = of_one(
        con,
        line("A", datetime(2012, 1, 1), quantity=4),
        line("CA", datetime(2012, 1, 9), quantity=-1),
    )
    assert (found["lifetime_value"], found["lifetime_orders"]) == (30.0, 1)
    assert (found["average_order_value"], found["return_rate"]) == (40.0, 0.25)
    assert found["last_order_date"] == date(2012, 1, 1)
    assert found["one_and_done"] is True


def test_the_penny_of_a_line_is_rounded_as_it_is_written(con: duckdb.DuckDBPyConnection) -> None:
    # As floating point numbers 3 * 1.005 is 3.0149999999999997.
    found = of_one(con, line("A", datetime(2012, 1, 1), quantity=3, pence=Decimal("100.5")))
    assert found["lifetime_value"] == 3.02


def test_an_order_line_may_be_as_large_as_any_currency_needs(
    con: duckdb.DuckDBPyConnection,
) -> None:
    # A car in rials is some ten billion.
    for pence, value in ((1234567890125, 24691357802.5), (123456789012300, 2469135780246.0)):
        found = of_one(con, line("A", datetime(2012, 1, 1), quantity=2, pence=pence))
        assert (found["lifetime_value"], found["average_order_value"]) == (value, value)


def test_an_average_that_is_half_a_penny_is_exactly_that(con: duckdb.DuckDBPyConnection) -> None:
    # As floating point numbers 3779.55 / 6 is 629.9250000000001, and 2.15 / 10 less than 0.215.
    for pence, orders, average in ((377955, 6, 629.925), (215, 10, 0.215)):
        rest = [line(f"A{n}", datetime(2012, 1, 1), pence=1) for n in range(1, orders)]
        paid = line("A", datetime(2012, 1, 1), pence=pence - len(rest))
        assert of_one(con, paid, *rest)["average_order_value"] == average


def test_postage_is_money_but_no_product(con: duckdb.DuckDBPyConnection) -> None:
    post: dict[str, Any] = {"product_id": "POST", "product_name": "POSTAGE"}
    found = of_one(
        con,
        line("A", datetime(2012, 1, 1)),
        line("A", datetime(2012, 1, 1), pence=500, **post),
        line("CA", datetime(2012, 1, 2), quantity=-1, pence=500, **post),
    )
    assert (found["lifetime_value"], found["average_order_value"]) == (10.0, 15.0)
    assert (found["return_rate"], found["favourite_products"]) == (0.0, ["BAG"])


def test_returns_of_what_was_bought_before_the_data_begin_are_at_most_everything(
    con: duckdb.DuckDBPyConnection,
) -> None:
    found = of_one(
        con,
        line("A", datetime(2012, 1, 1)),
        line("CB", datetime(2012, 1, 2), quantity=-50),
    )
    assert (found["return_rate"], found["lifetime_value"]) == (1.0, -490.0)


def test_a_customer_who_never_ordered_has_zeros_and_nulls(con: duckdb.DuckDBPyConnection) -> None:
    shop = Shop(customers=["1", "2"], lines=[line("A", datetime(2012, 1, 1))])
    found = built(con, shop, AS_OF)["2"]
    zeros = {"l12m_monetary", "l12m_frequency", "lifetime_value", "lifetime_orders"}
    assert {name: found[name] for name in zeros} == dict.fromkeys(zeros, 0)
    flags = {"one_and_done", "early_repeat_purchaser", "email_opted_in", "sms_opted_in"}
    assert {name: found[name] for name in flags} == dict.fromkeys(flags, False)
    own = {"customer_id", "__as_of"}
    others = {name: found[name] for name in found.keys() - zeros - flags - own}
    assert others == dict.fromkeys(others)


def test_a_withdrawal_without_a_date_counts_as_the_last_and_an_opt_in_without_one_does_not(
    con: duckdb.DuckDBPyConnection,
) -> None:
    yesterday = datetime(2012, 1, 1)
    consents = [
        Consent("1", "email", opted_in=True, changed_at=yesterday),
        Consent("1", "email", opted_in=False, changed_at=None),
        Consent("1", "sms", opted_in=True, changed_at=yesterday),
        Consent("1", "sms", opted_in=None, changed_at=None),
        Consent("2", "email", opted_in=False, changed_at=yesterday),
        Consent("2", "email", opted_in=True, changed_at=None),
        Consent("2", "sms", opted_in=True, changed_at=yesterday),
        Consent("2", "sms", opted_in=True, changed_at=None),
    ]
    shop = Shop(customers=["1", "2"], lines=[line("A", yesterday)], consents=consents)
    found = built(con, shop, AS_OF)
    assert {c: (row["email_opted_in"], row["sms_opted_in"]) for c, row in found.items()} == {
        "1": (False, False),
        "2": (False, True),
    }


def test_the_types_are_those_that_a_template_expects(con: duckdb.DuckDBPyConnection) -> None:
    Shop(customers=["1"], lines=[line("A", datetime(2012, 1, 1))]).attach(con)
    types = dict(build(con, template(), AS_OF).columns)
    doubles = (
        "l12m_monetary", "lifetime_value", "average_order_value", "return_rate",
        "days_between_orders", "predicted_clv",
    )  # fmt: skip
    assert {types[name] for name in doubles} == {"DOUBLE"}
    assert {types[n] for n in ("l12m_frequency", "l12m_recency", "lifetime_orders")} == {"BIGINT"}
    assert {types[n] for n in ("first_order_date", "last_order_date")} == {"DATE"}
    assert {types[n] for n in ("one_and_done", "early_repeat_purchaser", "sms_opted_in")} == {
        "BOOLEAN"
    }
    assert types["favourite_products"] == "VARCHAR[]"
