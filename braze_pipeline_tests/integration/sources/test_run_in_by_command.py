"""`run_in` from `defs.yaml` to an accepted send, by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from braze_pipeline.cli.main import cli
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.postgres import Postgres

DEFS = """\
type: braze_pipeline.orchestration.BrazeDestination
attributes:
  destination: {{name: braze, user_identifier: external_id, known_users: {{source: assume}}}}
  start_date: "2024-01-01"
  connections:
    shop: {{type: postgres, uri_env: SHOP_URI}}
  templates:
    - name: people
      kind: campaign
      run_in: {run_in}
      {more}
      audience: {{rules: [], where: "country ~ '^G'"}}
      recipient_groups:
        - {{name: rich, where: "lifetime_value > 50", attributes: [external_id, email, Value]}}
        - {{name: all, where: "true", attributes: [external_id, Value]}}
      attributes:
        - {{column: email}}
        - {{column: lifetime_value, as: Value, type: float}}
"""
SQL = """\
SELECT id AS customer_id, email, country, value AS lifetime_value
FROM people WHERE since < $as_of + INTERVAL '1 day'
"""

Call = Callable[..., Result]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Postgres, sandbox: Sandbox
) -> Call:
    database.run(
        "DROP TABLE IF EXISTS people",
        "CREATE TABLE people AS SELECT * FROM (VALUES "
        "(1, 'ada@example.com', 'GB', 99.5::numeric(9, 2), date '2024-01-01'), "
        "(2, 'bob@example.com', 'GB', 10, date '2024-01-01'), "
        "(3, 'cem@example.com', 'TR', 99, date '2024-01-01'), "
        "(4, 'dan@example.com', 'GB', 99, date '2024-02-09')) "
        "AS p(id, email, country, value, since)",
    )
    (tmp_path / "customer_attributes.sql").write_text(SQL)
    for name, value in {
        "SHOP_URI": database.uri(),
        "BRAZE_REST_ENDPOINT": sandbox.endpoint,
        "BRAZE_API_KEY": sandbox.api_key,
        "BRAZE_PIPELINE_DATABASE": str(tmp_path / "warehouse.duckdb"),
        "DAGSTER_HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)

    def run(*command: str, run_in: str = "shop", more: str = "") -> Result:
        (tmp_path / "defs.yaml").write_text(DEFS.format(run_in=run_in, more=more))
        return CliRunner().invoke(cli, ["--config", str(tmp_path / "defs.yaml"), *command])

    return run


@pytest.fixture
def sandbox() -> object:
    with Sandbox(assume_all=True) as running:
        yield running


def test_a_campaign_is_computed_in_the_database_and_sent(call: Call, sandbox: Sandbox) -> None:
    checked = call("template", "check", "--as-of", "2024-02-03")
    assert checked.exit_code == 0, checked.output
    assert not sandbox.objects_sent("1")
    result = call("run", "--as-of", "2024-02-03", "--json")
    assert result.exit_code == 0, result.output
    done = json.loads(result.stdout.splitlines()[-1])
    assert done["accepted_users"] == 2
    assert sandbox.profile("1") == {"email": "ada@example.com", "Value": 99.5}
    assert sandbox.profile("2") == {"Value": 10.0}
    assert sandbox.profile("3") is sandbox.profile("4") is None


def test_restricted_personal_data_is_not_sent(call: Call, sandbox: Sandbox) -> None:
    result = call("run", "--as-of", "2024-02-03", more="restricted_pii: true")
    assert result.exit_code == 0, result.output
    assert sandbox.profile("1") == {"Value": 99.5}


def test_a_connection_that_is_not_there_is_named(call: Call) -> None:
    error = call("template", "check", run_in="shopp").exception
    assert isinstance(error, ConfigurationError)
    assert "run_in: There is no connection 'shopp'" in error.what
    assert "Did you mean 'shop'" in error.what
