"""``braze-pipeline actions``: what needs a person, how to resolve it, and retrying it."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from braze_pipeline.alerts import Action, ActionStore
from braze_pipeline.alerts.action_classes import error_of
from braze_pipeline.alerts.notify.text import as_data, days_text, run_link, ui_address
from braze_pipeline.alerts.pauses import paused
from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.errors import CannotRetry, ConfigurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import dagster as dg

    from braze_pipeline.settings import TemplateSettings

_CLOSED_SHOWN = 20


@click.group(invoke_without_command=True)
@click.option("--all", "show_closed", is_flag=True, help="Also show recently resolved actions.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.pass_context
def actions(
    context: click.Context,
    show_closed: bool,  # noqa: FBT001 - click passes options by name
    as_json: bool,  # noqa: FBT001
) -> None:
    """Show the open workflow actions, with the steps that resolve each."""
    if context.invoked_subcommand is not None:
        return
    session: Session = context.obj
    store = _store(session)
    found = store.open_actions()
    for action in [*found, *(store.closed_actions(limit=_CLOSED_SHOWN) if show_closed else [])]:
        steps = _steps(session, action)
        if as_json:
            document = as_data(action, steps=steps, ui=ui_address(session.environ))
            console.show(json.dumps(document, ensure_ascii=False))
        else:
            notified = store.notified(action.number)
            console.show("\n".join(_lines(action, steps, notified, ui=ui_address(session.environ))))
    if not session.warehouse.path.exists():
        console.warn(f"There is no database yet: {session.warehouse.path}.")
    if not found and not as_json:
        console.show("No open workflow actions.")


@actions.command()
@click.argument("number", type=int)
@click.pass_obj
def resolve(session: Session, number: int) -> None:
    """Retry the run of an action, and close the action if the retry succeeds.

    The retry resumes where the run stopped; if the data was wrong, it repeats all steps.

    If BRAZE_PIPELINE_UI_URL names a running UI, the retry is queued there. Otherwise it runs in
    this process, on the instance of DAGSTER_HOME.
    """
    store = _store(session)
    action = _open_action(store, number)
    if not action.resolution.retry:
        raise CannotRetry(
            f"Action {number} ({action.resolution.title}) has no run to retry.",
            fix=" ".join(_steps(session, action)),
        )
    template = _template(session, action)
    from braze_pipeline.orchestration import instance as instances
    from braze_pipeline.orchestration.watch.tick import Watch

    with instances.current() as dagster:
        ended = _retry(session, dagster, template, action)
        now = datetime.now(UTC)
        # Recorded at once; the sensor, which sees the same run later, counts it only once.
        watch = Watch(instance=dagster, warehouse=session.warehouse, templates=session.templates)
        watch.record_outcome(ended, at=now)
        recorded = [] if ended.is_success else watch.record_failure(ended, at=now)
    latest = store.get(recorded[0].number if recorded else number) or action
    run, what, fix = f"Run {ended.run_id[:8]}", latest.what, latest.fix
    if not ended.is_success:
        outcome = "failed as well"
    elif latest.resolved_at is not None:
        console.show(f"{run} succeeded; action {number} is resolved.")
        return
    elif latest.run_id == ended.run_id:
        # A run that succeeds may still warn of what the action is about.
        outcome = "succeeded, but with the same problem"
    else:
        outcome = "succeeded, but does not resolve the action"
        what, fix = _why_open(session, latest)
    console.fail(
        f"{run} {outcome}: {latest.resolution.title} (action {latest.number})",
        what,
        fix,
        code=error_of(latest.action).exit_code,
    )


@actions.command()
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; recorded with the action.")
@click.pass_obj
def close(session: Session, number: int, reason: str) -> None:
    """Close an action by hand."""
    store = _store(session)
    _open_action(store, number)
    store.close(number, how=f"Closed by hand: {reason}", at=datetime.now(UTC))
    console.show(f"Action {number} is closed.")


def _store(session: Session) -> ActionStore:
    return ActionStore(session.warehouse.actions_path)


def _open_action(store: ActionStore, number: int) -> Action:
    """An open action.

    Raises:
        UsageError: there is none with this number, or it is closed.
    """
    action = store.get(number)
    if action is not None and action.resolved_at is None:
        return action
    problem = "is closed already" if action else "does not exist"
    numbers = ", ".join(str(one.number) for one in store.open_actions())
    raise UsageError(
        f"Action {number} {problem}.",
        fix=f"Open actions: {numbers}." if numbers else "There are no open actions.",
    )


def _found(session: Session, action: Action) -> TemplateSettings | None:
    for template in session.templates:
        if (template.destination.name, template.name) == (action.destination, action.template):
            return template
    return None


def _template(session: Session, action: Action) -> TemplateSettings:
    template = _found(session, action)
    if template is not None:
        return template
    raise UsageError(
        f"Action {action.number} is about {action.destination} / {action.template}, which is not "
        f"in {session.config_file}.",
        fix="Use --config to name the defs.yaml that it is in. If it was removed, close the "
        f'action: `braze-pipeline actions close {action.number} --reason "..."`.',
    )


def _retry(
    session: Session, dagster: dg.DagsterInstance, template: TemplateSettings, action: Action
) -> dg.DagsterRun:
    from braze_pipeline.orchestration.rerun import failed_run, rerun_here, rerun_through

    run = failed_run(dagster, action.run_id)
    whole = action.resolution.whole
    ui = ui_address(session.environ)
    if ui and run.remote_job_origin is not None:
        console.show(f"The retry of run {run.run_id[:8]} is queued at {ui} ...")
        return rerun_through(ui, run, instance=dagster, whole=whole)
    how = "Repeating all steps of" if whole else "Resuming"
    console.show(f"{how} run {run.run_id[:8]} ...")
    definitions = session.definitions(template)
    return rerun_here(definitions, template, run, instance=dagster, whole=whole, say=console.warn)


def _why_open(session: Session, action: Action) -> tuple[str, str]:
    """Why a retry that succeeded left its action open, and what to do."""
    pause = paused(session.warehouse.actions_path, action.destination)
    if pause is not None:
        fix = f"`braze-pipeline resume {action.destination}`, then resolve the action again."
        return console.local(pause.sentence()), fix
    day = action.days[1] if action.days else "YYYY-MM-DD"
    again = f"braze-pipeline --template {action.destination}/{action.template} run --as-of {day}"
    return (
        f"Its events do not show that it reached {action.goal or 'the send'} as of {day}.",
        f"`{again}`: its success closes it.",
    )


def _steps(session: Session, action: Action) -> tuple[str, ...]:
    facts = {"config": str(session.config_file)}
    # A configuration that cannot be used is when the steps are needed most.
    with suppress(ConfigurationError):
        template = _found(session, action)
        if template is not None:
            facts["sql"] = str(template.attributes_sql)
            facts["api_key_env"] = template.destination.api_key_env
    return action.steps(facts)


def _lines(
    action: Action, steps: Sequence[str], notified: Mapping[str, str], *, ui: str | None
) -> list[str]:
    """An action for a terminal."""
    title = f"Action {action.number}: {action.resolution.title}"
    facts = (
        ("What happened", console.local(action.what)),
        ("What it means", action.meaning()),
        ("What to do", action.fix),
        ("As of", days_text(action.days)),
        ("Sent", action.sent.sentence() if action.sent else None),
        ("Run", run_link(action.run_id, ui)),
        ("Seen", _seen(action)),
        ("Notification", "; ".join(f"{channel} {state}" for channel, state in notified.items())),
        ("Resolved", _resolved(action)),
    )
    lines = [f"{title}  [{action.destination} / {action.template}]"]
    lines += [f"  {name + ':':<14} {text}" for name, text in facts if text]
    if action.resolved_at is None:
        lines.append("  Steps:")
        lines += [f"    {number}. {step}" for number, step in enumerate(steps, start=1)]
    return [*lines, ""]


def _resolved(action: Action) -> str | None:
    return f"{console.when(action.resolved_at)}: {action.how}" if action.resolved_at else None


def _seen(action: Action) -> str:
    first, last = console.when(action.first_seen), console.when(action.last_seen)
    if action.count == 1:
        return first
    return f"{action.count} times, from {first} to {last}"
