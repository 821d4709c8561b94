"""The dbt project as Dagster assets, and the nightly job that builds it and then sends to Braze."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

PROJECT = DbtProject(Path(__file__).parents[3] / "dbt")
# Under `dg` this parses the dbt project again, so that Dagster sees its models as they are now.
PROJECT.prepare_if_dev()

JOB = dg.define_asset_job(
    "customer_360_to_braze",
    selection=dg.AssetSelection.assets("braze_send").upstream(),
    description="Builds the customer 360 with dbt, and sends what changed to Braze.",
)


@dbt_assets(manifest=PROJECT.manifest_path)
def dbt_models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Build the models and test them; if a test fails, nothing after it runs."""
    yield from dbt.cli(["build"], context=context).stream()


@dg.definitions
def defs() -> dg.Definitions:
    """The models, one job from the dbt sources to Braze, and its schedule, which starts as off."""
    return dg.Definitions(
        assets=[dbt_models],
        jobs=[JOB],
        schedules=[dg.build_schedule_from_partitioned_job(JOB, hour_of_day=3, minute_of_hour=30)],
        resources={"dbt": DbtCliResource(PROJECT)},
    )
