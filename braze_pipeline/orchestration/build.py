"""From a destination's configuration to its definitions.

Production, the command line and the tests all come through ``build_definitions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.config.problems import Place
from braze_pipeline.config.resolve import resolve, start_of
from braze_pipeline.orchestration.assets import TemplateAssets, build_assets, source_specs
from braze_pipeline.orchestration.resources import WarehouseResource
from braze_pipeline.orchestration.sensors import build_failure_sensor
from braze_pipeline.settings import TemplateSettings


def build_definitions(
    *,
    config: PipelineConfig,
    folder: Path,
    place: Place,
    environ: Mapping[str, str],
    resources: Mapping[str, object] | None = None,
) -> dg.Definitions:
    """Assets, checks, jobs, schedule and sensors of one destination.

    Args:
        config: The checked configuration.
        folder: The folder that its relative paths start from.
        place: Where it was read, for messages.
        environ: The environment.
        resources: Replacements for the resources (``warehouse``), for tests.

    Raises:
        ConfigurationError: the configuration cannot be used; names file, line and key.
    """
    templates = resolve(config, folder=folder, place=place, environ=environ)
    partitions = dg.DailyPartitionsDefinition(
        start_date=start_of(config).isoformat(), timezone=config.time_zone
    )
    built = [build_assets(template, partitions) for template in templates]
    return dg.Definitions(
        assets=[*source_specs(templates[0]), *(asset for one in built for asset in one.assets)],
        jobs=[job(template) for template in templates],
        sensors=[build_failure_sensor(templates[0].destination.name)],
        resources={"warehouse": WarehouseResource(), **(resources or {})},
        executor=dg.in_process_executor,
    )


def job_name(template: TemplateSettings) -> str:
    """The name of a template's job."""
    return "_".join((*template.key_prefix, "braze_daily"))


def job(template: TemplateSettings) -> dg.UnresolvedAssetJobDefinition:
    """The job that takes one day from the sources to Braze."""
    keys = TemplateAssets.keys(template)
    return dg.define_asset_job(
        job_name(template),
        selection=dg.AssetSelection.assets(*keys),
        description=f"Sources to Braze for the template {template.name}: build, plan, send.",
    )
