"""With `run_in` of a Spark connection, a cluster computes the attributes and the audience."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import date
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.attributes.compare import compare
from braze_pipeline.attributes.result import AttributesBuild
from braze_pipeline.audience.build import build_audience
from braze_pipeline.cli.main import cli
from braze_pipeline.errors import (
    ConfigurationError,
    PipelineError,
    SourceChanged,
    SourceMissing,
    SourceUnavailable,
)
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.settings import (
    AudienceRules,
    HighValue,
    SourceSettings,
    TemplateSettings,
    replace,
)
from braze_pipeline.settings.places import Connection, Database
from braze_pipeline.sources.dialects import dialect_of, query_for
from braze_pipeline.sources.remote import spark
from braze_pipeline.sources.remote.extract import forget_extracts
from braze_pipeline.sources.translation.tables import tables_of
from braze_pipeline.sources.translation.translate import translate
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests import shop
from braze_pipeline_tests.integration.sources.brand_of_ties import brand_of_ties
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
from braze_pipeline_tests.spark import CONF, Cluster, cluster

SPARK_SQL = shop.SQL_FILE.with_suffix(".spark.sql")
DAYS = (date(2010, 12, 31), date(2011, 12, 9))
EVERYBODY = AudienceRules(rules=())
TABLES = ("customers", "orders", "consents", "predictions")
CUSTOMERS = int(os.environ.get("BRAZE_PIPELINE_SPARK_CUSTOMERS", "1500"))
"""How many are made up for the comparison of both engines; try a million by hand."""
OF_SAMPLE = 6
"""One in so many of the sample's customers: Spark takes a minute for all of them."""


@pytest.fixture(scope="module")
def lake() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


def connection(lake: Cluster, **more: Any) -> Connection:
    given = {"remote": lake.remote, "location": str(lake.location), "connect_seconds": 120}
    return Connection(name="lake", type="spark", **{**given, **more})


def tables(lake: Cluster, folder: Path, schema: str) -> None:
    """Make the Parquet files of a folder tables of the cluster."""
    with spark.session(connection(lake), {}) as session:
        session.handle.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for file in sorted(folder.glob("*.parquet")):
            session.handle.sql(f"DROP TABLE IF EXISTS {schema}.{file.stem}")
            session.handle.sql(
                f"CREATE TABLE {schema}.{file.stem} USING parquet LOCATION 'file://{file}'"
            )


@pytest.fixture(scope="module")
def sample(lake: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the sample, as Parquet files and as tables of the cluster."""
    folder = lake.folder / "sample"
    folder.mkdir()
    files = sample_tables(tmp_path_factory.mktemp("whole"))
    part_of(files, folder, one_in=OF_SAMPLE)
    tables(lake, folder, "sample")
    return folder


def brands_sql(folder: Path, schema: str) -> Path:
    """The SQL that is shipped, over the tables of a schema."""
    text = SPARK_SQL.read_text()
    for name in TABLES:
        assert f"FROM {name}\n" in text
        text = text.replace(f"FROM {name}\n", f"FROM {schema}.{name}\n")
    file = folder / "attributes.spark.sql"
    file.write_text(text)
    return file


def there(lake: Cluster, sql: Path, **more: Any) -> TemplateSettings:
    t = shop.template(sql, **{"audience": EVERYBODY, **more})
    return replace(t, run_in=connection(lake), sources=(), time_zone="Europe/London")


def here(folder: Path, **more: Any) -> TemplateSettings:
    t = shop.template(**{"audience": EVERYBODY, **more})
    sources = tuple(SourceSettings(name=s.name, path=folder, shared=True) for s in t.sources)
    return replace(t, sources=sources, time_zone="Europe/London")


def build(
    folder: Path, t: TemplateSettings, *, run: str = "run", days: Any = DAYS[1:], **more: Any
) -> tuple[Warehouse, AttributesBuild]:
    warehouse = Warehouse(folder / "warehouse.duckdb")
    more.setdefault("environ", {})
    return warehouse, build_attributes(warehouse, t, days, run_id=run, **more)


def rows(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    with warehouse.connect(read_only=True) as con:
        query = "SELECT * FROM braze.customer_attributes ORDER BY __as_of, customer_id"
        return con.execute(query).fetchall()


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


def test_ties_decimals_and_time_zones_give_the_same_rows_as_duckdb(
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


def given(lake: Cluster, folder: Path, sql: str, **more: Any) -> TemplateSettings:
    folder.mkdir(exist_ok=True)
    file = folder / "attributes.sql"
    file.write_text(sql)
    return there(lake, file, **more)


PEOPLE = """\
SELECT
    CAST(id AS STRING) AS customer_id,
    CAST(id AS DOUBLE) AS lifetime_value,
    'ada@example.com' AS email,
    id % 2 = 0 AS email_opted_in,
    CAST(NULL AS STRING) AS phone,
    false AS sms_opted_in,
    $as_of AS day
FROM range(1000)
"""


def test_only_the_audience_leaves_the_cluster_and_nothing_stays_at_the_location(
    tmp_path: Path, lake: Cluster
) -> None:
    # The percentage has a denominator that does not fit 32 bits with the rank.
    rules = AudienceRules(
        rules=("high_value", "contactable"), high_value=HighValue(top_percent=12.3456789)
    )
    t = given(lake, tmp_path / "sql", PEOPLE, audience=rules)
    warehouse, built = build(tmp_path, t)
    with warehouse.connect() as con:
        funnel = build_audience(con, t, DAYS[1])
    assert (funnel.customers, funnel.excluded) == (1000, {"high_value": 876, "contactable": 62})
    (extract,) = built.extracts.values()
    assert extract.rows == funnel.audience == 62
    assert not [one for one in lake.location.rglob("*") if one.is_file()]
    # A rerun of the run needs no cluster; what was read is private, and can be forgotten.
    lost = replace(t, run_in=connection(lake, remote="sc://127.0.0.1:1"))
    with pytest.raises(SourceUnavailable, match="cannot be opened"):
        build(tmp_path, replace(lost, run_in=connection(lake, remote="sc://127.0.0.1:1",
              connect_seconds=0.5)), run="other")  # fmt: skip
    assert build(tmp_path, t)[1].extracts == built.extracts
    files = [one for one in warehouse.extracts.rglob("*") if one.is_file()]
    assert files
    assert {one.stat().st_mode & 0o077 for one in files} == {0}
    assert forget_extracts(warehouse.extracts) == 1


def test_an_empty_audience_is_counted(tmp_path: Path, lake: Cluster) -> None:
    t = given(lake, tmp_path / "sql", PEOPLE, audience=AudienceRules(rules=(), where="false"))
    warehouse, _ = build(tmp_path, t)
    with warehouse.connect() as con:
        funnel = build_audience(con, t, DAYS[1])
    assert (funnel.customers, funnel.audience) == (1000, 0)


@pytest.mark.parametrize(
    ("sql", "expected", "shown"),
    [
        ("SELECT *\nFROM nothing\nWHERE $as_of > '2000-01-01'", SourceMissing, "(line 2)"),
        ("SELECT *,\n\n gone, $as_of FROM range(3)", ConfigurationError, "`gone`"),
        ("SELECT *,\n\n gone, $as_of FROM range(3)", ConfigurationError, "(line 3)"),
        ("SELECT 1 AS a,\n$as_of frm x y", ConfigurationError, "(line 2)"),
        ("SELECT $as_of AS d FROM parquet.`/nope`", SourceMissing, "file:/nope"),
        (PEOPLE + "UNION ALL SELECT 1", ConfigurationError, "NUM_COLUMNS_MISMATCH"),
        (
            PEOPLE.replace("id % 2 = 0", "CAST(concat('ada@ex', id) AS INT) = 1"),
            SourceChanged,
            "stopped the query",
        ),
    ],
)
def test_sql_that_cannot_be_run_names_the_file_and_the_line_and_never_a_value(
    tmp_path: Path,
    lake: Cluster,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    sql: str,
    expected: type[PipelineError],
    shown: str,
) -> None:
    t = given(lake, tmp_path / "sql", sql, audience=AudienceRules(rules=("contactable",)))
    with caplog.at_level(logging.DEBUG), pytest.raises(expected) as raised:
        build(tmp_path, t)
    assert shown in raised.value.what
    out = "".join(capfd.readouterr())
    assert "ada@ex" not in f"{raised.value.what} {raised.value.fix} {out} {caplog.text}"
    assert not [one for one in lake.location.rglob("*") if one.is_file()]
    assert not list((tmp_path / "warehouse.extracts" / "braze").glob("run*"))


def test_files_that_are_lost_after_the_write_are_noticed(
    tmp_path: Path, lake: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = given(lake, tmp_path / "sql", PEOPLE)
    write = spark.SparkSnapshot._write

    def loses(self: spark.SparkSnapshot, frame: Any, below: str) -> int:
        counted = write(self, frame, below)
        next((lake.location / below).glob("*.parquet")).unlink()
        return counted

    monkeypatch.setattr(spark.SparkSnapshot, "_write", loses)
    with pytest.raises(SourceChanged, match="Spark counted 1,000 rows"):
        build(tmp_path, t)


def slowly(seconds: float) -> str:
    """SQL with 1000 rows in four tasks, each of which takes so long."""
    sleep = f"java_method('java.lang.Thread', 'sleep', IF(id % 250 = 0, {seconds * 1000:.0f}L, 0L))"
    return PEOPLE.replace("'ada@example.com'", f"coalesce({sleep}, 'ada@example.com')").replace(
        "range(1000)", "range(0, 1000, 1, 4)"
    )


def test_a_worker_that_is_killed_in_the_middle_costs_nothing_but_time(
    tmp_path: Path, lake: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = given(lake, tmp_path / "sql", slowly(2.0))
    write = spark.SparkSnapshot._write
    killed = threading.Timer(1.5, lake.stop, ["worker2"])

    def then_kill(self: spark.SparkSnapshot, frame: Any, below: str) -> int:
        killed.start()
        return write(self, frame, below)

    monkeypatch.setattr(spark.SparkSnapshot, "_write", then_kill)
    try:
        _, built = build(tmp_path, t)
        assert not killed.is_alive()
    finally:
        killed.join()
        lake.start_worker("worker2")
    assert built.summaries[0].rows == 1000


def test_a_query_that_takes_too_long_is_cancelled(tmp_path: Path, lake: Cluster) -> None:
    t = given(lake, tmp_path / "sql", slowly(30.0))
    t = replace(t, run_in=connection(lake, query_seconds=2))
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match="more than 2 s and was cancelled"):
        build(tmp_path, t)
    assert time.monotonic() - started < 30
    assert not [one for one in lake.location.rglob("*") if one.is_file()]


def test_a_cluster_without_room_is_named_and_a_master_needs_no_server(
    tmp_path: Path, lake: Cluster
) -> None:
    """The server of the run asks for more memory than a worker has."""
    t = given(lake, tmp_path / "sql", PEOPLE)
    environ = {**os.environ, "SPARK_HOME": str(lake.home), "SPARK_LOCAL_IP": "127.0.0.1"}
    own = connection(
        lake,
        remote=None,
        master=lake.master,
        conf={**CONF, "spark.executor.memory": "900g"},
        resources_seconds=2,
    )
    with pytest.raises(SourceUnavailable, match=r"ran no task within 2 s: it is full"):
        build(tmp_path, replace(t, run_in=own), environ=environ)


DEFS = """\
type: braze_pipeline.orchestration.BrazeDestination
attributes:
  destination: {{name: braze, user_identifier: external_id, known_users: {{source: assume}}}}
  start_date: "2024-01-01"
  connections:
    lake: {{type: spark, uri_env: LAKE_URI, location: {location}}}
  sources:
    people: {{connection: lake, relation: small.people}}
  templates:
    - name: people
      kind: campaign
      run_in: lake
      audience: {{rules: [], where: "country RLIKE '^G'"}}
      recipient_groups:
        - {{name: rich, where: "lifetime_value > 50", attributes: [external_id, email, Value]}}
        - {{name: all, where: "true", attributes: [external_id, Value]}}
      attributes:
        - {{column: email}}
        - {{column: lifetime_value, as: Value, type: float}}
"""
SQL = """\
SELECT id AS customer_id, email, country, value AS lifetime_value
FROM small.people WHERE since < $as_of + INTERVAL '1' DAY
"""


def people(lake: Cluster, bobs: float) -> None:
    folder = lake.folder / "small"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with duckdb.connect() as con:
        con.execute(
            "COPY (FROM (VALUES (1, 'ada@example.com', 'GB', 99.5, DATE '2024-01-01'), "
            f"(2, 'bob@example.com', 'GB', {bobs}, DATE '2024-01-01'), "
            "(3, 'cem@example.com', 'TR', 99, DATE '2024-01-01'), "
            "(4, 'dan@example.com', 'GB', 99, DATE '2024-02-09')) "
            f"AS p(id, email, country, value, since)) TO '{folder}/people.parquet'"
        )
    tables(lake, folder, "small")


def test_a_campaign_is_computed_in_the_cluster_and_the_next_day_sends_only_what_changed(
    tmp_path: Path, lake: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(lake, 10.0)
    (tmp_path / "customer_attributes.sql").write_text(SQL)
    (tmp_path / "defs.yaml").write_text(DEFS.format(location=lake.location))
    with Sandbox(assume_all=True) as sandbox:
        for name, value in {
            "LAKE_URI": lake.remote,
            "BRAZE_REST_ENDPOINT": sandbox.endpoint,
            "BRAZE_API_KEY": sandbox.api_key,
            "BRAZE_PIPELINE_DATABASE": str(tmp_path / "warehouse.duckdb"),
            "DAGSTER_HOME": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)

        def call(*command: str) -> str:
            result = CliRunner().invoke(cli, ["--config", str(tmp_path / "defs.yaml"), *command])
            assert result.exit_code == 0, (result.output, result.exception)
            return result.stdout

        done = json.loads(call("run", "--as-of", "2024-02-03", "--json").splitlines()[-1])
        assert (done["customers"], done["audience"], done["accepted_users"]) == (3, 2, 2)
        assert sandbox.profile("1") == {"email": "ada@example.com", "Value": 99.5}
        assert sandbox.profile("2") == {"Value": 10.0}
        assert sandbox.profile("3") is sandbox.profile("4") is None

        people(lake, 11.0)
        done = json.loads(call("run", "--as-of", "2024-02-04", "--json").splitlines()[-1])
        assert (done["planned_users"], done["planned_attributes"]) == (1, 1)
        assert sandbox.profile("2") == {"Value": 11.0}

        # What a killed run left at the location goes with the extracts.
        left = lake.location / spark.FOLDER / "2024-02-04" / "left"
        left.mkdir(parents=True, exist_ok=True)
        (left / "part-0.parquet").touch()
        call("ledger", "forget", "1", "--yes")
        assert not left.exists()


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
