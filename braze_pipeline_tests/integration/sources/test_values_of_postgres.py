"""What Postgres can hold and others cannot arrives as it is, or is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from braze_pipeline.errors import SourceChanged
from braze_pipeline.settings.places import Database
from braze_pipeline.sources.remote.databases import snapshot
from braze_pipeline_tests.integration.sources.test_failures import SHOP, attached, query
from braze_pipeline_tests.integration.sources.test_remote_places import read
from braze_pipeline_tests.postgres import Postgres
from braze_pipeline_tests.unit.config.test_configuration_errors import document, load

MOMENTS = "('infinity'), ('-infinity'), ('2027-01-01'), ('4713-01-01 BC'), (NULL)"


@pytest.mark.parametrize("column", ["numeric", "numeric(45, 5)"])
@pytest.mark.parametrize("number", ["12345678901234567", "9007199254740993", "-1e30"])
def test_a_number_whose_digits_would_change_is_never_read(
    tmp_path: Path, database: Postgres, number: str, column: str
) -> None:
    sql = query(f"SELECT '{number}'::{column} AS customer_id UNION ALL SELECT 1")
    with pytest.raises(duckdb.InvalidInputException, match="it is a NUMERIC") as raised:
        attached(tmp_path, sql, environ={"SHOP_URI": database.uri()})
    assert "The column customer_id of the source table lines" in str(raised.value)
    assert number not in str(raised.value)


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


@pytest.mark.parametrize("type_", ["date", "timestamp", "timestamptz"])
def test_infinity_is_later_and_minus_infinity_earlier_than_every_day(
    tmp_path: Path, database: Postgres, type_: str
) -> None:
    sql = query(
        f"SELECT v::{type_} AS until, ARRAY[v::{type_}] AS days FROM (VALUES {MOMENTS}) t(v)"
    )
    files, _ = read(tmp_path, {"lines": sql}, environ={"SHOP_URI": database.uri()})
    with duckdb.connect() as con:
        rows = con.execute(
            "SELECT until > DATE '2026-11-28', isinf(until), until IS NOT DISTINCT FROM days[1], "
            f"until < DATE '1900-01-01' FROM '{files['lines']}'"
        ).fetchall()
    assert rows == [
        (True, True, True, False), (False, True, True, True), (True, False, True, False),
        (False, False, True, True), (None, None, True, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "end",
    [
        *(" -- everybody", ";", " ;\n", "; \n\n", " /* everybody */ ;", "\n-- WHERE false\n"),
        *(
            "; -- it's everybody; all",
            ";; /* ; */",
            " -- ;",
            ", ';' AS m; -- x",
            ", $$;$$ AS m --;",
        ),
    ],
)
def test_a_query_may_end_in_a_comment_or_a_semicolon(
    tmp_path: Path, database: Postgres, end: str
) -> None:
    environ = {"SHOP_URI": database.uri()}
    given = json.dumps({"lines": {"connection": "shop", "query": f"SELECT 1 AS n{end}"}})
    shop = "connections: {shop: {type: postgres, uri_env: SHOP_URI}}"
    (t,) = load(tmp_path, document(more=f"{shop}\nsources: {given}\n"))
    (place,) = [one.place for one in t.sources if one.name == "lines"]
    assert isinstance(place, Database)
    with snapshot(SHOP, environ) as opened:
        assert opened.schema("lines", place).names[0] == "n"
    ((first, *_),) = attached(tmp_path, place, environ=environ)
    assert first == 1


@pytest.mark.parametrize("value", ["row(1, 2)", "ARRAY[row(1, 2)]", "row('a', 'b') AS pair"])
def test_a_row_without_a_type_is_named_with_its_column(
    tmp_path: Path, database: Postgres, value: str
) -> None:
    with pytest.raises(SourceChanged, match=r"column (row|array|pair) is of the type") as raised:
        attached(tmp_path, query(f"SELECT 1 AS n, {value}"), environ={"SHOP_URI": database.uri()})
    assert raised.value.fix.startswith("Convert it: to_jsonb(")
