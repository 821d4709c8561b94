"""Retrying a failed run, from where it stopped or in full: in this process, or through the UI."""

from __future__ import annotations

import time

import dagster as dg

from braze_pipeline.errors import CannotRetry
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.runner import QUIET, ended
from braze_pipeline.orchestration.watch.runs import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    RunFacts,
    facts_of,
)
from braze_pipeline.settings import TemplateSettings

PARENT_TAG = "dagster/parent_run_id"
ROOT_TAG = "dagster/root_run_id"

POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0

_REEXECUTE = """
mutation ($run: String!, $strategy: ReexecutionStrategy!) {
  launchRunReexecution(reexecutionParams: {parentRunId: $run, strategy: $strategy}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
  }
}
"""


def failed_run(instance: dg.DagsterInstance, run_id: str | None) -> dg.DagsterRun:
    """The run of an action.

    Raises:
        CannotRetry: this instance does not know it, or it is still going.
    """
    run = instance.get_run_by_id(run_id) if run_id else None
    if run is None:
        raise CannotRetry(
            "The Dagster instance here does not know the run of this action.",
            fix="Set DAGSTER_HOME to the instance that it ran on (`make ui` uses .dagster_home).",
        )
    if not run.is_finished:
        raise CannotRetry(
            f"Run {run.run_id[:8]} is still under way.", fix="Wait until it has ended."
        )
    return run


def rerun_here(
    definitions: dg.Definitions,
    t: TemplateSettings,
    run: dg.DagsterRun,
    *,
    instance: dg.DagsterInstance,
    whole: bool = False,
) -> dg.DagsterRun:
    """Run in this process what a run did not get done, as its child in the same instance.

    Args:
        definitions: Of the destination.
        t: The template that the run works on.
        run: The run to retry.
        instance: Where it is, and where its child will be.
        whole: Do all steps up to the run's last one again.

    Raises:
        CannotRetry: it has nothing left to do.
    """
    facts = facts_of(instance, run, [t])
    left = up_to(facts.goal(t), t) if whole else left_undone(facts, t)
    if not left:
        raise CannotRetry(
            f"Run {run.run_id[:8]} has nothing left to do.", fix="Start a new run of the day."
        )
    job = definitions.resolve_job_def(TemplateKeys.of(t).job("braze_daily"))
    result = job.execute_in_process(
        run_config=QUIET,
        instance=instance,
        partition_key=run.tags.get(PARTITION_TAG),
        asset_selection=left,
        raise_on_error=False,
        tags={**_kept(run), PARENT_TAG: run.run_id, ROOT_TAG: run.root_run_id or run.run_id},
    )
    return ended(instance, result.run_id)


def up_to(goal: dg.AssetKey | None, t: TemplateSettings) -> list[dg.AssetKey]:
    """The assets of a template as far as one of them; none for None."""
    keys = list(TemplateKeys.of(t).all)
    return keys[: keys.index(goal) + 1] if goal else []


def left_undone(facts: RunFacts, t: TemplateSettings) -> list[dg.AssetKey]:
    """The assets that a run was to make and did not, or made in a step that failed after all."""
    failed = {step.asset for step in facts.failed}
    return [
        key
        for key in TemplateKeys.of(t).all
        if key in facts.planned and (key not in facts.materialized or key in failed)
    ]


def _kept(run: dg.DagsterRun) -> dict[str, str]:
    """The tags that say what the run is about, and the overrides that somebody gave it."""
    ours = {RANGE_START_TAG, RANGE_END_TAG}
    return {
        name: value
        for name, value in run.tags.items()
        if name in ours or name.startswith("braze_pipeline/")
    }


def rerun_through(
    ui: str, run: dg.DagsterRun, *, instance: dg.DagsterInstance, whole: bool = False
) -> dg.DagsterRun:
    """Have a running UI submit the retry, so that it queues like any other run; waits for its end.

    Args:
        ui: The address of Dagster's UI.
        run: The run to retry.
        instance: The instance that both the UI and this process work on.
        whole: Do all steps of the run again; those of the first run, where it was a retry itself.

    Raises:
        CannotRetry: the UI cannot be reached or refused, or the retry is gone.
    """
    run_id = _submit(ui, (run.root_run_id or run.run_id) if whole else run.run_id, whole=whole)
    while True:
        found = instance.get_run_by_id(run_id)
        if found is None:
            raise CannotRetry(
                f"The retry is run {run_id[:8]}, and the Dagster instance here does not have it: "
                "the UI works on another instance, or somebody deleted the run.",
                fix="Set DAGSTER_HOME to the UI's instance, and look there for what became of it.",
            )
        if found.is_finished:
            return found
        time.sleep(POLL_SECONDS)


def _submit(ui: str, run_id: str, *, whole: bool) -> str:
    import requests  # noqa: PLC0415 - a fifth of a second, for what is seldom needed

    fix = "Check BRAZE_PIPELINE_UI_URL; without it the retry runs in this process."
    try:
        answer = requests.post(
            f"{ui.rstrip('/')}/graphql",
            json={
                "query": _REEXECUTE,
                "variables": {
                    "run": run_id,
                    "strategy": "ALL_STEPS" if whole else "FROM_FAILURE",
                },
            },
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        launched = answer.json()["data"]["launchRunReexecution"]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise CannotRetry(
            f"Dagster's UI did not take the retry ({type(error).__name__}).", fix=fix
        ) from error
    if "run" not in launched:
        raise CannotRetry(f"Dagster refused the retry: {launched.get('__typename')}.", fix=fix)
    return str(launched["run"]["runId"])
