"""The command line and one sensor tick for a small brand, in the test's own process."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
from click.testing import CliRunner

from braze_pipeline.alerts import Action, ActionStore
from braze_pipeline.cli.context import session
from braze_pipeline.cli.main import cli
from braze_pipeline.errors import PipelineError
from braze_pipeline.orchestration.watch.changes import Cursor
from braze_pipeline.orchestration.watch.tick import Watch
from braze_pipeline_tests.small_brand import SmallBrand


def store_of(brand: SmallBrand) -> ActionStore:
    return ActionStore(brand.folder / "warehouse.actions.sqlite")


def one_action(brand: SmallBrand) -> Action:
    (action,) = store_of(brand).open_actions()
    return action


def command(brand: SmallBrand, *arguments: str) -> str:
    """Exit code and output of a command; a typed error is raised as it is."""
    result = CliRunner().invoke(cli, ["--config", str(brand.config), *arguments])
    if isinstance(result.exception, PipelineError):
        raise result.exception
    return f"{result.exit_code}\n{result.output}"


def tick(brand: SmallBrand) -> str:
    """What the sensor reports about all runs that ended."""
    ours = session(brand.config, None)
    with dg.DagsterInstance.get() as instance:
        watch = Watch(instance=instance, warehouse=ours.warehouse, templates=ours.templates)
        _, done = watch.look(Cursor(), now=datetime.now(UTC))
    return "; ".join(one.text for one in done)
