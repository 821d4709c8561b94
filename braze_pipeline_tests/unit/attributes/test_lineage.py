"""From which source columns the brand's own columns come, for SQL of many kinds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from braze_pipeline.attributes import lineage
from braze_pipeline.attributes.lineage import (
    Columns,
    Lineage,
    Origins,
    cached_lineage,
    follow,
    last_lineage,
)
from braze_pipeline.settings import replace
from braze_pipeline.sources import TABLES, SourceInfo
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.shop import SQL_FILE, template

SOURCES = [
    SourceInfo(
        name=name,
        location="here",
        rows=1,
        columns=tuple((column.name, column.type) for column in table.columns),
        newest=None,
    )
    for name, table in TABLES.items()
]


COLUMNS = {source.name: source.columns for source in SOURCES}

Of = Callable[[str], Origins]


@pytest.fixture
def of() -> Of:
    return lambda sql: follow(sql, COLUMNS).origins


def test_every_column_of_the_sample_is_traced_to_its_sources() -> None:
    found = follow(SQL_FILE.read_text(encoding="utf-8"), COLUMNS).origins
    assert found["email"] == [("customers", "email")]
    assert found["lifetime_value"] == [("orders", "quantity"), ("orders", "unit_price")]
    assert found["email_opted_in"] == [
        ("consents", "changed_at"), ("consents", "channel"), ("consents", "opted_in"),
    ]  # fmt: skip
    assert all(found.values())


@pytest.mark.parametrize(
    ("sql", "column", "expected"),
    [
        ("FROM customers SELECT customer_id, upper(email) AS e", "e", [("customers", "email")]),
        ("SELECT * FROM customers WHERE $as_of > DATE '2000-01-01'", "city",
         [("customers", "city")]),
        ("SELECT (SELECT max(o.ordered_at) FROM orders o) AS m FROM customers c", "m",
         [("orders", "ordered_at")]),
        ("SELECT customer_id FROM customers UNION ALL SELECT customer_id FROM orders",
         "customer_id", [("customers", "customer_id"), ("orders", "customer_id")]),
        ("SELECT 1 AS one FROM customers", "one", []),
        ("SELECT i FROM customers, range(3) AS r(i)", "i", []),
    ],
)  # fmt: skip
def test_values_are_followed_through_names_joins_and_subqueries(
    of: Of, sql: str, column: str, expected: list[tuple[str, str]]
) -> None:
    assert list(of(sql)[column]) == expected


def test_columns_that_are_read_again_and_again_are_followed_once(of: Of) -> None:
    steps = ["s0 AS (SELECT customer_id AS a, city AS b FROM customers)"]
    steps += [f"s{n} AS (SELECT a || b AS a, b || a AS b FROM s{n - 1})" for n in range(1, 60)]
    found = of(f"WITH {', '.join(steps)} SELECT a FROM s59")  # 2 to the power of 59 ways
    assert list(found["a"]) == [("customers", "city"), ("customers", "customer_id")]


@pytest.mark.parametrize(
    "sql",
    ["", "nonsense (", "PIVOT orders ON product_id USING sum(quantity)", "SELECT nothing FROM no"],
)
def test_what_cannot_be_followed_is_no_failure(of: Of, sql: str) -> None:
    assert not any(of(sql).values())


def test_it_is_followed_again_only_where_something_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[str] = []

    def counted(sql: str, columns: Columns, *, dialect: str) -> Lineage:
        followed.append(sql)
        return follow(sql, columns, dialect=dialect)

    monkeypatch.setattr(lineage, "follow", counted)
    file = tmp_path / "mine.sql"
    t = replace(template(), attributes_sql=file)
    customers = [source for source in SOURCES if source.name == "customers"]
    with Warehouse(tmp_path / "warehouse.duckdb").connect() as con:
        file.write_text("SELECT customer_id, city AS place FROM customers", encoding="utf-8-sig")
        first = cached_lineage(con, t, SOURCES)
        assert cached_lineage(con, t, SOURCES) == first
        assert first.origins["place"] == [("customers", "city")]
        assert len(followed) == 1
        assert last_lineage(con, t) == first
        file.write_text("SELECT customer_id, country AS place FROM customers", encoding="utf-8")
        assert cached_lineage(con, t, SOURCES).origins["place"] == [("customers", "country")]
        fewer = [dataclasses.replace(customers[0], columns=(("customer_id", "VARCHAR"),))]
        assert not cached_lineage(con, t, fewer).origins.get("place")
        other = replace(t, name="other")
        cached_lineage(con, other, SOURCES)  # a template of its own, kept beside
        cached_lineage(con, t, fewer)
        assert len(followed) == 4


@pytest.mark.parametrize(
    ("made_by", "content"),
    [
        ("upper(email)", {"email"}),
        ("split_part(email, '@', 2)", {"email"}),
        ("given_name || ' ' || surname", {"given_name", "surname"}),
        ("md5(lower(email))", {"email"}),
        ("CASE WHEN gender = 'F' THEN 'Ms' ELSE 'Mr' END", {"gender"}),
        ("date_diff('year', birthdate::DATE, $as_of)", {"birthdate"}),
        ("(SELECT max(c2.city) FROM customers AS c2)", {"city"}),
        ("email IS NOT NULL", set()),
        ("trim(phone) <> ''", set()),
        ("CASE WHEN email IS NULL THEN 'sms' ELSE 'mail' END", set()),
        ("count(email) OVER (PARTITION BY city)", set()),
        ("row_number() OVER (ORDER BY surname)", set()),
        ("(SELECT sum(o.quantity) FILTER (c.country = 'GB') FROM orders AS o)", {"quantity"}),
        ("(SELECT sum(CASE WHEN c.country = 'GB' THEN o.quantity END) FROM orders AS o)",
         {"quantity"}),
        ("(SELECT max_by(o.product_name, c.city) FROM orders AS o)", {"product_name"}),
        ("c.nickname", {"nickname"}),
        ("(SELECT x.nickname FROM (SELECT * FROM customers) AS x)", {"nickname"}),
    ],
)  # fmt: skip
def test_the_content_of_a_value_is_what_it_says_something_of(
    made_by: str, content: set[str]
) -> None:
    found = follow(f"SELECT {made_by} AS Made FROM customers AS c", COLUMNS)
    assert {column for _, column in found.content["made"]} == content
    assert found.complete


@pytest.mark.parametrize(
    "sql", ["nonsense (", "SELECT COLUMNS('e.*') FROM customers", "SELECT * FROM elsewhere"]
)
def test_it_is_known_that_some_columns_are_not(sql: str) -> None:
    assert not follow(sql, COLUMNS).complete


def test_what_an_older_version_kept_is_not_read(tmp_path: Path) -> None:
    with Warehouse(tmp_path / "warehouse.duckdb").connect() as con:
        t = template()
        assert last_lineage(con, t) == Lineage()
        con.execute(f"INSERT INTO {lineage.TABLE} VALUES ('braze', 'main', 'x', '{{\"a\": []}}')")
        assert last_lineage(con, t) == Lineage()
