"""With `run_in` of a Spark connection, a cluster computes the attributes and the audience."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from braze_pipeline.audience.build import build_audience
from braze_pipeline.cli.main import cli
from braze_pipeline.errors import (
    ConfigurationError,
    PipelineError,
    SourceChanged,
    SourceDenied,
    SourceMissing,
    SourceUnavailable,
)
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.settings import (
    AudienceRules,
    HighValue,
    replace,
)
from braze_pipeline.sources.remote import spark, spark_location
from braze_pipeline.sources.remote.extract import forget_extracts
from braze_pipeline_tests.integration.sources.spark_tables import (
    DAYS,
    build,
    connection,
    given,
    tables,
)
from braze_pipeline_tests.spark import CONF, Cluster

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


def test_a_location_that_cannot_be_written_is_named_and_not_the_query(
    tmp_path: Path, lake: Cluster
) -> None:
    t = given(lake, tmp_path / "sql", PEOPLE)
    (lake.folder / "file").touch()
    for location in ("/proc/nowhere", str(lake.folder / "file" / "lake")):
        there = replace(t, run_in=connection(lake, location=location))
        with pytest.raises(SourceDenied, match="Spark cannot write to `location`") as raised:
            build(tmp_path, there)
        assert location in raised.value.what


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
        left = lake.location / spark_location.FOLDER / "2024-02-04" / "left"
        left.mkdir(parents=True, exist_ok=True)
        (left / "part-0.parquet").touch()
        call("ledger", "forget", "1", "--yes")
        assert not left.exists()
