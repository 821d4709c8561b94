"""The component that a brand declares in ``defs.yaml``: a Braze destination with its templates."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click
import dagster as dg
from pydantic import BaseModel, ConfigDict, Field

from braze_pipeline.config.load import place_of, refuse_repeated
from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.operations.scaffold.write import write_destination
from braze_pipeline.orchestration.destination import build_definitions


class ScaffoldParams(BaseModel):
    """What ``dg scaffold defs`` may be given."""

    model_config = ConfigDict(populate_by_name=True)

    table: str | None = Field(default=None, alias="from")
    """The table with one row per customer; see ``braze-pipeline init --help``."""
    instance: str | None = None
    """The Braze instance, such as US-01."""


class BrazeDestinationScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes what ``braze-pipeline init`` writes for a destination."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """The table and the instance."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write the files; those that exist stay as they are.

        Raises:
            ConfigurationError: another format than YAML is asked for.
        """
        if request.scaffold_format != "yaml":
            raise ConfigurationError(
                "A Braze destination is described in YAML.", fix="Leave out --format."
            )
        written = write_destination(
            request.target_path,
            request.params.table,
            project=request.project_root,
            instance=request.params.instance,
            environ=os.environ,
        )
        for line in written.lines(request.project_root or request.target_path):
            click.echo(line)


@dg.scaffold_with(BrazeDestinationScaffolder)
@dataclass
class BrazeDestination(dg.Component):
    """A Braze workspace with its data templates, as assets, checks, jobs, schedules and sensors.

    Attributes:
        config: The content of ``defs.yaml``, checked against the schema.
    """

    config: PipelineConfig

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The schema of ``attributes``; ``dg check yaml`` and editors read it."""
        return PipelineConfig

    @classmethod
    def load(
        cls, attributes: BaseModel | None, context: dg.ComponentLoadContext
    ) -> BrazeDestination:
        """A component of the checked attributes; paths are resolved when definitions are built."""
        del context
        if not isinstance(attributes, PipelineConfig):
            msg = "A BrazeDestination needs `attributes`."
            raise dg.DagsterInvalidDefinitionError(msg)
        return cls(config=attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of this destination.

        Raises:
            ConfigurationError: names file, line, key and fix of every problem.
        """
        file = Path(context.path)
        if file.is_dir():
            file /= "defs.yaml"
        refuse_repeated(context.defs_module_path)
        return build_definitions(
            config=self.config,
            folder=file.parent,
            place=place_of(file, self.config.destination.name),
            environ=os.environ,
        )
