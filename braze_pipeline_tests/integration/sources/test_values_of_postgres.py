"""What Postgres can hold and others cannot arrives as it is, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from braze_pipeline.errors import SourceChanged
from braze_pipeline_tests.integration.sources.test_failures import attached, fails, query
from braze_pipeline_tests.postgres import Postgres


@pytest.mark.parametrize("column", ["numeric", "numeric(45, 5)"])
@pytest.mark.parametrize("number", ["12345678901234567", "9007199254740993", "-1e30"])
def test_a_number_whose_digits_would_change_is_refused_with_the_column(
    tmp_path: Path, database: Postgres, number: str, column: str
) -> None:
    sql = query(f"SELECT '{number}'::{column} AS customer_id UNION ALL SELECT 1")
    with fails(tmp_path, SourceChanged, "column customer_id is a NUMERIC", number):
        attached(tmp_path, sql, environ={"SHOP_URI": database.uri()})


def test_the_digits_of_a_number_arrive_if_it_is_converted_as_the_error_says(
    tmp_path: Path, database: Postgres
) -> None:
    sql = query(
        "SELECT n::text AS id, n::numeric(38, 0) AS whole, n::float8 AS rounded, 0.1 AS ratio, "
        "9007199254740991::numeric AS greatest, 'inf'::numeric AS endless "
        "FROM (SELECT 12345678901234567::numeric AS n) AS t"
    )
    (row,) = attached(tmp_path, sql, environ={"SHOP_URI": database.uri()})
    assert row == (
        "12345678901234567", 12345678901234567, 12345678901234568.0, 0.1, 9007199254740991.0,
        float("inf"),
    )  # fmt: skip
