"""The brand's SQL reaches the source tables and nothing else, whatever it tries."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.errors import ConfigurationError, SourceChanged
from braze_pipeline.settings import SourceSettings, TemplateSettings, replace
from braze_pipeline.sources import sealed
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.shop import template

DAY = date(2011, 12, 9)
SECRET = "what nobody of this brand may see"
AUDIENCE = (
    "0.0 AS lifetime_value, 1 AS l12m_recency, 'x' AS email, 'y' AS phone, "
    "true AS email_opted_in, true AS sms_opted_in"
)
_SOURCES = {
    "customers": "SELECT unnest(['1', '2']) AS customer_id, '' AS given_name, '' AS surname, "
    "'' AS email, '' AS phone, '' AS city, '' AS country, '' AS birthdate, '' AS gender, "
    "'' AS loyalty_status",
    "orders": "SELECT 'A' AS order_id, '1' AS customer_id, TIMESTAMP '2011-01-01' AS ordered_at, "
    "'1' AS product_id, 'BAG' AS product_name, 1.0::DOUBLE AS quantity, 2.5::DOUBLE AS unit_price",
    "consents": "SELECT '1' AS customer_id, 'email' AS channel, true AS opted_in, "
    "TIMESTAMP '2011-01-01' AS changed_at",
    "predictions": "SELECT '1' AS customer_id, DATE '2011-01-01' AS predicted_on, "
    "1.5::DOUBLE AS predicted_clv",
}


class Brand:
    """A brand's sources of every kind, its warehouse, and what it must not see beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = Warehouse(folder / "warehouse.duckdb")
        self.sql = folder / "mine.sql"
        other = self.warehouse.snapshots / "plan.parquet"
        other.parent.mkdir()
        (folder / "orders").mkdir()
        (folder / "secret.txt").write_text(SECRET, encoding="utf-8")
        (folder / "secret.csv").write_text(f"a\n{SECRET}\n", encoding="utf-8")
        (folder / "secret.json").write_text(f'{{"a": "{SECRET}"}}', encoding="utf-8")
        with duckdb.connect() as con:
            for name, file in (
                ("customers", folder / "customers.parquet"),
                ("orders", folder / "orders" / "one.parquet"),
                ("consents", folder / "consents.csv"),
            ):
                con.execute(f"COPY ({_SOURCES[name]}) TO '{file}'")
            con.execute(f"COPY (SELECT '{SECRET}' AS a) TO '{other}'")
        with duckdb.connect(str(folder / "shop.duckdb")) as con:
            con.execute(f"CREATE TABLE predictions AS {_SOURCES['predictions']}")
            con.execute(f"CREATE TABLE salaries AS SELECT '{SECRET}' AS a")
        with self.warehouse.connect() as con:
            con.execute("CREATE SCHEMA other_brand")
            con.execute(f"CREATE TABLE ledger.values AS SELECT '{SECRET}' AS a")
            con.execute(f"CREATE TABLE other_brand.customer_attributes AS SELECT '{SECRET}' AS a")

    def template(self, *sources: SourceSettings) -> TemplateSettings:
        places = {
            "customers": SourceSettings(name="customers", path=self.folder),
            "orders": SourceSettings(name="orders", path=self.folder),
            "consents": SourceSettings(name="consents", path=self.folder),
            "predictions": SourceSettings(
                name="predictions", database=self.folder / "shop.duckdb", relation="predictions"
            ),
        }
        places |= {source.name: source for source in sources}
        return replace(template(self.sql), sources=tuple(places.values()))

    def built(self, sql: str, *sources: SourceSettings) -> list[tuple[Any, ...]]:
        """The rows that the SQL makes of the sources."""
        self.sql.write_text(sql.format(folder=self.folder), encoding="utf-8")
        build_attributes(self.warehouse, self.template(*sources), [DAY])
        with self.warehouse.connect() as con:
            return con.execute(
                "SELECT * EXCLUDE (__as_of) FROM braze.customer_attributes ORDER BY ALL"
            ).fetchall()

    def files(self) -> set[str]:
        return {str(file.relative_to(self.folder)) for file in self.folder.rglob("*")}


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return Brand(tmp_path)


def of_customers(value: str, source: str = "customers") -> str:
    """A query that gives a value for each customer, from wherever it can be had."""
    return f"SELECT customer_id, {value} AS a, {AUDIENCE} FROM {source} WHERE $as_of > '2000-01-01'"


@pytest.mark.parametrize("name", ["shop[1]", "shop*"])
def test_a_folder_that_is_named_like_a_pattern_is_that_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    brand = Brand(tmp_path / name)
    shutil.copytree(tmp_path / name, tmp_path / "shop1")
    with duckdb.connect() as con:
        for file in ("customers.parquet", "orders/one.parquet", "consents.csv"):
            path = tmp_path / "shop1" / file
            con.execute(f"COPY (SELECT * REPLACE ('9' AS customer_id) FROM '{path}') TO '{path}'")
    found = "(SELECT min(o.customer_id || c.customer_id) FROM orders AS o, consents AS c)"
    assert [row[:2] for row in brand.built(of_customers(found))] == [("1", "11"), ("2", "11")]


def subquery(relation: str, column: str = "a") -> str:
    return of_customers(f"(SELECT min({column}::VARCHAR) FROM {relation})")


WAYS_OUT = {
    "a text file": subquery("read_text('{folder}/secret.txt')", "content"),
    "a file as bytes": subquery("read_blob('{folder}/secret.txt')", "content"),
    "a CSV file": subquery("read_csv('{folder}/secret.csv')"),
    "a CSV file by its name": subquery("'{folder}/secret.csv'"),
    "a JSON file": subquery("read_json('{folder}/secret.json')"),
    "JSON lines": subquery("read_ndjson_objects('{folder}/secret.json')", "json"),
    "another plan's snapshot": subquery("'{folder}/warehouse.snapshots/plan.parquet'"),
    "a Parquet file by a pattern": subquery("parquet_scan('{folder}/*/plan.parquet')"),
    "a Parquet file's metadata": subquery(
        "parquet_metadata('{folder}/warehouse.snapshots/plan.parquet')", "stats_min_value"
    ),
    "the name of a file": subquery("glob('{folder}/*')", "file"),
    "the warehouse as bytes": subquery("read_blob('{folder}/warehouse.duckdb')", "content"),
    "the warehouse as a database": subquery(
        "read_duckdb('{folder}/warehouse.duckdb', schema_name = 'ledger', table_name = 'values')"
    ),
    "the ledger": subquery("ledger.values"),
    "the ledger by its file": subquery("warehouse.ledger.values"),
    "another brand's table": subquery("other_brand.customer_attributes"),
    "a table beside a source": subquery("salaries"),
    "a table beside a source, by its database": subquery("__source_predictions.salaries"),
    "a table beside a source, in full": subquery("__source_predictions.main.salaries"),
    "a source's database as bytes": subquery("read_blob('{folder}/shop.duckdb')", "content"),
    "a source's own file": subquery("read_blob('{folder}/customers.parquet')", "content"),
    "a query in a text": subquery("query('FROM __source_predictions.salaries')"),
    "a table named in a text": subquery("query_table('__source_predictions.salaries')"),
    "a statement as JSON": subquery(
        "json_execute_serialized_sql(json_serialize_sql('FROM __source_predictions.salaries'))"
    ),
    "a macro over a table": subquery("histogram('__source_predictions.salaries', a)", "bin"),
    "the names of tables": subquery("duckdb_tables()", "table_name"),
    "the names of tables, as a view": subquery("information_schema.tables", "table_name"),
    "the names of tables, as SQLite has them": subquery("sqlite_master", "name"),
    "the names of tables, shown": subquery("(SHOW ALL TABLES)", "name"),
    "where databases are": subquery("duckdb_databases()", "path"),
    "the settings": subquery("duckdb_settings()", "value"),
    "a setting": of_customers("current_setting('allowed_paths')"),
    "the secrets": subquery("duckdb_secrets()", "secret_string"),
    "the environment": of_customers("getenv('HOME')"),
    "the process's environment": subquery("read_text('/proc/self/environ')", "content"),
    "the network": subquery("'http://127.0.0.1:9/a.parquet'"),
    "in the WHERE": of_customers("1") + " AND (SELECT count(*) FROM glob('{folder}/*')) > 0",
    "in the arguments of a function": subquery(
        "range((SELECT count(*) FROM read_text('{folder}/secret.txt')))", "range"
    ),
    "in a join": of_customers("r.content", "customers, read_text('{folder}/secret.txt') AS r"),
    "in a lateral join": of_customers(
        "r.content", "customers, LATERAL (FROM read_text('{folder}/secret.txt')) AS r"
    ),
    "in a pivot": of_customers("1", "(PIVOT '{folder}/secret.csv' ON a IN ('b') USING count(*))"),
    "a name that only looks like a source": subquery("cu\u017ftomers"),
    "behind a WITH of that name": "WITH salaries AS (FROM salaries) " + subquery("salaries"),
    "behind the WITH of a subquery": (
        "WITH a AS (WITH sqlite_master AS (SELECT 1) FROM sqlite_master) "
        + subquery("sqlite_master", "name")
    ),
    "written in a WITH": (
        "WITH a AS (INSERT INTO built.main.b VALUES (1) RETURNING *) " + subquery("a")
    ),
    "a second statement": of_customers("1") + "; COPY (SELECT 1) TO '{folder}/written.csv'",
    "a statement before it": "SET enable_external_access = true; " + of_customers("1"),
    "an attached database": "ATTACH '{folder}/warehouse.duckdb'; " + of_customers("1"),
    "a variable of the program": subquery("SECRETS", "b"),
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_sql_that_reaches_for_anything_else_is_refused(brand: Brand, way: str) -> None:
    SECRETS = duckdb.sql(f"SELECT '{SECRET}' AS b").to_arrow_table()  # noqa: F841, N806
    before = brand.files()
    with pytest.raises(ConfigurationError, match=r"mine\.sql") as caught:
        brand.built(WAYS_OUT[way])
    assert SECRET not in str(caught.value)
    assert brand.files() == before | {"mine.sql"}
    with brand.warehouse.connect() as con:
        assert con.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'braze'"
        ).fetchone() == (0,)


def test_what_is_out_of_reach_is_named_with_its_line_and_what_may_be_used(brand: Brand) -> None:
    with pytest.raises(ConfigurationError) as caught:
        brand.built("-- ä\nSELECT *\nFROM read_text('/etc/passwd')\nWHERE $as_of > '2000-01-01'")
    assert "mine.sql uses read_text() (line 3)" in str(caught.value)
    assert "customers, orders, consents, predictions" in str(caught.value)


@pytest.fixture
def inside(brand: Brand, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The connection that the SQL runs on, with nobody looking at the statement before."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with sealed(brand.template().sources, time_zone="UTC", scratch=scratch) as (con, _):
        yield con


@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_text('{folder}/secret.txt')",
        "FROM read_csv('{folder}/secret.csv')",
        "FROM '{folder}/secret.csv'",
        "FROM read_csv('{folder}/consents.csv')",
        "FROM '{folder}/orders/../warehouse.snapshots/plan.parquet'",
        "FROM glob('{folder}/*')",
        "FROM read_text('/proc/self/environ')",
        "FROM read_blob('{folder}/warehouse.duckdb')",
        "FROM warehouse.ledger.values",
        "FROM ledger.values",
        "FROM SECRETS",
        "COPY (SELECT 1) TO '{folder}/written.csv'",
        "EXPORT DATABASE '{folder}/written'",
        "ATTACH '{folder}/warehouse.duckdb' AS w",
        "ATTACH '{folder}/written.duckdb' AS w",
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "SET allowed_paths = ['{folder}/secret.txt']",
        "SET temp_directory = '{folder}/written'",
        "SET lock_configuration = false",
        "SET log_query_path = '{folder}/written'",
        "PRAGMA enable_profiling; SET profiling_output = '{folder}/written'",
        "INSTALL httpfs",
        "LOAD '{folder}/secret.txt'",
        "CREATE SECRET (TYPE s3, KEY_ID 'a', SECRET 'b')",
        "DELETE FROM __source_predictions.salaries",
    ],
)
def test_the_engine_itself_refuses_what_is_outside(
    brand: Brand, inside: duckdb.DuckDBPyConnection, statement: str
) -> None:
    SECRETS = duckdb.sql(f"SELECT '{SECRET}' AS b").to_arrow_table()  # noqa: F841, N806
    before = brand.files()
    with pytest.raises(duckdb.Error):
        inside.execute(statement.format(folder=brand.folder)).fetchall()
    assert brand.files() == before


def test_what_sql_needs_is_within_reach(brand: Brand) -> None:
    rows = brand.built(
        """
        WITH RECURSIVE Numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3),
        lines AS MATERIALIZED (FROM Orders),
        kept AS (WITH again AS (FROM lines) SELECT customer_id, count(*) AS n FROM again GROUP BY 1)
        SELECT c.customer_id, (SELECT max(n) FROM numbers) AS a, k.n, p.predicted_clv,
            d.range AS day, list_transform([1], lambda x: x + 1) AS l,
            exists(FROM consents AS o WHERE o.customer_id = c.customer_id) AS told,
            0.0 AS lifetime_value, 1 AS l12m_recency, '{{x}}' AS email, 'y' AS phone,
            true AS email_opted_in, true AS sms_opted_in
        FROM customers AS c
        LEFT JOIN kept AS k USING (customer_id)
        LEFT JOIN predictions AS p USING (customer_id),
        LATERAL (SELECT * FROM range(1)) AS d, (VALUES (1)) AS v(one), unnest([1]) AS u(two)
        WHERE $as_of > DATE '2000-01-01'
        """
    )
    assert [row[:7] for row in rows] == [
        ("1", 3, 1, 1.5, 0, [2], True),
        ("2", 3, None, None, 0, [2], False),
    ]


@pytest.mark.parametrize(
    "values", ["INT: (1::BIGINT << 40)", "DECIMAL(4, 1): 99999.5", "VARCHAR[]: 'ada@x'"]
)
def test_a_value_that_does_not_fit_the_type_of_the_first_file_names_file_column_and_types(
    brand: Brand, values: str
) -> None:
    type_, value = values.split(": ")
    (brand.folder / "parts").mkdir()
    with duckdb.connect() as con:
        first = f"SELECT '1' AS customer_id, NULL::{type_} AS v"
        con.execute(f"COPY ({first}) TO '{brand.folder}/parts/a.parquet'")
        other = f"SELECT '2' AS customer_id, {value} AS v"
        con.execute(f"COPY ({other}) TO '{brand.folder}/parts/b.parquet'")
    source = SourceSettings(name="parts", path=brand.folder / "parts")
    with pytest.raises(SourceChanged, match=r"parts/b\.parquet has the column 'v' as") as raised:
        brand.built(of_customers("v", "parts"), source)
    assert "ada@" not in str(raised.value)


def test_every_type_arrives_as_the_sql_gave_it(brand: Brand) -> None:
    columns = {
        "HUGEINT": "170141183460469231731687303715884105727::HUGEINT",
        "UUID": "'00000000-0000-0000-0000-000000000001'::UUID",
        "INTERVAL": "INTERVAL 13 MONTH",
        "ENUM('a', 'b')": "'b'::ENUM('a', 'b')",
        "TIME WITH TIME ZONE": "'10:00:00+02'::TIMETZ",
        "TIMESTAMP_NS": "'2011-01-01 00:00:00.123456789'::TIMESTAMP_NS",
        "BIT": "'101'::BIT",
        "JSON": "'{{\"a\": 1}}'::JSON",
        "DECIMAL(38,10)": "1.5::DECIMAL(38, 10)",
        "STRUCT(a INTEGER, b VARCHAR[])": "{{'a': 1, 'b': ['x']}}",
        "MAP(VARCHAR, INTEGER)": "MAP {{'a': 1}}",
    }
    listed = ", ".join(f'{value} AS "{kind}"' for kind, value in columns.items())
    brand.built(of_customers(f"{listed}, 1"))
    with brand.warehouse.connect() as con:
        found = dict(
            con.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'braze'"
            ).fetchall()
        )
        values = con.execute(
            'SELECT DISTINCT "HUGEINT", "TIMESTAMP_NS"::VARCHAR, "BIT"::VARCHAR FROM '
            "braze.customer_attributes"
        ).fetchall()
    assert {kind: found[kind] for kind in columns} == {kind: kind for kind in columns}
    assert values == [(2**127 - 1, "2011-01-01 00:00:00.123456789", "101")]


@pytest.mark.parametrize("place", ["relative", "upwards", "link", "link in a folder", "odd name"])
def test_parquet_stays_readable_wherever_it_is(
    brand: Brand, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder, file = brand.folder, brand.folder / "customers.parquet"
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    path = {
        "relative": Path("../customers.parquet"),
        "upwards": folder / "orders" / ".." / "customers.parquet",
        "link": folder / "linked.parquet",
        "link in a folder": folder / "linked",
        "odd name": folder / "it's [a] *.parquet",
    }[place]
    if place == "link":
        path.symlink_to(file)
    elif place == "link in a folder":
        path.mkdir()
        (path / "one.parquet").symlink_to(file)
    elif place == "odd name":
        path = folder / "it's (a) name.parquet"
        file.rename(path)
    rows = brand.built(of_customers("1"), SourceSettings(name="customers", path=path))
    assert [row[0] for row in rows] == ["1", "2"]


def test_a_relation_of_the_warehouse_can_be_a_source_and_the_rest_of_it_stays_out_of_reach(
    brand: Brand,
) -> None:
    with brand.warehouse.connect() as con:
        con.execute(f"CREATE TABLE p AS {_SOURCES['predictions']}")
    own = SourceSettings(name="predictions", database=brand.warehouse.path, relation="p")
    rows = brand.built(of_customers("(SELECT max(predicted_clv) FROM predictions)"), own)
    assert [row[1] for row in rows] == [1.5, 1.5]
    for relation in ("ledger.values", "__source_predictions.ledger.values"):
        with pytest.raises(ConfigurationError, match="out of its reach"):
            brand.built(subquery(relation), own)


def test_a_view_that_reads_files_of_its_own_is_reported(brand: Brand) -> None:
    with duckdb.connect(str(brand.folder / "shop.duckdb")) as con:
        con.execute(f"CREATE VIEW v AS FROM '{brand.folder}/customers.parquet'")
    view = SourceSettings(name="customers", database=brand.folder / "shop.duckdb", relation="v")
    with pytest.raises(SourceChanged, match="files of its own"):
        brand.built(of_customers("1"), view)
