"""`template check --compare`: whether DuckDB's SQL and that of `run_in` give the same values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from braze_pipeline.cli.main import cli
from braze_pipeline.errors import ConfigurationError, PipelineError
from braze_pipeline_tests.postgres import Postgres

DEFS = """\
type: braze_pipeline.orchestration.BrazeDestination
attributes:
  destination: {{name: braze, instance: US-01, user_identifier: external_id}}
  start_date: "2024-01-01"
  connections:
    shop: {{type: postgres, uri_env: SHOP_URI}}
  sources:
    accounts: {{connection: shop, relation: {relation}}}
    purchases: {{connection: shop, relation: purchases}}
    zones: {{connection: shop, relation: zones}}
  templates:
    - name: people
      run_in: shop
      attributes_sql: there.sql
      audience: {{rules: [], where: "country = 'GB'"}}
      attributes:
        - {{column: email}}
        - {{column: value, as: Value, type: float}}
"""
SQL = """\
WITH bought AS (
    SELECT customer_id, sum(amount) AS total
    FROM purchases
    WHERE bought_at < $as_of + INTERVAL '1 day'
    GROUP BY customer_id
)

SELECT a.customer_id, a.email, z.country, coalesce(b.total, 0) AS value,
    rank() OVER (ORDER BY coalesce(b.total, 0) DESC, a.customer_id) AS place
FROM accounts AS a
LEFT JOIN bought AS b ON b.customer_id = a.customer_id
CROSS JOIN zones AS z
"""

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Postgres) -> Call:
    database.run(
        "DROP TABLE IF EXISTS accounts, purchases, zones",
        "CREATE TABLE accounts AS SELECT 'c' || i AS customer_id, "
        "'ada' || i || '@example.com' AS email FROM generate_series(1, 1000) AS g(i)",
        "CREATE TABLE purchases AS SELECT 'c' || i % 900 AS customer_id, "
        "timestamp '2024-01-01' AS bought_at, (i % 7 + 0.05)::numeric(12, 2) AS amount "
        "FROM generate_series(1, 5000) AS g(i)",
        "CREATE TABLE zones AS SELECT 'GB' AS country",
    )
    monkeypatch.setenv("SHOP_URI", database.uri())
    monkeypatch.setenv("COLUMNS", "200")  # in a narrow terminal the examples are cut
    monkeypatch.setenv("BRAZE_PIPELINE_DATABASE", str(tmp_path / "warehouse.duckdb"))
    monkeypatch.delenv("BRAZE_API_KEY", raising=False)
    (tmp_path / "here.sql").write_text(SQL)

    def run(*more: str, there: str = SQL, relation: str = "accounts") -> Result:
        (tmp_path / "defs.yaml").write_text(DEFS.format(relation=relation))
        (tmp_path / "there.sql").write_text(there)
        command = ["template", "check", "--as-of", "2024-02-01"]
        command += ["--compare", str(tmp_path / "here.sql"), *more]
        return CliRunner().invoke(cli, ["--config", str(tmp_path / "defs.yaml"), *command])

    return run


def raised(result: Result) -> PipelineError:
    assert isinstance(result.exception, PipelineError), result.output
    return result.exception


def test_a_sample_of_customers_is_the_same_in_both_places(call: Call) -> None:
    result = call("--percent", "20")
    assert result.exit_code == 0, (result.output, result.exception)
    (line,) = (line for line in result.output.splitlines() if "columns compared" in line)
    customers = int(line.split(": ")[1].split()[0])
    assert 120 < customers < 280
    assert "5 columns compared; 0 customers only from here.sql, 0 only from there.sql" in line
    # The same customers each time, and the rest when all are asked for.
    assert line in call("--percent", "20").output
    assert "1,000 customers and 5" in call("--percent", "100").output


def test_nearly_all_customers_are_nearly_all(call: Call) -> None:
    assert "1,000 customers and 5" in call("--percent", "99.9995").output


def test_a_column_of_one_place_alone_is_a_difference(call: Call) -> None:
    result = call("--percent", "100", there=SQL.replace("a.email", "a.email, 1 AS more"))
    assert "do not give the same rows: more differ" in raised(result).what
    (line,) = (line for line in result.output.splitlines() if line.startswith("more "))
    assert "missing" in line


def test_columns_that_differ_are_counted_without_showing_a_value(call: Call) -> None:
    there = SQL.replace("a.email", "upper(a.email) AS email")
    there = there.replace("coalesce(b.total, 0)", "coalesce(b.total * 1.0000000000001, 0)")
    result = call("--percent", "100", there=there)
    error = raised(result)
    assert isinstance(error, ConfigurationError)
    assert "do not give the same rows: email, value differ" in error.what
    lines = (line.split() for line in result.output.splitlines())
    rows = {parts[0]: parts for parts in lines if parts}
    assert rows["email"][1:3] == ["1,000", "0"]
    assert rows["value"][1] == rows["value"][2]
    assert 700 < int(rows["value"][1]) < 900
    assert "place" not in rows
    assert "ada1" not in result.output.lower()
    assert "xxx9@xxxxxxx.xxx" in result.output


def test_customers_of_one_place_only_are_a_difference(call: Call) -> None:
    there = f"SELECT * FROM ({SQL}) AS s WHERE customer_id <> 'c7'"
    result = call("--percent", "100", there=there)
    assert "1 customers only from here.sql" in result.output
    assert raised(result).exit_code == 2


def test_a_table_with_a_schema_cannot_be_sampled(call: Call) -> None:
    there = SQL.replace("FROM accounts", "FROM public.accounts")
    result = call(there=there, relation="public.accounts")
    assert "reads public.accounts" in raised(result).what
    assert call("--percent", "100", there=there, relation="public.accounts").exit_code == 0
