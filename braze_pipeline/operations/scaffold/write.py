"""Writes the files of a destination, and of a project around it; never over one that exists."""

from __future__ import annotations

import keyword
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from braze_pipeline.braze.instances import endpoint_for
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.operations.scaffold.proposal import propose
from braze_pipeline.operations.scaffold.render import defs_yaml, sql, text
from braze_pipeline.operations.scaffold.table import look_at
from braze_pipeline.wording import counted

DEFAULT_INSTANCE: Final = "US-01"
_EXAMPLE: Final = "data/example_customers.csv"


@dataclass(frozen=True)
class Written:
    """What was written, and what was there before and stays as it is.

    Attributes:
        files: The files that were written.
        kept: The files that existed.
        questions: How many comments say "To decide".
    """

    files: list[Path]
    kept: list[Path]
    questions: int

    def lines(self, folder: Path) -> Iterator[str]:
        """What was written, what was kept, and how much is left to decide.

        Args:
            folder: Where the reader is; files are named relative to it.
        """
        for what, files in (("Wrote", self.files), ("Kept, because it exists:", self.kept)):
            for file in files:
                yield f"{what} {file.relative_to(folder) if file.is_relative_to(folder) else file}"
        if self.questions:
            yield (
                f'{counted(self.questions, "comment begins", "comments begin")} with "To decide" '
                "in defs.yaml and the SQL: check them before you send anything to Braze."
            )


def write_project(
    folder: Path, given: str | None, *, instance: str | None, environ: Mapping[str, str]
) -> Written:
    """A Dagster project of the brand's own, with one destination.

    Args:
        folder: The project; it may exist, and have files.
        given: The table that the configuration is made for; see ``table.look_at``. None for an
            example table with three invented customers.
        instance: The Braze instance; None for one that has to be decided.
        environ: The environment, with the address of a database.

    Raises:
        ConfigurationError: there is no such instance, or the folder has a destination.
        PipelineError: see ``table.look_at`` and ``proposal.propose``.
    """
    package = _package(folder)
    destination = folder / package / "defs" / "braze"
    if (destination / "defs.yaml").exists():
        raise ConfigurationError(
            f"{destination / 'defs.yaml'} exists, and is not overwritten.",
            fix="For a second destination, use `dg scaffold defs braze_pipeline.BrazeDestination "
            "NAME` in the project.",
        )
    named = {"package": package, "project": package.replace("_", "-")}
    project = {
        "pyproject.toml": text("pyproject.toml", **named, dagster=version("dagster")),
        "workspace.yaml": text("workspace.yaml", **named),
        f"{package}/__init__.py": "",
        f"{package}/definitions.py": text("definitions.py"),
        ".dagster_home/dagster.yaml": text("dagster.yaml"),
    }
    return _write(
        {folder / name: content for name, content in project.items()}
        | _destination(destination, given, folder, instance, environ)
    )


def write_destination(
    folder: Path,
    given: str | None,
    *,
    project: Path | None,
    instance: str | None = None,
    environ: Mapping[str, str],
) -> Written:
    """The files of one destination, and those of its project that it needs.

    Args:
        folder: The folder of the ``defs.yaml``; its name becomes that of the destination.
        given: See ``write_project``.
        project: The project; None: only the destination's own folder.
        instance: See ``write_project``.
        environ: See ``write_project``.

    Raises:
        PipelineError: see ``write_project``.
    """
    return _write(_destination(folder, given, project, instance, environ))


def _destination(
    folder: Path,
    given: str | None,
    project: Path | None,
    instance: str | None,
    environ: Mapping[str, str],
) -> dict[Path, str]:
    """The text of each file. Only the example is written at once, because it is looked at."""
    if instance is not None:
        endpoint_for(instance)
    root = project or folder
    if given is None:
        _write({root / _EXAMPLE: text("example.csv")})
    table = look_at(given or str(root / _EXAMPLE), folder, project=root, environ=environ)
    proposals = propose(table)
    name = _slug(folder.name) or "braze"
    definition = defs_yaml(
        table,
        proposals,
        name=name,
        instance=instance or DEFAULT_INSTANCE,
        start=datetime.now(UTC).date() - timedelta(days=1),
    )
    files = {
        folder / "defs.yaml": definition,
        folder / "customer_attributes.sql": sql(table, proposals),
    }
    if project is not None:
        defs = (folder / "defs.yaml").relative_to(project).as_posix()
        variables = "".join(
            f"# The database that the table is read from.\n# {connection['uri_env']}=\n"
            for connection in table.connections.values()
        )
        files |= {
            project / "tests" / f"test_{name}.py": text("test_destination.py", defs=defs),
            project / ".env.example": text("env.example", variables=variables).rstrip() + "\n",
            project / ".gitignore": text("gitignore"),
        }
    return files


def _write(files: Mapping[Path, str]) -> Written:
    written = [file for file in files if not file.exists()]
    for file in written:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(files[file], encoding="utf-8")
    return Written(
        files=written,
        kept=[file for file in files if file not in written],
        questions=sum(files[file].count("To decide:") for file in written),
    )


def _package(folder: Path) -> str:
    """The name of the project's package: that of its folder, unless Python has such a module."""
    name = _slug(folder.resolve().name)
    taken = not name or keyword.iskeyword(name) or name in {"tests", "data", "test"}
    installed = not taken and not (folder / name).is_dir() and find_spec(name) is not None
    return "brand" if taken or installed or name in sys.stdlib_module_names else name


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"^[^a-z]+|[^a-z0-9]+$", "", re.sub(r"[^a-z0-9]+", "_", plain))[:63]
