"""The database belongs to the project, and no command that only reads makes one."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from braze_pipeline.cli.main import cli
from braze_pipeline.errors import ConfigurationError, NotBuilt, PipelineError, UsageError
from braze_pipeline.orchestration.resources import WarehouseResource
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.settings import replace
from braze_pipeline_tests.integration.orchestration.test_definitions import built
from braze_pipeline_tests.ledger_world import template
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand, small_brand


@pytest.fixture
def brand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallBrand:
    """A brand in a project, with its sources in ``data``; the environment names no place."""
    found = small_brand(tmp_path / "project" / "defs")
    (tmp_path / "project" / "pyproject.toml").touch()
    shutil.move(found.folder / "sources", tmp_path / "project" / "data")
    for name, value in found.environ("http://127.0.0.1:9", "key").items():
        monkeypatch.setenv(name, value)
    for name in ("BRAZE_PIPELINE_DATABASE", "BRAZE_PIPELINE_SOURCES", "DAGSTER_HOME"):
        monkeypatch.delenv(name)
    return found


def call(brand: SmallBrand, *arguments: str) -> tuple[PipelineError | None, str]:
    """Run a command; the typed error that it ended with, and what it said."""
    done = CliRunner().invoke(cli, ["--config", str(brand.config), *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, PipelineError), done.exception
        return done.exception, str(done.exception)
    return None, done.output


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_run_from_another_folder_finds_what_was_sent(
    brand: SmallBrand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = ("--as-of", brand.day(0))
    with Sandbox(assume_all=True) as sandbox:
        monkeypatch.setenv("BRAZE_REST_ENDPOINT", sandbox.endpoint)
        monkeypatch.setenv("BRAZE_API_KEY", sandbox.api_key)
        for place in ("one", "two"):
            (tmp_path / place).mkdir()
            monkeypatch.chdir(tmp_path / place)
            error, said = call(brand, "run", *day)
            assert "accepted by Braze" in said, error
        assert sum(len(one.users) for one in sandbox.requests) == CUSTOMERS
    assert not everything(tmp_path / "one")
    assert not everything(tmp_path / "two")
    assert (tmp_path / "project" / "data" / "warehouse.duckdb").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("rejections",), ("plan",), ("sends",), ("ledger", "show", "c1"),
        ("ledger", "export", "out.parquet"), ("ledger", "forget", "c1", "--yes"),
        ("ledger", "reset", "--all"), ("ledger", "adopt", "--reason", "x"),
        ("retry-rejected", "--later"), ("actions",), ("actions", "resolve", "1"), ("doctor",),
        ("template", "describe"),
    ],
)  # fmt: skip
def test_a_command_that_finds_no_database_reports_it_and_creates_nothing(
    brand: SmallBrand, tmp_path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = everything(tmp_path)
    error, said = call(brand, *command)
    assert everything(tmp_path) == before
    if command[0] in {"rejections", "plan", "sends", "ledger", "retry-rejected"}:
        assert isinstance(error, NotBuilt)
        assert "There is no database yet" in said
    if command == ("actions",):
        assert "There is no database yet" in said
    if command == ("doctor",):
        assert "does not exist yet" in said


def test_the_package_installed_without_a_project_stores_nothing_and_explains_what_to_pass(
    brand: SmallBrand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages" / "braze_pipeline" / "defs"
    shutil.copytree(brand.folder, installed)
    there = SmallBrand(installed, brand.last)
    before = everything(tmp_path)
    for command in (("run", "--as-of", brand.day(0)), ("rejections",), ("actions",)):
        error, said = call(there, *command)
        assert isinstance(error, ConfigurationError)
        assert "--config" in said
    _, said = call(there, "doctor")
    assert "installed package" in said
    assert everything(tmp_path) == before


def test_the_demo_of_the_installed_package_says_where_the_samples_data_is(
    brand: SmallBrand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages" / "braze_pipeline" / "defs"
    shutil.copytree(brand.folder, installed)
    there = SmallBrand(installed, brand.last)
    monkeypatch.setattr("braze_pipeline.cli.demo.DEFAULT_CONFIG", there.config)
    error, said = call(there, "demo")
    assert isinstance(error, UsageError)
    assert "part of the repository" in said
    for way in ("make demo", "BRAZE_PIPELINE_SOURCES", "braze-pipeline init"):
        assert way in error.fix


def test_dagster_works_on_the_same_file(brand: SmallBrand) -> None:
    t = replace(template(), folder=brand.folder)
    project = brand.folder.parent
    assert WarehouseResource().warehouse(t).path == project / "data" / "warehouse.duckdb"
    assert WarehouseResource(path="x.duckdb").warehouse(t).path == Path("x.duckdb")


def test_a_launch_cannot_choose_another_database(brand: SmallBrand) -> None:
    definitions, _ = built(brand)
    other = brand.folder / "other.duckdb"
    for job in ("braze_daily", "braze_pause"):
        with pytest.raises(dg.DagsterInvalidConfigError, match="path"):
            definitions.resolve_job_def(job).execute_in_process(
                partition_key=brand.day(0) if job == "braze_daily" else None,
                run_config={"resources": {"warehouse": {"config": {"path": str(other)}}}},
            )
    assert not other.exists()


def test_the_ui_does_not_start_where_its_instance_cannot_be_written(brand: SmallBrand) -> None:
    home = brand.folder.parent / ".dagster_home"
    home.touch()  # nothing can be written below a file
    error, said = call(brand, "ui", "--port", "0")
    assert isinstance(error, ConfigurationError)
    assert f"{home}, the folder of Dagster's instance, cannot be written." in said
    assert "DAGSTER_HOME" in error.fix
