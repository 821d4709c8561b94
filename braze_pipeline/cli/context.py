"""What every command starts with: the configuration and the database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.config.load import load_configs, project_files
from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.config.problems import Place
from braze_pipeline.config.project import DATABASE_VARIABLE, dagster_home, database_path, project_of
from braze_pipeline.config.resolve import resolve
from braze_pipeline.errors import NotBuilt, UsageError
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage.warehouse import Warehouse

if TYPE_CHECKING:
    import dagster as dg

DEFAULT_CONFIG = Path(__file__).parent.parent / "defs" / "braze" / "defs.yaml"


@dataclass
class Session:
    """One invocation of the command line.

    Attributes:
        config_file: The ``defs.yaml`` that it works on.
        template_name: The template chosen with ``--template``; None for the first.
        environ: The environment.
    """

    config_file: Path
    template_name: str | None
    environ: Mapping[str, str]

    @cached_property
    def configs(self) -> list[tuple[PipelineConfig, Place]]:
        """Every destination of the file, checked against the schema."""
        return load_configs(self.config_file)

    @cached_property
    def templates(self) -> tuple[TemplateSettings, ...]:
        """Every template of every destination of the file."""
        return tuple(
            template
            for config, place in self.configs
            for template in resolve(
                config, folder=self.config_file.parent, place=place, environ=self.environ
            )
        )

    @property
    def template(self) -> TemplateSettings:
        """The chosen template, by its name or by ``destination/name``.

        Raises:
            UsageError: there is no template of that name, or several destinations have one.
        """
        if self.template_name is None:
            return self.templates[0]
        full = {f"{t.destination.name}/{t.name}": t for t in self.templates}
        found = {name: t for name, t in full.items() if self.template_name in {t.name, name}}
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            raise UsageError(
                f"{self.config_file} has several templates {self.template_name!r}.",
                fix=f"Pass one of them to --template: {', '.join(found)}.",
            )
        raise UsageError(
            f"{self.config_file} has no template {self.template_name!r}.",
            fix=f"Its templates are: {', '.join(full)}.",
        )

    @property
    def chosen_templates(self) -> tuple[TemplateSettings, ...]:
        """The template chosen with ``--template``; all of them if none was."""
        return self.templates if self.template_name is None else (self.template,)

    @property
    def destinations(self) -> list[str]:
        """The names of all destinations of the file."""
        return sorted({template.destination.name for template in self.templates})

    def definitions(self, template: TemplateSettings) -> dg.Definitions:
        """What Dagster runs for a template's destination, up to the template's last day."""
        from braze_pipeline.orchestration.destination import build_definitions

        config, place = next(
            (config, place)
            for config, place in self.configs
            if config.destination.name == template.destination.name
        )
        return build_definitions(
            config=config.model_copy(update={"end_date": template.end_date}),
            folder=self.config_file.parent,
            place=place,
            environ=self.environ,
        )

    @property
    def warehouse(self) -> Warehouse:
        """The DuckDB file; a run creates it.

        Raises:
            ConfigurationError: there is no project that it could belong to.
        """
        return Warehouse(database_path(self.config_file.parent, self.environ))

    @property
    def existing_warehouse(self) -> Warehouse:
        """The DuckDB file, for a command that needs one and never creates it.

        Raises:
            NotBuilt: it does not exist.
        """
        warehouse = self.warehouse
        if not warehouse.path.exists():
            raise NotBuilt(
                f"There is no database yet: {warehouse.path}.",
                fix="The first run creates it. If there should be one, check --config and "
                f"{DATABASE_VARIABLE}.",
            )
        return warehouse

    @property
    def sandbox_database(self) -> Path:
        """The DuckDB file of runs against the sandbox; no real run uses it."""
        path = self.warehouse.path
        return path.with_name(f"{path.stem.removesuffix('-sandbox')}-sandbox{path.suffix}")

    @property
    def project(self) -> Path:
        """The folder to start Dagster in: the project's, with its ``workspace.yaml``."""
        return project_of(self.config_file.parent) or Path.cwd()

    @property
    def dagster_home(self) -> Path:
        """The folder of Dagster's instance; the project's own may not exist yet.

        Raises:
            ConfigurationError: DAGSTER_HOME is not an existing folder.
        """
        return dagster_home(self.environ) or (self.project / ".dagster_home").resolve()


def project_config(folder: Path) -> Path | None:
    """The ``defs.yaml`` of the Dagster project that a folder belongs to; None if there is none.

    Raises:
        UsageError: the project has several Braze destinations, in files of their own.
        ConfigurationError: its ``pyproject.toml`` cannot be read.
    """
    files = project_files(folder)
    if len(files) > 1:
        project = project_of(folder) or folder
        listed = ", ".join(str(file.relative_to(project)) for file in files)
        raise UsageError(
            f"The project {project} has several files with a Braze destination.",
            fix=f"Pass one of them with --config: {listed}.",
        )
    return files[0] if files else None


def session(config_file: Path | None, template_name: str | None) -> Session:
    """A session over the process's own environment."""
    return Session(
        config_file=(config_file or DEFAULT_CONFIG).resolve(),
        template_name=template_name,
        environ=os.environ,
    )
