"""Building a day: what is counted, what is refused, and how the table follows the user's SQL."""

# ruff: noqa: DTZ001 (times of sources have no zone: they are local)

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from braze_pipeline.errors import (
    ConfigurationError,
    ContractBroken,
    MissingRequiredField,
    SourceChanged,
)
from braze_pipeline.settings import (
    AttributeSettings,
    SourceSettings,
    TemplateSettings,
    ValueType,
)
from braze_pipeline.sources import attach_sources
from braze_pipeline.storage import partitions
from braze_pipeline_tests.shop import Consent, Line, Shop, build, template

DAY = date(2011, 12, 9)
NOW = datetime(2026, 1, 1)
AUDIENCE = (
    "0.0 AS lifetime_value, 1 AS l12m_recency, 'x' AS email, 'y' AS phone, "
    "true AS email_opted_in, true AS sms_opted_in"
)

Write = Callable[..., TemplateSettings]


@pytest.fixture
def write(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Write:
    """Writes the user's SQL, and attaches a small shop."""
    Shop(
        customers=["1", "2"],
        lines=[Line("A", "1", datetime(2011, 1, 1), "10001", "BAG", 1, 100)],
    ).attach(con)

    def written(select: str, *, sql: str | None = None, **more: Any) -> TemplateSettings:
        file = tmp_path / "mine.sql"
        body = f"SELECT {select}, {AUDIENCE}\nFROM customers WHERE DATE '2000-01-01' < $as_of"
        file.write_text(body if sql is None else sql, encoding="utf-8")
        return template(file, **more)

    return written


def columns(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    found = con.execute("DESCRIBE braze.customer_attributes").fetchall()
    return {row[0]: row[1] for row in found}


def days(con: duckdb.DuckDBPyConnection) -> list[date]:
    query = "SELECT DISTINCT __as_of FROM braze.customer_attributes ORDER BY 1"
    return [day for (day,) in con.execute(query).fetchall()]


def test_every_order_line_is_counted(con: duckdb.DuckDBPyConnection) -> None:
    def one(order: str | None, customer: str | None, when: datetime, pence: int | None) -> Line:
        return Line(order, customer, when, "10001", "BAG", 1, pence)  # type: ignore[arg-type]

    noon = datetime(2011, 12, 9, 12)
    Shop(
        customers=["1", "2"],
        lines=[
            one("A", "1", noon, 100),
            one("B", None, noon, 100),
            one("C", "7", noon, 100),
            one("D", "1", noon, None),
            one(None, "1", noon, 100),
            one("E", "1", noon + timedelta(hours=12), 100),
            one("F", "1", noon + timedelta(hours=12), None),
        ],
    ).attach(con)
    found = build(con, template(), DAY)
    assert (found.rows, found.lines, found.lines_without_customer) == (2, 5, 1)
    assert (found.lines_of_unknown_customers, found.lines_incomplete) == (1, 2)
    assert found.lines_after == 2
    assert found.nulls["last_order_date"] == 1
    assert found.nulls["customer_id"] == 0


def test_consents_without_a_date_are_counted_whatever_they_say(
    con: duckdb.DuckDBPyConnection,
) -> None:
    said = [(True, None), (False, None), (None, None), (True, datetime(2011, 12, 9))]
    consents = [Consent("1", "email", opted_in, when) for opted_in, when in said]
    Shop(customers=["1"], consents=consents).attach(con)
    assert build(con, template(), DAY).consents_without_date == 3


def test_a_day_without_any_order_or_consent_is_counted_as_such(
    con: duckdb.DuckDBPyConnection,
) -> None:
    Shop(customers=["1"]).attach(con)
    found = build(con, template(), DAY)
    assert (found.rows, found.lines, found.lines_incomplete) == (1, 0, 0)
    assert (found.consents_without_date, found.newest_consent) == (0, None)


def test_ids_that_never_meet_are_an_error_and_not_customers_who_never_bought(
    con: duckdb.DuckDBPyConnection,
) -> None:
    Shop(customers=["0001"], lines=[Line("A", "1", datetime(2011, 1, 1), "1", "BAG", 1, 1)]).attach(
        con
    )
    with pytest.raises(SourceChanged, match="None of the 1 order lines"):
        build(con, template(), DAY)


def test_a_rerun_replaces_its_day_and_no_other(
    con: duckdb.DuckDBPyConnection, write: Write
) -> None:
    t = write("customer_id, 1 AS a")
    for day in (DAY - timedelta(days=1), DAY, DAY):
        build(con, t, day)
    assert con.execute(
        "SELECT __as_of, count(*) FROM braze.customer_attributes GROUP BY ALL ORDER BY 1"
    ).fetchall() == [(DAY - timedelta(days=1), 2), (DAY, 2)]


def test_the_columns_of_the_table_follow_the_sql(
    con: duckdb.DuckDBPyConnection, write: Write
) -> None:
    before = DAY - timedelta(days=1)
    build(con, write("customer_id, 1 AS a, '12' AS b, [1] AS c, 1 AS d"), before)
    build(con, write("customer_id, 12 AS b, 'x' AS c, 2 AS D, 3 AS e"), DAY)
    assert {"b": "INTEGER", "c": "VARCHAR", "D": "INTEGER", "e": "INTEGER"}.items() <= columns(
        con
    ).items()
    assert "a" not in columns(con)
    rows = con.execute(
        "SELECT DISTINCT __as_of, b, D, e FROM braze.customer_attributes ORDER BY 1"
    ).fetchall()
    assert rows == [(before, 12, 1, None), (DAY, 12, 2, 3)]


def test_a_customer_id_of_another_type_becomes_text(
    con: duckdb.DuckDBPyConnection, write: Write
) -> None:
    build(con, write("customer_id::INTEGER AS customer_id"), DAY)
    assert columns(con)["customer_id"] == "VARCHAR"


def test_days_beyond_history_are_dropped_counted_from_the_newest(
    con: duckdb.DuckDBPyConnection, write: Write
) -> None:
    t = write("customer_id", history_days=3)
    for ago in range(6, -1, -1):
        build(con, t, DAY - timedelta(days=ago), now=NOW - timedelta(days=ago * 2))
    assert days(con) == [DAY - timedelta(days=ago) for ago in (2, 1, 0)]


def test_a_backfill_of_the_past_keeps_its_days_until_its_next_steps_had_them(
    con: duckdb.DuckDBPyConnection, write: Write
) -> None:
    t = write("customer_id", history_days=3)
    past = [DAY - timedelta(days=ago) for ago in (300, 200, 100)]
    for day in [DAY, *past]:
        build(con, t, day, now=NOW)
    assert days(con) == [*past, DAY]
    build(con, t, DAY, now=NOW + timedelta(days=2))
    assert days(con) == [DAY]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT customer_id,\n  nosuch\nFROM customers WHERE $as_of > '2000-01-01'", "line 2"),
        ("SELECT 1,\n2,\nFROM WHERE $as_of", "line 3"),
        ("SELECT * FROM nowhere WHERE $as_of > '2000-01-01'", "uses nowhere (line 1)"),
        ("SELECT *\nFROM custmers WHERE $as_of > '2000-01-01'", "Did you mean 'customers'?"),
        ("SELECT * FROM orders", "reads orders and does not use $as_of"),
        (
            "SELECT * FROM customers JOIN orders USING (customer_id) -- $as_of",
            "does not use $as_of",
        ),
        ("SELECT * FROM customers WHERE $as_of > $since", "uses $since"),
        ("SELECT 1; SELECT $as_of", "not one SELECT statement"),
        ("CREATE TABLE a AS SELECT $as_of AS b", "not one SELECT statement"),
        ("", "not one SELECT statement"),
    ],
)
def test_sql_that_cannot_be_run_is_reported_with_file_and_line(
    con: duckdb.DuckDBPyConnection, write: Write, sql: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(con, write("", sql=sql), DAY)
    assert "mine.sql" in str(caught.value)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_operator_with_wrong_types_is_reported_without_all_that_it_could_take(
    con: duckdb.DuckDBPyConnection, write: Write
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(con, write("customer_id, [1] + 'x'::BLOB AS a"), DAY)
    assert "explicit type casts (line 1)." in str(caught.value)
    assert "Candidate" not in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "(customer_id || ' ada@example.com 07700')::INTEGER",
        "error('ada@example.com ' || customer_id || '07700')",
        "CAST(customer_id || 'ada@example.com 07700' AS DATE)",
        "(customer_id || chr(10) || 'ada@example.com' || chr(10) || '07700')::INTEGER",
        "strptime(customer_id || 'ada@example.com 07700', '%d/%m/%Y')",
        "regexp_matches('a', 'ada@example.com 07700' || customer_id || '(')",
        "('ada@example.com 07700' || customer_id)::JSON",
    ],
)
def test_an_error_that_comes_from_data_does_not_show_the_data(
    con: duckdb.DuckDBPyConnection, write: Write, expression: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(con, write(f"customer_id, {expression} AS a"), DAY)
    assert "mine.sql" in str(caught.value)
    assert "07700" not in str(caught.value)
    assert "ada" not in str(caught.value)


def test_a_missing_file_is_reported(con: duckdb.DuckDBPyConnection, write: Write) -> None:
    t = write("customer_id")
    t.attributes_sql.unlink()
    with pytest.raises(ConfigurationError, match=r"mine\.sql cannot be read"):
        build(con, t, DAY)


@pytest.mark.parametrize(
    ("select", "error", "message"),
    [
        ("1 AS a", MissingRequiredField, "no column 'customer_id'"),
        ("NULL AS customer_id", MissingRequiredField, "None of the"),
        ("customer_id, 1 AS __mine", ConfigurationError, "__mine"),
        ("nullif(customer_id, '2') AS customer_id", ContractBroken, "1 row without customer_id"),
        ("left(customer_id, 0) AS customer_id", ContractBroken, "1 row too many"),
        ("customer_id::DOUBLE AS customer_id", ContractBroken, "as DOUBLE: .* '12346.0'"),
        ("customer_id::DECIMAL(9, 2) AS customer_id", ContractBroken, "as DECIMAL"),
    ],
)
def test_a_result_that_breaks_the_contract_is_refused_and_the_day_stays_as_it_was(
    con: duckdb.DuckDBPyConnection,
    write: Write,
    select: str,
    error: type[Exception],
    message: str,
) -> None:
    build(con, write("customer_id, 7 AS kept"), DAY)
    with pytest.raises(error, match=message) as caught:
        build(con, write(select), DAY)
    assert "mine.sql" in str(caught.value)
    assert con.execute("SELECT sum(kept) FROM braze.customer_attributes").fetchone() == (14,)
    assert con.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchone() == (4,)


@pytest.mark.parametrize("type_", ["BIGINT", "DECIMAL(9, 0)", "VARCHAR"])
def test_an_identifier_without_a_fraction_is_taken(
    con: duckdb.DuckDBPyConnection, write: Write, type_: str
) -> None:
    build(con, write(f"customer_id::{type_} AS customer_id"), DAY)
    rows = con.execute("SELECT customer_id FROM braze.customer_attributes ORDER BY 1").fetchall()
    assert rows == [("1",), ("2",)]


def test_a_column_that_the_template_sends_must_be_there(
    con: duckdb.DuckDBPyConnection, write: Write
) -> None:
    sent = AttributeSettings(
        column="shoe_sise", name="Shoe Size", type=ValueType.INTEGER, is_field=False, pii=False
    )
    with pytest.raises(ConfigurationError) as caught:
        build(con, write("customer_id, 1 AS shoe_size", attributes=(sent,)), DAY)
    assert "'shoe_sise', which the attribute 'Shoe Size'" in str(caught.value)
    assert "Did you mean 'shoe_size'?" in str(caught.value)


def test_a_failure_while_writing_leaves_the_table_as_it_was(
    con: duckdb.DuckDBPyConnection, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:

    build(con, write("customer_id, 1 AS a"), DAY)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(partitions, "record_day", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        build(con, write("customer_id, 2 AS a, 3 AS b"), DAY)
    assert "b" not in columns(con)
    assert con.execute("SELECT sum(a) FROM braze.customer_attributes").fetchone() == (2,)


def orders_folder(con: duckdb.DuckDBPyConnection, folder: Path, quantity: str) -> None:
    (folder / "orders").mkdir()
    for name, value in (("a", "1.0::DOUBLE"), ("b", quantity)):
        con.execute(
            "COPY (SELECT 'A' AS order_id, '1' AS customer_id, TIMESTAMP '2011-01-01' AS "
            f"ordered_at, '1' AS product_id, 'BAG' AS product_name, {value} AS quantity, "
            f"1.0 AS unit_price) TO '{folder}/orders/{name}.parquet' (FORMAT parquet)"
        )
    con.execute("DROP TABLE orders")
    attach_sources(con, [SourceSettings(name="orders", path=folder)], time_zone="UTC")


def test_a_file_of_another_type_is_reported_without_its_values(
    con: duckdb.DuckDBPyConnection, write: Write, tmp_path: Path
) -> None:
    with pytest.raises(SourceChanged, match="'quantity' with different types") as caught:
        orders_folder(con, tmp_path, "'ada@example.com'")
    assert "ada@" not in str(caught.value)


def test_a_file_that_disappears_while_it_is_read_is_reported(
    con: duckdb.DuckDBPyConnection, write: Write, tmp_path: Path
) -> None:
    orders_folder(con, tmp_path, "2.0::DOUBLE")
    for file in (tmp_path / "orders").iterdir():
        file.unlink()
    with pytest.raises(SourceChanged, match="could not be read to its end"):
        build(con, write("customer_id"), DAY)
