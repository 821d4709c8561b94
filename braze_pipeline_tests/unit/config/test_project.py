"""Database and sources belong to the project, whatever the working directory."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from braze_pipeline.config.project import database_name, database_path, sources_folder
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.storage.limits import limits_path
from braze_pipeline.storage.warehouse import Warehouse


@pytest.fixture
def defs(tmp_path: Path) -> Path:
    """The folder of a defs.yaml, deep in a project."""
    (tmp_path / "pyproject.toml").touch()
    folder = tmp_path / "acme" / "defs" / "braze"
    folder.mkdir(parents=True)
    return folder


def test_the_nearest_folder_with_a_pyproject_is_the_project(defs: Path) -> None:
    project = defs.parents[2]
    assert database_path(defs, {}) == project / "data" / "warehouse.duckdb"
    assert sources_folder(defs, {}) == project / "data"
    (defs.parent / "pyproject.toml").touch()
    assert sources_folder(defs, {}) == defs.parent / "data"


def test_without_a_pyproject_it_is_the_folder_of_defs_yaml(defs: Path, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").unlink()
    assert database_path(defs, {}) == defs / "data" / "warehouse.duckdb"


def test_the_environment_names_another_place_as_typed(defs: Path) -> None:
    environ = {"BRAZE_PIPELINE_DATABASE": "here.duckdb", "BRAZE_PIPELINE_SOURCES": "tables"}
    assert database_path(defs, environ) == Path("here.duckdb")
    assert sources_folder(defs, environ) == Path("tables")
    empty = dict.fromkeys(environ, "")
    assert database_path(defs, empty) == database_path(defs, {})


@pytest.mark.parametrize("name", ["w.duckdb", "Shop.prod.db", ".hidden.x", "no_suffix", "a-b.db"])
def test_the_database_is_named_as_duckdb_names_it(tmp_path: Path, name: str) -> None:
    with duckdb.connect(str(tmp_path / name)) as con:
        found = con.execute("SELECT current_database()").fetchone()
    assert found == (database_name({"BRAZE_PIPELINE_DATABASE": str(tmp_path / name)}),)


def test_a_tilde_is_the_home_folder(
    defs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    environ = {"BRAZE_PIPELINE_DATABASE": "~/w.duckdb", "BRAZE_PIPELINE_SOURCES": "~/tables"}
    database = database_path(defs, environ)
    assert database == tmp_path / "w.duckdb"
    assert sources_folder(defs, environ) == tmp_path / "tables"
    limits = limits_path(Warehouse(database), {"BRAZE_PIPELINE_LIMITS": "~/limits"})
    assert limits == tmp_path / "limits"


def test_nothing_is_kept_in_an_installed_package_nor_in_the_project_of_its_venv(
    tmp_path: Path,
) -> None:
    (tmp_path / "pyproject.toml").touch()
    folder = tmp_path / ".venv/lib/python3.11/site-packages/braze_pipeline/defs/braze"
    folder.mkdir(parents=True)
    with pytest.raises(ConfigurationError) as found:
        database_path(folder, {})
    assert "--config" in found.value.fix
    assert "BRAZE_PIPELINE_DATABASE" in found.value.fix
    assert database_path(folder, {"BRAZE_PIPELINE_DATABASE": "x.duckdb"}) == Path("x.duckdb")
    assert sources_folder(folder, {}).is_relative_to(folder)  # reported as a missing source
