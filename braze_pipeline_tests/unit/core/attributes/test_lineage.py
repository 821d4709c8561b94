"""From which source columns the brand's own columns come, for SQL of many kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from braze_pipeline.core import lineage
from braze_pipeline.core.lineage import Origins, kept_origins, origins
from braze_pipeline.core.sources import TABLES, SourceInfo
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


Of = Callable[[str], Origins]


@pytest.fixture
def of() -> Of:
    return lambda sql: origins(sql, SOURCES)


def test_the_sample_tells_where_each_of_its_columns_comes_from() -> None:
    found = origins(SQL_FILE.read_text(encoding="utf-8"), SOURCES)
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

    def counted(sql: str, sources: Sequence[SourceInfo]) -> Origins:
        followed.append(sql)
        return origins(sql, sources)

    monkeypatch.setattr(lineage, "origins", counted)
    file = tmp_path / "mine.sql"
    t = replace(template(), attributes_sql=file)
    customers = [source for source in SOURCES if source.name == "customers"]
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        file.write_text("SELECT customer_id, city AS place FROM customers", encoding="utf-8-sig")
        first = kept_origins(con, t, SOURCES)
        assert kept_origins(con, t, SOURCES) == first
        assert first["place"] == [("customers", "city")]
        assert len(followed) == 1
        file.write_text("SELECT customer_id, country AS place FROM customers", encoding="utf-8")
        assert kept_origins(con, t, SOURCES)["place"] == [("customers", "country")]
        fewer = [replace(customers[0], columns=(("customer_id", "VARCHAR"),))]
        assert not kept_origins(con, t, fewer).get("place")
        other = replace(t, name="other")
        kept_origins(con, other, SOURCES)  # a template of its own, kept beside
        kept_origins(con, t, fewer)
        assert len(followed) == 4
