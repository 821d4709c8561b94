"""``braze-pipeline template translate``: the file that it writes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from braze_pipeline.cli.main import cli
from braze_pipeline.errors import ConfigurationError, PipelineError, UsageError
from braze_pipeline_tests import shop


def translate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["template", "translate", *map(str, arguments)])


def raised(result: Result) -> PipelineError:
    assert isinstance(result.exception, PipelineError), result.output
    return result.exception


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "mine.sql"
    file.write_text("SELECT customer_id, $as_of AS day FROM customers\n", encoding="utf-8")
    return file


def test_the_samples_sql_is_translated_and_the_next_step_is_named(tmp_path: Path) -> None:
    to = tmp_path / "customer_attributes.spark.sql"
    result = translate(shop.SQL_FILE, to)
    assert result.exit_code == 0, (result.output, result.exception)
    assert to.read_text().startswith(
        "-- A first version in Spark's SQL, made from customer_attributes.sql by "
        "`braze-pipeline template translate`.\n-- Compare both before you use it:"
    )
    last = result.output.splitlines()[-1].strip()
    assert last == f"braze-pipeline template check --as-of DAY --compare {shop.SQL_FILE}"
    # The columns are those of the configured source: the sample's customers have no braze_id.
    assert "CAST(NULL AS STRING) AS braze_id" in to.read_text()


def test_a_file_that_exists_is_overwritten_only_when_asked(tmp_path: Path, mine: Path) -> None:
    to = tmp_path / "spark.sql"
    to.write_text("by hand")
    error = raised(translate(mine, to))
    assert isinstance(error, UsageError)
    assert f"{to} exists." in error.what
    assert to.read_text() == "by hand"
    assert translate(mine, to, "--replace").exit_code == 0
    assert "$as_of AS day" in to.read_text()


def test_duckdbs_sql_is_never_overwritten(mine: Path) -> None:
    before = mine.read_text()
    assert isinstance(raised(translate(mine, mine, "--replace")), UsageError)
    assert mine.read_text() == before


def test_nothing_is_written_where_something_is_refused(tmp_path: Path, mine: Path) -> None:
    mine.write_text("SELECT customer_id,\n  upper(city) AS city, $as_of AS day\nFROM customers\n")
    to = tmp_path / "spark.sql"
    error = raised(translate(mine, to))
    assert isinstance(error, ConfigurationError)
    assert f"{mine}:2: `upper(…)`" in error.what
    assert not to.exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, mine: Path) -> None:
    error = raised(translate(mine, tmp_path / "gone" / "spark.sql"))
    assert f"There is no folder {tmp_path / 'gone'}" in error.what


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = raised(translate(tmp_path / "gone.sql", tmp_path / "spark.sql"))
    assert f"{tmp_path / 'gone.sql'} cannot be read" in error.what
