"""Ids arrive letter by letter, whatever type the source has them in."""

# ruff: noqa: DTZ001 (times of sources have no zone: they are local)

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_pipeline.errors import SourceChanged
from braze_pipeline.storage import warehouse
from braze_pipeline_tests.unit.sources.conftest import CSV, load


def test_ids_that_pandas_made_floats_are_ids_again_and_nan_is_missing(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "orders.parquet"
    con.execute(
        "COPY (SELECT 1234567890123456.0::DOUBLE AS order_id, "
        "unnest([12346.0, 'NaN'::DOUBLE]) AS customer_id, "
        "TIMESTAMP '2011-01-01' AS ordered_at, 'P' AS product_id, 'BAG' AS product_name, "
        f"'NaN'::DOUBLE AS quantity, 2::FLOAT AS unit_price) TO '{file}' (FORMAT parquet)"
    )
    found = load(con, "orders", file)
    assert [(row[0], row[1], row[5], row[6]) for row in found] == [
        ("1234567890123456", "12346", None, 2.0),
        ("1234567890123456", None, None, 2.0),
    ]


def test_ids_that_are_decimals_are_whole_numbers_where_they_can_be(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "predictions.parquet"
    ids = "[12346, 100, 0, 1.5, 12345678901234567890]::DECIMAL(38, 10)[]"
    con.execute(
        f"COPY (SELECT unnest({ids}) AS customer_id, DATE '2011-01-01' AS predicted_on, "
        f"1.5 AS predicted_clv) TO '{file}' (FORMAT parquet)"
    )
    assert [row[0] for row in load(con, "predictions", file)] == [
        "12346", "100", "0", "1.5000000000", "12345678901234567890",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,,,,,,,,,\n1,,,,,,,,,\n2,,,,,,,,,\n", "1 row too many: .* in the rows 2 and 3 "),
        ("2,,,,,,,,,\n ,,,,,,,,,\n", "1 row without customer_id, the first in row 3 "),
    ],
)
def test_a_customer_has_one_row_and_an_id(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, rows: str, message: str
) -> None:
    file = tmp_path / "customers.csv"
    file.write_text(CSV["customers"].splitlines()[0] + "\n" + rows, encoding="utf-8")
    with pytest.raises(SourceChanged, match=message):
        load(con, "customers", file)


_SPACES = [" ", "\u00a0", "\u2003", "\u3000"]


@given(
    ids=st.lists(
        st.text(
            st.sampled_from([*_SPACES, "\t", "!", "0", "a", "~", "\x7f", "é", "中"]), max_size=4
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=60)
def test_an_id_of_spaces_is_missing_and_any_other_is_letter_by_letter_as_it_was(
    ids: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("ids") / "orders.parquet"
    table = pa.table(
        {
            "order_id": [str(n) for n in range(len(ids))],
            "customer_id": ids,
            "ordered_at": [datetime(2011, 6, 1)] * len(ids),
            "product_id": ["1"] * len(ids),
            "product_name": ["BAG"] * len(ids),
            "quantity": [1] * len(ids),
            "unit_price": [1.0] * len(ids),
        }
    )
    pq.write_table(table, file)
    with duckdb.connect() as con:
        warehouse.prepare(con)
        load(con, "orders", file)
        found = con.execute("SELECT customer_id FROM orders ORDER BY order_id::INTEGER").fetchall()
    wanted = [None if all(sign in _SPACES for sign in one) else one for one in ids]
    assert [one for (one,) in found] == wanted
