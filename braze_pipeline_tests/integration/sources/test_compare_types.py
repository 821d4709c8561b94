"""`template check --compare`: equal values of two types differ where they are not sent alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from braze_pipeline.cli.main import cli
from braze_pipeline_tests.postgres import Postgres

DEFS = """\
type: braze_pipeline.orchestration.BrazeDestination
attributes:
  destination: {name: braze, instance: US-01, user_identifier: external_id}
  time_zone: Europe/Berlin
  start_date: "2024-01-01"
  connections:
    shop: {type: postgres, uri_env: SHOP_URI}
  sources:
    given: {connection: shop, relation: given}
  templates:
    - name: people
      run_in: shop
      attributes_sql: there.sql
      identifier_column: user_id
      audience: all
      attributes:
"""


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: Postgres) -> None:
    database.run(
        "DROP TABLE IF EXISTS given",
        "CREATE TABLE given AS SELECT i::text AS id, i AS n, (i + 0.5)::numeric(8, 2) AS price, "
        "i % 2 = 0 AS flag, date '2024-01-01' + i AS day, "
        "timestamp '2024-05-01 10:00' + make_interval(hours => i) AS at_time, "
        "jsonb_build_object('longer', i, 'b', 1.5) AS parts, '+44 20 7946 09' || i AS phone "
        "FROM generate_series(10, 29) AS g(i)",
    )
    monkeypatch.setenv("SHOP_URI", database.uri())
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("BRAZE_PIPELINE_DATABASE", str(tmp_path / "warehouse.duckdb"))
    monkeypatch.delenv("BRAZE_API_KEY", raising=False)


def compared(
    folder: Path, cases: Mapping[str, tuple[str, str, str | None]], user_id: str = "id"
) -> Result:
    """Compare columns: by name the SQL in DuckDB, that in Postgres, and the attribute's type."""
    attributes = "".join(
        f"        - {{column: {name}, as: The {name}, type: {type_}, pii: false}}\n"
        for name, (_, _, type_) in cases.items()
        if type_
    )
    (folder / "defs.yaml").write_text(DEFS + attributes)
    for n, (file, id_) in enumerate((("here.sql", "id"), ("there.sql", user_id))):
        columns = "".join(f", {one[n]} AS {name}" for name, one in cases.items())
        (folder / file).write_text(
            f"SELECT id AS customer_id, {id_} AS user_id{columns} FROM given WHERE $as_of > "
            "DATE '2000-01-01'"
        )
    command = ["template", "check", "--as-of", "2024-02-01", "--percent", "100"]
    command += ["--compare", str(folder / "here.sql")]
    return CliRunner().invoke(cli, ["--config", str(folder / "defs.yaml"), *command])


def test_values_that_are_sent_otherwise_because_of_their_type_are_a_difference(
    tmp_path: Path,
) -> None:
    cases = {
        "points": ("n", "n::numeric(10, 2)", "string"),
        "half": ("price", "price::float8", "string"),
        "flagged": ("flag", "flag::int", "string"),
        "vip": ("(n > 5)::INTEGER", "n > 5", "integer"),
        "score": ("n", "n || '.4'", "float"),
        "whole": ("n", "n || '.4'", None),
        "joined": ("day", "day::timestamp", "time"),
        "visited": ("at_time", "at_time AT TIME ZONE 'UTC'", "time"),
        "visit_day": ("at_time + INTERVAL 8 HOUR", "(at_time AT TIME ZONE 'UTC') + interval '8 h'",
                      "date"),
        "big": ("9007199254740992 + n * 0", "9007199254740993 + n * 0", "string"),
        "prices": ("[price]", "ARRAY[price::float8::text]", "array"),
        "counts": ("[n]", "ARRAY[n::numeric(8, 1)]", "array"),
    }  # fmt: skip
    result = compared(tmp_path, cases)
    assert result.exit_code == 1, result.output
    error = str(result.exception)
    assert set(re.findall(r"\w+", error.partition("same rows: ")[2].partition(" differ")[0])) == {
        *cases
    }
    lines = {line.split()[0]: line.split()[1:3] for line in result.output.splitlines() if line}
    # The values are the same: not even the last digits of any differ.
    assert lines["points"] == ["20", "0"]


def test_types_that_are_sent_alike_are_no_difference(tmp_path: Path) -> None:
    cases = {
        "points": ("n", "n::bigint", "integer"),
        "amount": ("price", "price::float8", "float"),
        "total": ("n::DOUBLE", "n", "float"),
        "name": ("n::VARCHAR", "n", "string"),
        "joined": ("day", "day::timestamp", "date"),
        "began": ("day", "day::timestamptz", "date"),
        "visited": ("at_time", "at_time AT TIME ZONE 'Europe/Berlin'", "time"),
        "visited_text": ("timezone('UTC', at_time)", "at_time::text || 'Z'", "time"),
        "counts": ("[n, n + 1]", "ARRAY[n, n + 1]::bigint[]", "array"),
        "counts_json": ("[n, n + 1]", "to_jsonb(ARRAY[n::text, (n + 1)::text])", "array"),
        "parts_of_it": ("{'b': 1.5, 'longer': n}", "parts", "object"),
        "none": ("NULL", "NULL::numeric", "string"),
        "unsent": ("price", "price::float8", None),
    }
    result = compared(tmp_path, cases)
    assert result.exit_code == 0, (result.output, result.exception)


def test_a_user_identifier_is_compared_as_the_text_that_is_sent(tmp_path: Path) -> None:
    points = {"points": ("n", "n", "integer")}
    result = compared(tmp_path, points, user_id="id::numeric(8, 2)")
    assert "same rows: user_id differ" in str(result.exception)
    assert compared(tmp_path, points, user_id="id::int").exit_code == 0
