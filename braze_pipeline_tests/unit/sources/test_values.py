"""Values are read exactly, or the error says where they cannot be."""

# ruff: noqa: DTZ001 (times of sources have no zone: they are local)

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_pipeline.errors import ConfigurationError, SourceChanged
from braze_pipeline.storage import sql_text, warehouse
from braze_pipeline_tests.unit.sources.conftest import CSV, load


def orders(con: duckdb.DuckDBPyConnection, folder: Path, line: str) -> tuple[Any, ...]:
    file = folder / "orders.csv"
    file.write_text(CSV["orders"].splitlines()[0] + "\n" + line + "\n", encoding="utf-8")
    (row,) = load(con, "orders", file)
    return row


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("2011-06-01 10:00:00", datetime(2011, 6, 1, 10)),
        ("2011-06-01T10:00:00", datetime(2011, 6, 1, 10)),
        ("2011-06-01", datetime(2011, 6, 1)),
        ("2011-06-01T23:30:00Z", datetime(2011, 6, 2, 0, 30)),
        ("2011-06-01 10:00:00+02:00", datetime(2011, 6, 1, 9)),
        ("2011-01-01 10:00:00-0500", datetime(2011, 1, 1, 15)),
        ("2011-01-01 10:00:00.5+00", datetime(2011, 1, 1, 10, 0, 0, 500_000)),
    ],
)
def test_times_become_local_and_an_offset_is_not_lost(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, text: str, local: datetime
) -> None:
    assert orders(con, tmp_path, f"A,1,{text},P,BAG,1,1")[2] == local


def test_times_with_a_zone_in_parquet_become_local(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "predictions.parquet"
    con.execute(
        "COPY (SELECT 1 AS customer_id, TIMESTAMPTZ '2011-06-01 23:30:00+00' AS predicted_on, "
        f"1.5 AS predicted_clv) TO '{file}' (FORMAT parquet)"
    )
    assert load(con, "predictions", file) == [("1", date(2011, 6, 2), 1.5)]


@pytest.mark.parametrize(
    ("text", "yes"),
    [("True", True), ("1", True), ("y", True), ("FALSE", False), ("0.0", False), ("", None)],
)
def test_words_for_yes_and_no(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, text: str, yes: bool | None
) -> None:
    file = tmp_path / "consents.csv"
    file.write_text(CSV["consents"].splitlines()[0] + f"\n1,email,{text},2011-01-01\n")
    assert load(con, "consents", file)[0][2] is yes


def test_numbers_for_yes_and_no_are_read_and_others_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "consents.parquet"
    query = (
        "SELECT 1 AS customer_id, 'sms' AS channel, {} AS opted_in, DATE '2011-01-01' AS changed_at"
    )
    con.execute(f"COPY ({query.format(0)}) TO '{file}' (FORMAT parquet)")
    assert load(con, "consents", file) == [("1", "sms", False, datetime(2011, 1, 1))]
    con.execute(f"COPY ({query.format(2)}) TO '{file}' (FORMAT parquet)")
    with pytest.raises(SourceChanged, match="'opted_in' that are not a BOOLEAN: 1 of them"):
        load(con, "consents", file)


@pytest.mark.parametrize("precision", [38, 39, 50, 56, 75, 76])
def test_a_decimal_in_parquet_is_read_exactly_or_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, precision: int
) -> None:
    file = tmp_path / "amounts.parquet"
    type_ = pa.decimal128(38, 2) if precision == 38 else pa.decimal256(precision, 2)
    amounts = [Decimal("1.50"), Decimal("-12.25"), None]
    pq.write_table(pa.table({"amount": pa.array(amounts, type_)}), file)
    if precision in {38, 56, 75, 76}:  # 16, 24, 32 and 32 bytes
        assert load(con, "amounts", file) == [(1.5,), (-12.25,), (None,)]
    else:
        with pytest.raises(SourceChanged, match=f"'amount' as a decimal of {precision} digits"):
            load(con, "amounts", file)


def test_a_birth_date_that_is_a_date_is_shown_as_one(
    con: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    for kind in ("DATE", "TIMESTAMP"):
        file = folder / "customers.parquet"
        con.execute(
            f"COPY (SELECT * REPLACE ({kind} '1980-02-01' AS birthdate) "
            f"FROM read_csv('{folder}/customers.csv', all_varchar = true)) TO '{file}'"
        )
        assert load(con, "customers", file)[0][7] == "1980-02-01"


def test_columns_are_mapped_found_in_any_case_and_further_ones_pass_through(
    con: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    file = folder / "customers.csv"
    text = CSV["customers"].replace("surname", "Family Name").replace("city", "CITY")
    text = "".join(line + f",{n}\n" for n, line in enumerate(text.splitlines())).replace(
        ",0\n", ",Shoe Size\n", 1
    )
    file.write_text(text, encoding="utf-8")
    load(con, "customers", file, surname="family name")
    found = con.execute('SELECT surname, city, "Shoe Size" FROM customers').fetchall()
    assert found == [("Lovelace", "London", "1"), (None, None, "2")]


def test_a_missing_column_is_named_with_what_is_there_and_what_is_near(
    con: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    file = folder / "orders.csv"
    file.write_text(CSV["orders"].replace("ordered_at", "order_at"), encoding="utf-8")
    with pytest.raises(SourceChanged) as caught:
        load(con, "orders", file)
    message = str(caught.value)
    assert "orders" in message
    assert str(file) in message
    assert "no column 'ordered_at'" in message
    assert "It has: order_id, customer_id, order_at" in message
    assert "Did you mean 'order_at'?" in message


def test_a_mapped_optional_column_must_be_there(
    con: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    with pytest.raises(SourceChanged, match="no column 'lang'"):
        load(con, "customers", folder / "customers.csv", language="lang")


def test_a_mapping_to_an_unknown_column_is_refused(
    con: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    with pytest.raises(ConfigurationError, match="maps sirname"):
        load(con, "customers", folder / "customers.csv", sirname="surname")


@pytest.mark.parametrize(
    ("table", "column", "old", "new", "row"),
    [
        ("orders", "quantity", ",1,3", ",two,3", 3),
        ("orders", "unit_price", ",1,3", ',1,"3,50"', 3),
        ("orders", "unit_price", ",1,3", ",1,nan", 3),
        ("orders", "unit_price", ",1,3", ",1,100000000000000", 3),
        ("orders", "quantity", ",1,3", ",-2e17,3", 3),
        ("orders", "ordered_at", "2011-01-03", "03.01.2011 ", 4),
        ("orders", "ordered_at", "2011-01-03", "infinity", 4),
        ("orders", "ordered_at", "2011-01-03", "2011-02-30", 4),
        ("orders", "ordered_at", "2011-01-03", "11-01-03", 4),
        ("orders", "ordered_at", "2011-01-03", "1/3/11", 4),
        ("orders", "ordered_at", "2011-01-03", "2211-01-03", 4),
        ("consents", "changed_at", "2011-01-01 10:00:00", "11-01-01T10:00:00Z", 2),
        ("predictions", "predicted_on", "2011-01-01", "11-01-01", 2),
        ("consents", "opted_in", ",no,", ",maybe,", 3),
        ("predictions", "predicted_on", "2011-01-01", "soon", 2),
    ],
)
def test_a_value_that_cannot_be_read_is_reported_by_column_and_row_and_not_shown(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    table: str,
    column: str,
    old: str,
    new: str,
    row: int,
) -> None:
    file = folder / f"{table}.csv"
    file.write_text(CSV[table].replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SourceChanged) as caught:
        load(con, table, file)
    message = str(caught.value)
    assert f"'{column}'" in message
    assert f"1 of them, the first in row {row} (the header is row 1)" in message
    assert str(file) in message
    assert new.strip(',"') not in message


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
@pytest.mark.parametrize("year", ["0024", "1899", "2100", "infinity"])
def test_a_typed_date_outside_the_plausible_years_is_reported_with_file_column_and_count(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str, year: str
) -> None:
    file = tmp_path / "predictions.parquet"
    wrong = year if year == "infinity" else f"{year}-03-01"
    con.execute(
        f"COPY (SELECT 1 AS customer_id, unnest(['1900-01-02', '2099-12-30', NULL, '{wrong}', "
        f"'{wrong}'])::{kind} AS predicted_on, 1.5 AS predicted_clv) TO '{file}' (FORMAT parquet)"
    )
    with pytest.raises(SourceChanged) as caught:
        load(con, "predictions", file)
    assert f"({file}) has values in the column 'predicted_on'" in str(caught.value)
    assert "the years 1900 to 2099: 2 of them, the first in row 4" in str(caught.value)
    assert wrong not in str(caught.value)


@pytest.mark.parametrize("kind", ["DOUBLE", "BIGINT", "HUGEINT", "DECIMAL(20, 2)"])
def test_a_typed_number_that_is_too_large_is_reported_with_file_column_and_count(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "predictions.parquet"
    values = "[99999999999999, -1, NULL, 100000000000000, -100000000000000, 1]"
    con.execute(
        f"COPY (SELECT 1 AS customer_id, DATE '2011-01-01' AS predicted_on, unnest({values})"
        f"::{kind} AS predicted_clv) TO '{file}' (FORMAT parquet)"
    )
    with pytest.raises(SourceChanged) as caught:
        load(con, "predictions", file)
    assert f"({file}) has values in the column 'predicted_clv'" in str(caught.value)
    assert "not a DOUBLE between -10^14 and 10^14: 2 of them, the first in row 4" in str(
        caught.value
    )


def test_a_decimal_of_many_digits_behind_the_point_is_read(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "predictions.parquet"
    con.execute(
        "COPY (SELECT 1 AS customer_id, DATE '2011-01-01' AS predicted_on, "
        f"0.5::DECIMAL(38, 30) AS predicted_clv) TO '{file}' (FORMAT parquet)"
    )
    load(con, "predictions", file)
    assert con.execute("SELECT predicted_clv FROM predictions").fetchall() == [(0.5,)]


@given(day=st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
@settings(max_examples=60)
def test_a_time_is_read_as_it_is_written_or_refused_and_its_form_does_not_matter(
    day: datetime, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("times")
    rows = {"customer_id": ["1"], "channel": ["sms"], "opted_in": [True]}
    for name, column in {
        "typed": pa.array([day], pa.timestamp("us")),
        "text": pa.array([day.isoformat(sep=" ")]),
        "short": pa.array([day.isoformat(sep=" ").lstrip("0")]),
    }.items():
        file = folder / f"{name}.parquet"
        pq.write_table(pa.table(rows | {"changed_at": column}), file)
        with duckdb.connect() as con:
            warehouse.prepare(con)
            if 1900 <= day.year < 2100:
                assert load(con, "consents", file)[0][3] == day
                continue
            with pytest.raises(SourceChanged, match="1900 to 2099"):
                load(con, "consents", file)


def test_text_in_parquet_is_checked_too(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = tmp_path / "predictions.parquet"
    con.execute(
        "COPY (SELECT 1 AS customer_id, unnest(['2011-01-01', 'x@example.com']) AS predicted_on, "
        f"1.5 AS predicted_clv) TO '{file}' (FORMAT parquet)"
    )
    with pytest.raises(SourceChanged, match=r"first in row 2, of the form 'x@xxxxxxx\.xxx'"):
        load(con, "predictions", file)


@pytest.mark.parametrize(
    ("expression", "column"),
    [("1::BIGINT", "predicted_on"), ("[1]", "predicted_clv"), ("{'a': 1}", "customer_id")],
)
def test_a_type_that_cannot_be_read_is_named(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, expression: str, column: str
) -> None:
    file = tmp_path / "predictions.parquet"
    con.execute(
        "COPY (SELECT * REPLACE (" + expression + f" AS {column}) FROM (SELECT 1 AS customer_id, "
        f"DATE '2011-01-01' AS predicted_on, 1.5 AS predicted_clv)) TO '{file}' (FORMAT parquet)"
    )
    with pytest.raises(SourceChanged, match=f"the column '{column}' as"):
        load(con, "predictions", file)


@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
            lambda text: text.strip() == text
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=40)
def test_any_text_comes_through_csv_and_parquet_letter_by_letter(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import csv

    folder = tmp_path_factory.mktemp("texts")
    with (folder / "customers.csv").open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(CSV["customers"].splitlines()[0].split(","))
        writer.writerows([str(n), name, *[""] * 8] for n, name in enumerate(names))
    with duckdb.connect() as con:
        warehouse.prepare(con)
        load(con, "customers", folder / "customers.csv")
        query = "SELECT given_name FROM customers ORDER BY customer_id::INTEGER"
        assert [row[0] for row in con.execute(query).fetchall()] == names
        con.execute(f"COPY (FROM customers) TO '{folder}/customers.parquet' (FORMAT parquet)")
        load(con, "customers", folder / "customers.parquet")
        assert [row[0] for row in con.execute(query).fetchall()] == names


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_of_the_source_keep_their_values_whatever_their_names(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str
) -> None:
    names = ["c0", "f0", "F1", "n", "bad", "value", "__unreadable0", "__orders", 'a"b', "ä", "Ä"]
    header = CSV["orders"].splitlines()[0].split(",")
    rows = [["A", "1", "2011-01-01", "P", "BAG", "1", "1", *(f"<{name}>" for name in names)]]
    table = pa.Table.from_pylist([dict(zip([*header, *names], row, strict=True)) for row in rows])
    file = tmp_path / f"orders.{kind}"
    if kind == "csv":
        pa.csv.write_csv(table, file)
    else:
        pq.write_table(table, file)
    load(con, "orders", file)
    quoted = ", ".join(sql_text.quote(name) for name in names)
    found = con.execute(f"SELECT {quoted} FROM orders").fetchall()
    assert found == [tuple(f"<{name}>" for name in names)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_row_of_an_unreadable_value_is_its_own_whatever_the_columns_are_called(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str
) -> None:
    table = pa.table(
        {
            "customer_id": ["1", "2"], "channel": ["email", "email"], "opted_in": ["yes", "?"],
            "changed_at": ["2011-01-01", "2011-01-02"], "n": ["secret", "secret"],
            "bad": ["true", "true"],
        }
    )  # fmt: skip
    file = tmp_path / f"consents.{kind}"
    if kind == "csv":
        pa.csv.write_csv(table, file)
    else:
        pq.write_table(table, file)
    with pytest.raises(SourceChanged, match=f"the first in row {3 if kind == 'csv' else 2}") as e:
        load(con, "consents", file)
    assert "secret" not in str(e.value)
