"""Where a project's database and sources are: the same from any working directory.

One rule: in the folder ``data`` of the project that the ``defs.yaml`` belongs to, unless the
environment names another place (relative to the working directory).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.user_input import path_of

DATABASE_VARIABLE: Final = "BRAZE_PIPELINE_DATABASE"
SOURCES_VARIABLE: Final = "BRAZE_PIPELINE_SOURCES"
HOME_VARIABLE: Final = "DAGSTER_HOME"

_DATA = "data"
_DATABASE = "warehouse.duckdb"
_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def project_of(folder: Path) -> Path | None:
    """The project of a ``defs.yaml``'s folder.

    It is the nearest folder with a ``pyproject.toml``, as in a Dagster project; else the folder
    itself. None for the sample inside an installed package, which belongs to no project.
    """
    folder = folder.resolve()
    for place in (folder, *folder.parents):
        if (place / "pyproject.toml").is_file():
            return place
        if place.name in _INSTALLED:
            return None
    return None if folder.is_relative_to(_PACKAGE) else folder


def database_path(folder: Path, environ: Mapping[str, str]) -> Path:
    """The DuckDB file for the ``defs.yaml`` in a folder.

    Raises:
        ConfigurationError: the environment names no file, and there is no project to keep one in.
    """
    named = environ.get(DATABASE_VARIABLE)
    if named:
        return path_of(named)
    project = project_of(folder)
    if project is None:
        raise ConfigurationError(
            f"{folder / 'defs.yaml'} is the sample inside the installed package, where no "
            "database is kept.",
            fix="Pass the defs.yaml of your project with --config, or set "
            f"{DATABASE_VARIABLE} to a DuckDB file.",
        )
    return project / _DATA / _DATABASE


def database_name(environ: Mapping[str, str]) -> str:
    """How DuckDB names the database: like its file, up to the first dot."""
    file = Path(environ.get(DATABASE_VARIABLE) or _DATABASE)
    return file.name.lstrip(".").partition(".")[0]


def sources_folder(folder: Path, environ: Mapping[str, str]) -> Path:
    """The folder in which source tables are found by their names."""
    named = environ.get(SOURCES_VARIABLE)
    return path_of(named) if named else (project_of(folder) or folder) / _DATA


def dagster_home(environ: Mapping[str, str]) -> Path | None:
    """The folder of Dagster's instance that the environment names; None where it names none.

    Raises:
        ConfigurationError: it is not an existing folder with an absolute path.
    """
    named = environ.get(HOME_VARIABLE, "").strip()
    if not named:
        return None
    folder = path_of(named)
    if not folder.is_absolute() or not folder.is_dir():
        raise ConfigurationError(
            f"{HOME_VARIABLE} is {folder}, which is not an existing folder with an absolute path.",
            fix="Create the folder, with a dagster.yaml in it, or set the variable to another.",
        )
    return folder
