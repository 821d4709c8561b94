"""Who is in the audience, against rules spelled out row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_pipeline.audience.build import build_audience
from braze_pipeline.errors import ConfigurationError, NotBuilt
from braze_pipeline.settings import (
    AudienceRules,
    Contactable,
    HighValue,
    RecipientGroup,
    TemplateSettings,
)
from braze_pipeline.storage import migrations
from braze_pipeline.storage.partitions import replace_partition
from braze_pipeline_tests.shop import template

DAY = date(2011, 12, 9)


class Row(NamedTuple):
    """What the audience reads of a customer."""

    customer_id: str = "1"
    lifetime_value: float | None = 100.0
    predicted_clv: float | None = None
    l12m_recency: int | None = 10
    email: str | None = "ada@example.com"
    phone: str | None = None
    email_opted_in: bool | None = True
    sms_opted_in: bool | None = None


TYPES = ("VARCHAR", "DOUBLE", "DOUBLE", "BIGINT", "VARCHAR", "VARCHAR", "BOOLEAN", "BOOLEAN")


def put(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, rows: Sequence[Row], day: date = DAY
) -> None:
    columns = ", ".join(f"{n} {k}" for n, k in zip(Row._fields, TYPES, strict=True))
    con.execute(f"CREATE OR REPLACE TEMP TABLE given ({columns})")
    marks = ", ".join(f"({', '.join('?' * len(TYPES))})" for _ in rows)
    con.execute(f"INSERT INTO given VALUES {marks}", [value for row in rows for value in row])
    replace_partition(con, t, "customer_attributes", day, "SELECT * FROM given")


def rule_by_customer(con: duckdb.DuckDBPyConnection, day: date = DAY) -> dict[str, str | None]:
    query = "SELECT customer_id, left_out_by FROM braze.audience WHERE __as_of = ? ORDER BY 1"
    return dict(con.execute(query, [day]).fetchall())


def first_rule(rules: AudienceRules, row: Row, everyone: Sequence[Row]) -> str | None:
    """The first rule that a customer does not pass."""
    value, predicted = row.lifetime_value, row.predicted_clv
    worth = [r.lifetime_value for r in everyone if r.lifetime_value is not None]
    worth = sorted((one for one in worth if one > 0), reverse=True)
    high = []
    if rules.high_value.lifetime_value is not None:
        high.append(value is not None and value >= rules.high_value.lifetime_value)
    if rules.high_value.top_percent is not None:
        best = ceil(len(worth) * Fraction(str(rules.high_value.top_percent)) / 100)
        high.append(value is not None and best > 0 and value >= worth[best - 1])
    if rules.high_value.predicted_value is not None:
        high.append(predicted is not None and predicted >= rules.high_value.predicted_value)
    if high and not any(high):
        return "high_value"
    if row.l12m_recency is None or not 0 <= row.l12m_recency <= rules.active.within_days:
        return "active"
    email = row.email_opted_in is True and bool((row.email or "").strip(" "))
    sms = row.sms_opted_in is True and bool((row.phone or "").strip(" "))
    reached = {"email": email, "sms": sms}
    return None if any(reached[channel] for channel in rules.contactable.by) else "contactable"


some_rows = st.lists(
    st.builds(
        Row,
        lifetime_value=st.sampled_from([None, -5.0, 0.0, 1.0, 50.0, 99.99, 100.0, 250.0]),
        predicted_clv=st.sampled_from([None, 0.0, 499.0, 500.0]),
        l12m_recency=st.sampled_from([None, -1, 0, 364, 365, 366]),
        email=st.sampled_from([None, "", " ", "ada@example.com"]),
        phone=st.sampled_from([None, "", "020 7946 0000"]),
        email_opted_in=st.sampled_from([None, True, False]),
        sms_opted_in=st.sampled_from([None, True, False]),
    ),
    min_size=1,
    max_size=12,
).map(lambda rows: [row._replace(customer_id=str(n)) for n, row in enumerate(rows)])

some_rules = st.builds(
    AudienceRules,
    high_value=st.builds(
        HighValue,
        lifetime_value=st.sampled_from([None, 0.0, 99.99, 100.0]),
        top_percent=st.sampled_from([None, 0.1, 10.0, 25.0, 33.3, 100.0]),
        predicted_value=st.sampled_from([None, 500.0]),
    ),
    contactable=st.builds(
        Contactable, by=st.sampled_from([("email",), ("sms",), ("email", "sms")])
    ),
)


@pytest.fixture(scope="module")
def shared() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        migrations.upgrade(con, "memory")
        con.execute("SET threads = 1")
        yield con


@given(rows=some_rows, rules=some_rules)
@settings(max_examples=120)
def test_everyone_is_in_the_audience_or_excluded_by_the_first_rule_they_fail(
    shared: duckdb.DuckDBPyConnection, rows: list[Row], rules: AudienceRules
) -> None:
    t = template(audience=rules)
    put(shared, t, rows)
    funnel = build_audience(shared, t, DAY)
    wanted = {row.customer_id: first_rule(rules, row, rows) for row in rows}
    assert rule_by_customer(shared) == wanted
    assert funnel.customers == len(rows) == funnel.audience + sum(funnel.excluded.values())
    assert list(funnel.excluded) == ["high_value", "active", "contactable"]
    for rule, count in funnel.excluded.items():
        assert count == list(wanted.values()).count(rule)


@pytest.mark.parametrize(
    ("bought", "best"),
    [([10.0, 20.0, 30.0, 30.0], ["22", "23"]), ([10.0, 20.0, 30.0, 40.0], ["23"])],
)
def test_the_best_percent_are_of_those_who_bought_and_equals_are_together(
    con: duckdb.DuckDBPyConnection, bought: list[float], best: list[str]
) -> None:
    t = template(audience=AudienceRules(high_value=HighValue(top_percent=25)))
    values = [0.0] * 20 + bought
    put(con, t, [Row(str(n), value) for n, value in enumerate(values)])
    build_audience(con, t, DAY)
    members = [customer for customer, rule in rule_by_customer(con).items() if rule is None]
    assert members == best


def test_nobody_who_never_bought_is_among_the_best_even_when_nobody_bought(
    con: duckdb.DuckDBPyConnection,
) -> None:
    t = template(audience=AudienceRules(high_value=HighValue(top_percent=100)))
    put(con, t, [Row("1", 0.0), Row("2", None)])
    assert build_audience(con, t, DAY).excluded["high_value"] == 2


def test_only_the_rows_of_the_day_count_and_a_rerun_replaces_them(
    con: duckdb.DuckDBPyConnection,
) -> None:
    t = template(audience=AudienceRules(high_value=HighValue(lifetime_value=50)))
    before = DAY - timedelta(days=1)
    put(con, t, [Row("1", 10.0), Row("2", 90.0)], before)
    put(con, t, [Row("1", 90.0)])
    for day in (before, DAY, DAY):
        build_audience(con, t, day)
    assert rule_by_customer(con, before) == {"1": "high_value", "2": None}
    assert rule_by_customer(con) == {"1": None}


@pytest.mark.parametrize("prepared", [False, True])
def test_a_day_that_was_not_built_is_refused(
    con: duckdb.DuckDBPyConnection, prepared: bool
) -> None:
    t = template()
    if prepared:
        put(con, t, [Row()], DAY - timedelta(days=1))
    with pytest.raises(NotBuilt, match="no customers of 2011-12-09"):
        build_audience(con, t, DAY)


def test_a_column_that_a_rule_reads_must_be_there_and_only_then(
    con: duckdb.DuckDBPyConnection,
) -> None:
    t = template(
        audience=AudienceRules(
            high_value=HighValue(lifetime_value=1), contactable=Contactable(by=("email",))
        )
    )
    query = "SELECT '1' AS customer_id, 5.0 AS lifetime_value, 1 AS l12m_recency, 'x' AS email"
    replace_partition(con, t, "customer_attributes", DAY, query)
    with pytest.raises(ConfigurationError, match="'email_opted_in'"):
        build_audience(con, t, DAY)
    replace_partition(con, t, "customer_attributes", DAY, query + ", true AS Email_Opted_In")
    assert build_audience(con, t, DAY).audience == 1


def campaign(*wheres: str, **more: Any) -> TemplateSettings:
    groups = tuple(
        RecipientGroup(name=f"group {n}", where=where, attributes=("external_id",))
        for n, where in enumerate(wheres)
    )
    return template(groups=groups, **{"kind": "campaign", **more})


def test_a_campaign_is_for_members_of_its_groups(con: duckdb.DuckDBPyConnection) -> None:
    t = campaign("lifetime_value >= 100 -- the best", "email LIKE '%@example.com'")
    best = Row("1", 100.0)
    inactive = best._replace(customer_id="4", l12m_recency=400)
    put(con, t, [best, Row("2", 5.0), Row("3", 5.0, email="x@example.org"), inactive])
    funnel = build_audience(con, t, DAY)
    members = con.execute("SELECT customer_id, groups FROM braze.audience ORDER BY 1").fetchall()
    both = ["group 0", "group 1"]
    assert members == [("1", both), ("2", ["group 1"]), ("3", []), ("4", both)]
    assert funnel.groups == {"group 0": 1, "group 1": 2}
    assert funnel.excluded["recipient_group"] == 1
    assert funnel.audience == 2


def test_a_condition_that_is_null_does_not_hold(con: duckdb.DuckDBPyConnection) -> None:
    t = campaign("predicted_clv > 5")
    put(con, t, [Row("1"), Row("2", predicted_clv=6.0)])
    assert build_audience(con, t, DAY).groups == {"group 0": 1}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("lifetime_walue > 1", "lifetime_walue"),
        ("email::INTEGER = 1", "Could not convert"),
        ("email", "Could not convert"),
    ],
)
def test_a_condition_that_cannot_be_run_is_reported_with_its_group_and_without_values(
    con: duckdb.DuckDBPyConnection, where: str, message: str
) -> None:
    t = campaign("true", where)
    put(con, t, [Row()])
    with pytest.raises(ConfigurationError) as caught:
        build_audience(con, t, DAY)
    assert "'group 1'" in str(caught.value)
    assert message in str(caught.value)
    assert "ada@" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "made", "needs"),
    [
        ("email_opted_in", "'yes'", "true or false"),
        ("sms_opted_in", "1", "true or false"),
        ("lifetime_value", "'12.50'", "a number"),
        ("predicted_clv", "'high'", "a number"),
        ("l12m_recency", "INTERVAL 3 DAY", "a number"),
    ],
)
def test_a_column_of_another_type_than_its_rule_compares_is_refused_with_the_way_out(
    con: duckdb.DuckDBPyConnection, column: str, made: str, needs: str
) -> None:
    t = template(audience=AudienceRules(high_value=HighValue(lifetime_value=0, predicted_value=1)))
    put(con, t, [Row()])
    query = f"SELECT * REPLACE ({made} AS {column}) FROM given"
    replace_partition(con, t, "customer_attributes", DAY, query)
    with pytest.raises(ConfigurationError) as caught:
        build_audience(con, t, DAY)
    assert f"gives {column} as " in str(caught.value)
    assert f"needs {needs} there" in str(caught.value)
    assert f" AS {column}`" in caught.value.fix


def test_a_column_with_no_value_at_all_may_be_of_any_type(con: duckdb.DuckDBPyConnection) -> None:
    t = template(audience=AudienceRules(high_value=HighValue(lifetime_value=0)))
    put(con, t, [Row()])
    query = "SELECT * REPLACE (NULL AS sms_opted_in, NULL::VARCHAR AS phone) FROM given"
    replace_partition(con, t, "customer_attributes", DAY, query)
    assert build_audience(con, t, DAY).audience == 1
