"""What becomes of Postgres's own types: as a source table, and as a result of `run_in`."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from braze_pipeline.errors import SourceChanged
from braze_pipeline.settings import SourceSettings, replace
from braze_pipeline.settings.places import Database
from braze_pipeline.sources import attach_sources
from braze_pipeline.sources.translation.tables import tables_of
from braze_pipeline_tests.integration.sources.test_remote_places import (
    SHOP,
    read,
    rows_of,
    types_of,
)
from braze_pipeline_tests.integration.sources.test_run_in import (
    EVERYBODY,
    build,
    environ,
    in_postgres,
    rows,
)
from braze_pipeline_tests.postgres import Postgres

LISTS = (
    "ARRAY[1.50::numeric(8, 2), NULL] AS prices, ARRAY['Jürgen'::citext] AS names, "
    "ARRAY['6dbd3c9e-7d4c-4a5b-9c8b-000000000001'::uuid] AS ids, ARRAY['{\"a\": 1}'::jsonb] "
    "AS parts"
)


@pytest.fixture(autouse=True)
def types(database: Postgres) -> None:
    database.run(
        "CREATE EXTENSION IF NOT EXISTS citext",
        "DROP TYPE IF EXISTS pair",
        "CREATE TYPE pair AS (a money, b text)",
    )


def in_database(tmp_path: Path, database: Postgres, sql: str) -> list[tuple[object, ...]]:
    """The columns of the SQL, as the customer attributes table has them."""
    file = tmp_path / "attributes.sql"
    file.write_text(f"SELECT '1' AS customer_id, {sql} WHERE $as_of IS NOT NULL")
    t = in_postgres(file, audience=EVERYBODY)
    warehouse, _ = build(tmp_path, t, database, environ=environ(database, "public"))
    return rows(warehouse, "SELECT * EXCLUDE (__as_of) FROM braze.customer_attributes")


def test_text_of_any_case_and_xml_are_read_as_the_text_that_they_are(
    tmp_path: Path, database: Postgres
) -> None:
    sql = "'Jürgen'::citext AS name, NULL::citext AS none, '<a>ü</a>'::xml AS page"
    place = Database(connection=SHOP, query=f"SELECT {sql}")
    files, _ = read(tmp_path, {"t": place}, environ={"SHOP_URI": database.uri()})
    assert set(types_of(files["t"]).values()) == {"VARCHAR"}
    assert rows_of(files["t"]) == [("Jürgen", None, "<a>ü</a>")]
    assert in_database(tmp_path, database, sql)[0][1:4] == ("Jürgen", None, "<a>ü</a>")


def test_lists_keep_the_types_of_their_elements(tmp_path: Path, database: Postgres) -> None:
    place = Database(connection=SHOP, query=f"SELECT {LISTS}")
    files, _ = read(tmp_path, {"t": place}, environ={"SHOP_URI": database.uri()})
    expected = {"prices": "VARCHAR[]", "names": "VARCHAR[]", "ids": "UUID[]", "parts": "JSON[]"}
    assert types_of(files["t"]) == expected
    ((prices, names, *_),) = rows_of(files["t"])
    assert (prices, names) == (["1.50", None], ["Jürgen"])
    assert in_database(tmp_path, database, LISTS)[0][1:3] == (["1.50", None], ["Jürgen"])
    # And as `template translate` sees them.
    (tmp_path / "t.sql").write_text("FROM t")
    source = SourceSettings(name="t", place=replace(place, query=f"SELECT {LISTS}"))
    (found, *_) = tables_of(tmp_path / "t.sql", [source], {"SHOP_URI": database.uri()})
    assert found.columns == expected


@pytest.mark.parametrize(
    ("value", "type_", "instead"),
    [
        ("'192.0.2.1'::inet", "inet", "v::text"),
        ("'10:00+02'::timetz", "timetz", "v::text"),
        ("B'101'", "bit", "v::text"),
        ("int4range(1, 2)", "", "v::text"),
        ("point(1, 2)", "point", "v::text"),
        ("'a b'::tsvector", "tsvector", "v::text"),
        ("interval '1 day'", "interval", "v::text"),
        ("'\\x01'::bytea", "bytea", "encode(v, 'hex')"),
        ("1::money", "money", "v::numeric(12, 2)"),
        ("row(1, 2)", "record", "to_jsonb(v)"),
        ("row(1, 'a')::pair", "pair", "to_jsonb(v)"),
        ("ARRAY['192.0.2.1'::inet]", "inet", "v::text"),
        ("ARRAY[1::money]", "money", "v::numeric(12, 2)"),
    ],
)
def test_a_type_that_would_be_sent_as_something_else_is_left_out_of_a_table_and_refused_in_a_result(
    tmp_path: Path, database: Postgres, value: str, type_: str, instead: str
) -> None:
    place = Database(connection=SHOP, query=f"SELECT 1 AS n, {value} AS v")
    if type_ != "record":  # no column of a table has it, and the server does not send it
        files, _ = read(tmp_path, {"t": place}, environ={"SHOP_URI": database.uri()})
        assert types_of(files["t"]) == {"n": "INTEGER"}
        with duckdb.connect() as con:
            source = SourceSettings(name="t", path=files["t"], location=str(place))
            (info,) = attach_sources(con, [source], time_zone="UTC")
        assert f"The column v of the source table t ({place}) is left out" in info.left_out[0]
        assert type_ in info.left_out[0]
        assert f"{instead}, in `query:`." in info.left_out[0]
    # With `run_in`, the column is one of the brand's SQL: there is no `query:`.
    with pytest.raises(SourceChanged, match=f"the column v is of .*{type_}") as raised:
        in_database(tmp_path, database, f"{value} AS v")
    assert f"The result of {tmp_path / 'attributes.sql'} " in raised.value.what
    assert f"{instead}, in the SQL." in raised.value.fix


def test_a_value_without_a_number_names_the_sql_that_gives_it(
    tmp_path: Path, database: Postgres
) -> None:
    with pytest.raises(SourceChanged, match="the column v has a value that is not a") as raised:
        in_database(tmp_path, database, "'NaN'::numeric(8, 2) AS v")
    assert f"The result of {tmp_path / 'attributes.sql'} " in raised.value.what
    assert raised.value.fix.endswith(", in the SQL.")
