"""The component a brand declares in ``defs.yaml``: one Braze destination with its templates."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from pydantic import BaseModel

from braze_pipeline.config.load import place_of
from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.config.problems import Place
from braze_pipeline.orchestration.destination import build_definitions


@dataclass
class BrazeDestination(dg.Component):
    """A Braze workspace and what goes to it, as assets, checks, a job, a schedule and sensors.

    Attributes:
        config: What ``defs.yaml`` says, checked against the schema.
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
        """Take the checked attributes; paths are resolved when definitions are built."""
        del context
        if not isinstance(attributes, PipelineConfig):
            msg = "A BrazeDestination needs `attributes`."
            raise dg.DagsterInvalidDefinitionError(msg)
        return cls(config=attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of this destination.

        Raises:
            ConfigurationError: names file, line, key and the fix of everything that is wrong.
        """
        file = Path(context.path)
        if file.is_dir():
            file /= "defs.yaml"
        return build_definitions(
            config=self.config,
            folder=file.parent,
            place=_place(file, self.config),
            environ=os.environ,
        )


def _place(file: Path, config: PipelineConfig) -> Place:
    return place_of(file, config.destination.name)
