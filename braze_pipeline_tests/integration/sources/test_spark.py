"""Of the same SQL, Spark and DuckDB make the same rows: as written by hand, and as translated."""

from __future__ import annotations

import os
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from braze_pipeline.attributes.compare import compare
from braze_pipeline.settings import (
    SourceSettings,
    TemplateSettings,
    replace,
)
from braze_pipeline.settings.places import Database
from braze_pipeline.sources.dialects import dialect_of, query_for
from braze_pipeline.sources.remote import spark
from braze_pipeline.sources.translation.tables import tables_of
from braze_pipeline.sources.translation.translate import translate
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests import shop
from braze_pipeline_tests.integration.sources.brand_of_ties import brand_of_ties
from braze_pipeline_tests.integration.sources.spark_tables import (
    DAYS,
    TABLES,
    brands_sql,
    build,
    connection,
    given,
    here,
    rows,
    tables,
    there,
)
from braze_pipeline_tests.integration.sources.what_is_translated import (
    EDGES,
    EXPRESSIONS,
    OVER_ALL,
    WINDOWS,
    parts_of,
    selected,
)
from braze_pipeline_tests.sample import part_of
from braze_pipeline_tests.sample import tables as sample_tables
from braze_pipeline_tests.spark import Cluster

CUSTOMERS = int(os.environ.get("BRAZE_PIPELINE_SPARK_CUSTOMERS", "1500"))
"""How many are made up for the comparison of both engines; try a million by hand."""
OF_SAMPLE = 6
"""One in so many of the sample's customers: Spark takes a minute for all of them."""


@pytest.fixture(scope="module")
def sample(lake: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the sample, as Parquet files and as tables of the cluster."""
    folder = lake.folder / "sample"
    folder.mkdir()
    files = sample_tables(tmp_path_factory.mktemp("whole"))
    part_of(files, folder, one_in=OF_SAMPLE)
    tables(lake, folder, "sample")
    return folder


def assert_equal_in_both(
    tmp_path: Path, one: TemplateSettings, other: TemplateSettings, days: Any, least: int
) -> None:
    found = []
    for n, t in enumerate((one, other)):
        warehouse, _ = build(tmp_path / str(n), t, days=days)
        found.append(rows(warehouse))
    assert len(found[0]) >= least
    different = [(a, b) for a, b in zip(*found, strict=True) if a != b]
    assert not different, (len(different), different[:2])


def test_the_samples_sql_for_spark_gives_the_same_rows_as_duckdb(
    tmp_path: Path, lake: Cluster, sample: Path
) -> None:
    sql = brands_sql(tmp_path, "sample")
    assert_equal_in_both(tmp_path, here(sample), there(lake, sql), DAYS, 1500)


def test_ties_decimals_spaces_and_time_zones_give_the_same_rows_as_duckdb(
    tmp_path: Path, lake: Cluster
) -> None:
    folder = lake.folder / "ties"
    day = brand_of_ties(folder, CUSTOMERS)
    tables(lake, folder, "ties")
    sql = brands_sql(tmp_path, "ties")
    assert_equal_in_both(tmp_path, here(folder), there(lake, sql), [day], CUSTOMERS)


def translated(lake: Cluster, folder: Path, schema: str, sql: str | None = None) -> Path:
    """DuckDB's SQL in Spark's words, over the tables of a schema, with no edit by hand."""
    place = Database(connection=connection(lake), relation="")
    sources = [
        SourceSettings(name=name, place=replace(place, relation=f"{schema}.{name}"))
        for name in TABLES
    ]
    file = folder / "translated.spark.sql"
    text = shop.SQL_FILE.read_text() if sql is None else sql
    file.write_text(translate(shop.SQL_FILE, text, tables_of(shop.SQL_FILE, sources, {})))
    return file


def test_the_samples_sql_as_translated_gives_the_same_rows_as_duckdb(
    tmp_path: Path, lake: Cluster, sample: Path
) -> None:
    sql = translated(lake, tmp_path, "sample")
    assert_equal_in_both(tmp_path, here(sample), there(lake, sql), DAYS, 1500)


def test_translated_sql_gives_the_same_rows_with_ties_decimals_and_time_zones(
    tmp_path: Path, lake: Cluster
) -> None:
    folder = lake.folder / "more_ties"
    day = brand_of_ties(folder, CUSTOMERS)
    tables(lake, folder, "more_ties")
    sql = translated(lake, tmp_path, "more_ties")
    assert_equal_in_both(tmp_path, here(folder), there(lake, sql), [day], CUSTOMERS)


def test_each_rule_gives_the_same_values_as_duckdb(tmp_path: Path, lake: Cluster) -> None:
    folder = lake.folder / "edges"
    folder.mkdir()
    with duckdb.connect() as con:
        con.execute(f"COPY ({EDGES}) TO '{folder}/edges.parquet'")
    tables(lake, folder, "default")
    place = Database(connection=connection(lake), relation="edges")
    (tmp_path / "edges.sql").write_text("FROM edges")
    read = tables_of(tmp_path / "edges.sql", [SourceSettings(name="edges", place=place)], {})
    numbered = "SELECT id, s, day, count(*) AS n, sum(d) AS v FROM edges GROUP BY 1, 2, 3"
    for parts, query in (
        (parts_of(EXPRESSIONS), "SELECT id, {} FROM edges"),
        (parts_of(OVER_ALL), "SELECT 1 AS id, {} FROM edges"),
        (parts_of(OVER_ALL), "SELECT j AS id, {} FROM edges GROUP BY j"),
        (parts_of(WINDOWS), "SELECT id, {} FROM edges"),
        (["row_number() OVER (PARTITION BY s ORDER BY v DESC, day, id)"],
         f"WITH a AS ({numbered}) SELECT id, {{}} FROM a"),
    ):  # fmt: skip
        sql = query.format(selected(parts))
        text = translate(Path("edges.sql"), sql, read)
        in_spark, _ = query_for(Path("edges.sql"), text, dialect_of(place.connection), DAYS[1])
        with duckdb.connect() as con, spark.session(connection(lake), {}) as session:
            con.execute("SET TimeZone = 'UTC'")
            con.execute(f"CREATE VIEW edges AS FROM '{folder}/edges.parquet'")
            here = con.execute(sql, {"as_of": DAYS[1]} if "$as_of" in sql else None).fetchall()
            con.register("there", session.handle.sql(in_spark).toArrow())
            there = con.execute("FROM there").fetchall()
        assert len(here) == len(there) > 0
        pairs = list(
            zip(sorted(here, key=itemgetter(0)), sorted(there, key=itemgetter(0)), strict=True)
        )
        differ = {
            part: values
            for n, part in enumerate(parts, 1)
            if (values := [(a[n], b[n]) for a, b in pairs if a[n] != b[n]])
        }
        assert not differ
    # A sum of fractions depends on the order of the rows: it stops the query.
    stops = translate(Path("edges.sql"), "SELECT sum(x) AS a FROM edges", read)
    with spark.session(connection(lake), {}) as session, pytest.raises(Exception, match="fraction"):
        session.handle.sql(stops).toArrow()


def test_duckdbs_sql_and_sparks_are_compared_on_a_sample(tmp_path: Path, lake: Cluster) -> None:
    folder = lake.folder / "compared"
    folder.mkdir(exist_ok=True)
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT 'c' || i AS customer_id, (i * 7)::DECIMAL(9, 2) AS paid, 1 + i % 9 AS n "
            f"FROM range(500) AS t(i)) TO '{folder}/members.parquet'"
        )
    tables(lake, folder, "default")
    sql = "SELECT customer_id, CAST(paid AS DOUBLE) / n AS mean, $as_of AS day FROM members\n"
    here = tmp_path / "here.sql"
    here.write_text(sql)
    place = Database(connection=connection(lake), relation="members")
    members = SourceSettings(name="members", relation="members", place=place)
    found = []
    by_rules = translate(here, sql, tables_of(here, [members], {}))
    for there_sql in (sql, sql.replace("DOUBLE", "DECIMAL(38, 2)"), by_rules):
        t = replace(given(lake, tmp_path / "sql", there_sql), sources=(members,))
        warehouse = Warehouse(tmp_path / "warehouse.duckdb")
        found.append(
            compare(warehouse, t, here, DAYS[1], percent=20, environ={}, log=lambda _: None)
        )
    assert found[0].equal
    assert found[2] == found[0]
    assert 50 < found[0].customers < 150
    # Spark's quotient of such decimals has six digits.
    (difference,) = found[1].differences
    assert difference.column == "mean"
    assert 0 < difference.customers < found[1].customers
