"""Runs a template's daily job in this process: how the command line uses the same assets.

With ``DAGSTER_HOME`` set the run is recorded in that instance and shows in its UI. Without it,
nothing is left but what the assets write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import dagster as dg

from braze_pipeline.orchestration import instance as instances
from braze_pipeline.orchestration.checks import CONTRACT, NOT_PAUSED
from braze_pipeline.orchestration.days import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    require_partition,
)
from braze_pipeline.orchestration.dead_runs import HOW_TO_END, fail_dead_runs, without_file
from braze_pipeline.orchestration.destination import daily_partitions
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.watch.diagnosis import NO_CAUSE_FOUND, Cause, cause_of
from braze_pipeline.orchestration.watch.runs import facts_of

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings

Say = Callable[[str], None]
"""Shows a line to a person."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """A finished run.

    Attributes:
        failed: Why it failed, if it did.
        warnings: What non-blocking checks warned about.
        paused: The destination is paused, so nothing, or not everything, was sent.
    """

    run_id: str
    failed: Cause | None
    warnings: tuple[str, ...] = ()
    paused: bool = False


def run_days(
    definitions: dg.Definitions,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    dry_run: bool,
    tags: Mapping[str, str],
    only_build: bool = False,
    say: Say = lambda _: None,
) -> RunOutcome:
    """Run a template for a day, or for an unbroken range of days as one run.

    A dry run stops at the plan, and one with ``only_build`` before it. ``say`` gets what a person
    who waits should know.

    Raises:
        UsageError: a day has no partition.
    """
    keys = TemplateKeys.of(t)
    for day in days:
        require_partition(daily_partitions(t), day.isoformat())
    first, last = days[0].isoformat(), days[-1].isoformat()
    range_tags = {RANGE_START_TAG: first, RANGE_END_TAG: last}
    with instances.current() as found:
        run = run_assets(
            definitions,
            t,
            keys.built if only_build else keys.all[:-1] if dry_run else keys.all,
            instance=found,
            tags={**tags, **({PARTITION_TAG: first} if first == last else range_tags)},
            say=say,
        )
        facts = facts_of(found, run, [t])
    return RunOutcome(
        run_id=run.run_id,
        failed=None if run.is_success else cause_of(facts, t) or NO_CAUSE_FOUND,
        # The figures of the run show what the contract rejected.
        warnings=tuple(
            f"{check.check_name}: {check.description}"
            for check in facts.other_checks
            if check.check_name != CONTRACT
        ),
        paused=any(check.check_name == NOT_PAUSED for check in facts.other_checks),
    )


def run_assets(
    definitions: dg.Definitions,
    t: TemplateSettings,
    assets: Sequence[dg.AssetKey],
    *,
    instance: dg.DagsterInstance,
    tags: Mapping[str, str],
    say: Say = lambda _: None,
) -> dg.DagsterRun:
    """Materialize some assets of a template in this process; the run as it ended.

    Runs whose process was killed are recorded as failed first: this run could wait for them.

    Args:
        definitions: Of the destination.
        t: The template.
        assets: What to materialize.
        instance: Where the run is recorded.
        tags: Of the run; those for partition and range say which days it is for.
        say: Gets why the run waits, and which runs were found dead.

    Raises:
        RuntimeError: somebody deleted the run while it ran.
    """
    for dead in fail_dead_runs(instance):
        say(f"Run {dead[:8]} was killed. It is recorded as failed now, and holds nothing up.")
    run_id = str(uuid4())
    instance.add_event_listener(run_id, partial(_say_waiting, say, instance))
    result = definitions.resolve_job_def(TemplateKeys.of(t).job("braze_daily")).execute_in_process(
        run_config=_QUIET,
        instance=instance,
        partition_key=tags.get(PARTITION_TAG),
        asset_selection=list(assets),
        raise_on_error=False,
        tags=dict(tags),
        run_id=run_id,
    )
    run = instance.get_run_by_id(result.run_id)
    if run is None:
        msg = f"run {result.run_id} was deleted while it ran"
        raise RuntimeError(msg)
    return run


def _say_waiting(say: Say, instance: dg.DagsterInstance, entry: dg.EventLogEntry) -> None:
    """Dagster reports a step that waits for its pool as an engine event about the pool."""
    event = entry.dagster_event
    if event is None or event.event_type is not dg.DagsterEventType.ENGINE_EVENT:
        return
    pool = event.engine_event_data.metadata.get("pool")
    if pool is not None:
        name = str(pool.value)
        info = instance.event_log_storage.get_concurrency_info(name)
        holders = info.active_run_ids | info.assigned_run_ids
        runs = ", ".join(sorted(run_id[:8] for run_id in holders)) or "unknown"
        say(f"{event.step_key} waits until the pool {name} is free; it is held by run {runs}.")
        for run_id in without_file(instance, holders):
            say(f"Run {run_id[:8]} shows no sign of life. {HOW_TO_END}")
