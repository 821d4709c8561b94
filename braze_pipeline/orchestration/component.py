"""The component that a brand declares in ``defs.yaml``: a Braze destination with its templates."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from pydantic import BaseModel

from braze_pipeline.config.load import place_of
from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.orchestration.destination import build_definitions


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
        return build_definitions(
            config=self.config,
            folder=file.parent,
            place=place_of(file, self.config.destination.name),
            environ=os.environ,
        )
