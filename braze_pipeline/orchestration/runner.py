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

from braze_pipeline.errors import PipelineError, SendInterrupted, UsageError
from braze_pipeline.orchestration import failures
from braze_pipeline.orchestration.checks import AUDIENCE, CONTRACT
from braze_pipeline.orchestration.keys import TemplateKeys

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings

_INTERRUPTS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Why a run failed, as the event log has it.

    Attributes:
        action: The class of workflow action.
        exit_code: The command line's, by that class.
    """

    action: str
    title: str
    what: str
    fix: str
    exit_code: int


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """A finished run.

    Attributes:
        failed: Why it failed, if it did.
        warnings: What checks that block nothing found wrong.
    """

    run_id: str
    failed: Failed | None
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
    return RunOutcome(
        run_id=result.run_id,
        failed=None if result.success else _failed(result),
        warnings=_warnings(result),
    )


def _warnings(result: dg.ExecuteInProcessResult) -> tuple[str, ...]:
    """Of checks whose finding is not told by the figures of the run anyway."""
    return tuple(
        f"{check.check_name}: {check.description}"
        for check in result.get_asset_check_evaluations()
        if not check.passed and not check.blocking and check.check_name != CONTRACT
    )


def _range(days: Sequence[date]) -> dict[str, str]:
    if len(days) == 1:
        return {}
    return {
        "dagster/asset_partition_range_start": days[0].isoformat(),
        "dagster/asset_partition_range_end": days[-1].isoformat(),
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


def _failed(result: dg.ExecuteInProcessResult) -> Failed:
    """The first failure of a step, by its type; else a blocking check that did not pass."""
    for event in result.all_node_events:
        if event.is_step_failure:
            data = event.step_failure_data.user_failure_data
            if data is not None and failures.ACTION in data.metadata:
                return _told(data.metadata)
            error = event.step_failure_data.error
            if error is not None and error.cls_name in _INTERRUPTS:
                return _interrupted()
    for check in result.get_asset_check_evaluations():
        if not check.passed and check.blocking:
            return _held(check.check_name, check.description or "")
    return Failed(
        action=PipelineError.action,
        title=PipelineError.title,
        what="The run failed outside of any step.",
        fix="Look at the run in Dagster's UI.",
        exit_code=PipelineError.exit_code,
    )


def _interrupted() -> Failed:
    return Failed(
        action=SendInterrupted.action,
        title="Interrupted",
        what="The run was told to stop. What Braze acknowledged is in the journal.",
        fix="Run again: it goes on where it stopped.",
        exit_code=SendInterrupted.exit_code,
    )


def _told(metadata: Mapping[str, dg.MetadataValue]) -> Failed:
    action = str(metadata[failures.ACTION].value)
    return Failed(
        action=action,
        title=str(metadata[failures.TITLE].value),
        what=str(metadata[failures.WHAT].value),
        fix=str(metadata[failures.FIX].value),
        exit_code=exit_code_of(action),
    )


def _held(check: str, description: str) -> Failed:
    from braze_pipeline.core.audience import NOBODY
    from braze_pipeline.errors import AccountingError, AudienceEmpty, GuardStopped

    if check == AUDIENCE:
        return Failed(
            action=AudienceEmpty.action,
            title=AudienceEmpty.title,
            what=f"Nothing was sent. {description}",
            fix=NOBODY,
            exit_code=AudienceEmpty.exit_code,
        )

    kind = GuardStopped if check.startswith("guard_") else AccountingError
    name = check.removeprefix("guard_")
    return Failed(
        action=kind.action,
        title=kind.title,
        what=f"Nothing was sent. {name}: {description}"
        if kind is GuardStopped
        else f"{check}: {description}",
        fix=f'If that is right, run again with --let-through {name} --reason "…".'
        if kind is GuardStopped
        else "Look at the counts in the check's metadata; nothing else may be sent until then.",
        exit_code=kind.exit_code,
    )


def exit_code_of(action: str) -> int:
    """The exit code of a class of workflow action."""
    return _exit_codes().get(action, PipelineError.exit_code)


def _exit_codes() -> dict[str, int]:
    found: dict[str, int] = {}
    kinds: list[type[PipelineError]] = [PipelineError]
    while kinds:
        kind = kinds.pop()
        found.setdefault(kind.action, kind.exit_code)
        kinds += kind.__subclasses__()
    return found
