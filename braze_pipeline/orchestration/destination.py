"""Builds the Dagster definitions of a destination from its configuration.

Production, the command line and the tests all use ``build_definitions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import dagster as dg

from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.config.problems import Place
from braze_pipeline.config.resolve import resolve
from braze_pipeline.orchestration import automation, pausing
from braze_pipeline.orchestration.actions_asset import actions_spec
from braze_pipeline.orchestration.assets import build_assets, record_specs, source_specs
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.metadata import described
from braze_pipeline.orchestration.resources import WAREHOUSE
from braze_pipeline.orchestration.schedule import build_schedule
from braze_pipeline.orchestration.sensors import build_sensors
from braze_pipeline.settings import TemplateSettings


def build_definitions(
    *,
    config: PipelineConfig,
    folder: Path,
    place: Place,
    environ: Mapping[str, str],
    resources: Mapping[str, object] | None = None,
) -> dg.Definitions:
    """Assets, checks, jobs, schedules and sensors of one destination.

    Args:
        config: The checked configuration.
        folder: The folder that its relative paths start from.
        place: Where it was read from, for messages.
        environ: The environment.
        resources: Replacements for the resources (``warehouse``), for tests.

    Raises:
        ConfigurationError: the configuration cannot be used; names file, line and key.
    """
    templates = resolve(config, folder=folder, place=place, environ=environ)
    partitions = daily_partitions(templates[0])
    jobs = [daily_job(template) for template in templates]
    schedules = map(build_schedule, templates, jobs)
    return dg.Definitions(
        assets=[
            *source_specs(templates),
            *(asset for template in templates for asset in build_assets(template, partitions)),
            *(spec for template in templates for spec in record_specs(template)),
            actions_spec(templates),
        ],
        jobs=[*jobs, *map(rebuild_job, templates), *pausing.build_jobs(templates)],
        schedules=list(filter(None, schedules)),
        sensors=[
            *build_sensors(templates),
            *filter(None, map(automation.build_sensor, templates)),
        ],
        resources={"warehouse": WAREHOUSE, **(resources or {})},
        executor=dg.in_process_executor,
    )


def daily_partitions(t: TemplateSettings) -> dg.DailyPartitionsDefinition:
    """One partition for each as-of date, up to the last day where there is one."""
    end = t.end_date + timedelta(days=1) if t.end_date else None  # Dagster's is exclusive
    return dg.DailyPartitionsDefinition(
        start_date=t.start_date.isoformat(),
        end_date=end.isoformat() if end else None,
        timezone=t.time_zone,
    )


def daily_job(t: TemplateSettings) -> dg.UnresolvedAssetJobDefinition:
    """The job that takes a day, or a range of days, from the sources to Braze."""
    keys = TemplateKeys.of(t)
    return dg.define_asset_job(
        keys.job("braze_daily"),
        selection=dg.AssetSelection.assets(*keys.all),
        description=described(
            t, f"Builds, plans and sends the template {t.name}, from the sources to Braze."
        ),
    )


def rebuild_job(t: TemplateSettings) -> dg.UnresolvedAssetJobDefinition:
    """The job that rebuilds days and sends nothing."""
    keys = TemplateKeys.of(t)
    return dg.define_asset_job(
        keys.job("braze_rebuild_without_sending"),
        selection=dg.AssetSelection.assets(*keys.built),
        description=(
            f"Rebuilds attributes, audience and profiles of the template {t.name}. Sends nothing."
        ),
    )
