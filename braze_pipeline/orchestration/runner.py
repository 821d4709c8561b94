"""Runs a template's job in this process: the command line's door to the same assets.

With ``DAGSTER_HOME`` set the run is recorded in that instance and shows in its UI; without, it
leaves nothing but what the assets write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from braze_pipeline.errors import UsageError
from braze_pipeline.orchestration.checks import CONTRACT
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.watch.diagnosis import NOTHING_KNOWN, Cause, cause_of
from braze_pipeline.orchestration.watch.runs import RANGE_END_TAG, RANGE_START_TAG, facts_of

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """A finished run.

    Attributes:
        failed: Why it failed, if it did.
        warnings: What checks that block nothing found wrong.
    """

    run_id: str
    failed: Cause | None
    warnings: tuple[str, ...] = ()


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """The instance of ``DAGSTER_HOME``, or one that is gone afterwards."""
    if os.environ.get("DAGSTER_HOME"):
        with dg.DagsterInstance.get() as found:
            yield found
    else:
        with dg.DagsterInstance.ephemeral() as found:
            yield found


def run_days(
    definitions: dg.Definitions,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    dry_run: bool,
    tags: Mapping[str, str],
) -> RunOutcome:
    """Materialize a template for a day, or for an unbroken range of days as one run.

    A dry run stops at the plan.

    Raises:
        UsageError: a day lies before the first partition or after the last.
    """
    keys = TemplateKeys.of(t)
    job = definitions.resolve_job_def(keys.job("braze_daily"))
    _check_days(job, days)
    with instance() as found:
        result = job.execute_in_process(
            run_config=QUIET,
            instance=found,
            partition_key=days[0].isoformat() if len(days) == 1 else None,
            asset_selection=list(keys.all[:-1] if dry_run else keys.all),
            raise_on_error=False,
            tags={**tags, **_range(days)},
        )
        facts = facts_of(found, ended(found, result.run_id), [t])
    return RunOutcome(
        run_id=result.run_id,
        failed=None if result.success else cause_of(facts, t) or NOTHING_KNOWN,
        # The contract's finding is told by the figures of the run.
        warnings=tuple(
            f"{check.check_name}: {check.description}"
            for check in facts.warned
            if check.check_name != CONTRACT
        ),
    )


def _range(days: Sequence[date]) -> dict[str, str]:
    if len(days) == 1:
        return {}
    return {
        RANGE_START_TAG: days[0].isoformat(),
        RANGE_END_TAG: days[-1].isoformat(),
    }


def _check_days(job: dg.JobDefinition, days: Sequence[date]) -> None:
    partitions = job.partitions_def
    for day in days:
        if partitions is not None and not partitions.has_partition_key(day.isoformat()):
            first = partitions.get_first_partition_key()
            last = partitions.get_last_partition_key()
            raise UsageError(
                f"There is no partition {day.isoformat()}; they go from {first} to {last}.",
                fix="Give a day within them, or change `start_date` or `end_date` in defs.yaml.",
            )


def ended(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    """A run that ran in this process.

    Raises:
        RuntimeError: somebody deleted it meanwhile.
    """
    run = instance.get_run_by_id(run_id)
    if run is None:
        msg = f"run {run_id} was deleted while it ran"
        raise RuntimeError(msg)
    return run
