"""Retries a failed run, from where it stopped or in full: in this process, or through the UI."""

from __future__ import annotations

import time

import dagster as dg

from braze_pipeline.errors import CannotRetry
from braze_pipeline.orchestration.attempts import PARENT_TAG, RESUMED_TAG, ROOT_TAG
from braze_pipeline.orchestration.days import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.runner import Say, run_assets
from braze_pipeline.orchestration.watch.runs import facts_of
from braze_pipeline.settings import TemplateSettings

_DAY_TAGS = {PARTITION_TAG, RANGE_START_TAG, RANGE_END_TAG}

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
        CannotRetry: this instance does not have the run, or it is still going.
    """
    run = instance.get_run_by_id(run_id) if run_id else None
    if run is None:
        raise CannotRetry(
            "The Dagster instance in use does not have the run of this action.",
            fix="Set DAGSTER_HOME to the instance that it ran on (`make ui` uses .dagster_home). "
            "If the run was deleted, run its day again, with `braze-pipeline run`: its success "
            "closes the action.",
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
    say: Say = lambda _: None,
) -> dg.DagsterRun:
    """Do in this process what a run did not finish, as its child in the same instance.

    The child is for the same days, with the overrides that somebody gave the run.

    Args:
        definitions: Of the destination.
        t: The template that the run works on.
        run: The run to retry.
        instance: Where the run is recorded, and its child will be.
        whole: Repeat every step up to the last one that the run was to do.
        say: Gets what a person who waits should know.

    Raises:
        CannotRetry: the run has nothing left to do.
    """
    assets = _assets_to_rerun(instance, run, t, whole=whole)
    if not assets:
        raise CannotRetry(
            f"Run {run.run_id[:8]} has nothing left to do.", fix="Start a new run for the day."
        )
    tags = {
        name: value
        for name, value in run.tags.items()
        if name in _DAY_TAGS or name.startswith("braze_pipeline/")
    }
    tags |= {PARENT_TAG: run.run_id, ROOT_TAG: run.root_run_id or run.run_id}
    if not whole:
        tags[RESUMED_TAG] = "true"
    return run_assets(definitions, t, assets, instance=instance, tags=tags, say=say)


def _assets_to_rerun(
    instance: dg.DagsterInstance, run: dg.DagsterRun, t: TemplateSettings, *, whole: bool
) -> list[dg.AssetKey]:
    """What the run did not make, or made in a step that failed; if whole, all up to its goal."""
    facts = facts_of(instance, run, [t])
    keys = TemplateKeys.of(t).all
    goal = facts.goal(t)
    if whole:
        return list(keys[: keys.index(goal) + 1]) if goal else []
    failed = {step.asset for step in facts.failed}
    done = facts.materialized.keys() - failed
    return [key for key in keys if key in facts.planned and key not in done]


def rerun_through(
    ui: str, run: dg.DagsterRun, *, instance: dg.DagsterInstance, whole: bool = False
) -> dg.DagsterRun:
    """Have a running UI submit the retry, so that it queues like any other run; wait for its end.

    Args:
        ui: The address of Dagster's UI, as ``ui_address`` gives it.
        run: The run to retry.
        instance: The instance that both the UI and this process work on.
        whole: Repeat all steps; if the run was itself a retry, those of the first run.

    Raises:
        CannotRetry: the UI cannot be reached or refused, or the retry is gone.
    """
    run_id = _submit(ui, (run.root_run_id or run.run_id) if whole else run.run_id, whole=whole)
    while True:
        found = instance.get_run_by_id(run_id)
        if found is None:
            raise CannotRetry(
                f"The retry is run {run_id[:8]}, and the Dagster instance in use does not have it: "
                "the UI works on another instance, or somebody deleted the run.",
                fix="Set DAGSTER_HOME to the UI's instance, and look there for its result.",
            )
        if found.is_finished:
            return found
        time.sleep(POLL_SECONDS)


def _submit(ui: str, run_id: str, *, whole: bool) -> str:
    import requests  # noqa: PLC0415 - a fifth of a second, for what is seldom needed

    fix = "Check BRAZE_PIPELINE_UI_URL. Without it the retry runs in this process."
    variables = {"run": run_id, "strategy": "ALL_STEPS" if whole else "FROM_FAILURE"}
    try:
        answer = requests.post(
            f"{ui}/graphql",
            json={"query": _REEXECUTE, "variables": variables},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        launched = answer.json()["data"]["launchRunReexecution"]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise CannotRetry(
            f"Dagster's UI did not accept the retry ({type(error).__name__}).", fix=fix
        ) from error
    if "run" not in launched:
        raise CannotRetry(f"Dagster refused the retry: {launched.get('__typename')}.", fix=fix)
    return str(launched["run"]["runId"])
