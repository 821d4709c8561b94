"""``braze-pipeline actions``: what needs a person, how to resolve it, and retrying it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from braze_pipeline.alerts import Action, ActionStore
from braze_pipeline.alerts.action_classes import error_of
from braze_pipeline.alerts.notify.text import UI_VARIABLE, as_data, days_text, run_link
from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.errors import CannotRetry, UsageError

if TYPE_CHECKING:
    import dagster as dg

    from braze_pipeline.settings import TemplateSettings

_CLOSED_SHOWN = 20


@click.group(invoke_without_command=True)
@click.option("--all", "closed_too", is_flag=True, help="Also the last ones that were resolved.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def actions(
    context: click.Context,
    closed_too: bool,  # noqa: FBT001 - click passes options by name
    as_json: bool,  # noqa: FBT001
) -> None:
    """The open workflow actions, with the steps that resolve each."""
    if context.invoked_subcommand is not None:
        return
    session: Session = context.obj
    store = _store(session)
    found = store.open_actions()
    shown = [*found, *(store.closed_actions(limit=_CLOSED_SHOWN) if closed_too else [])]
    for action in shown:
        if as_json:
            console.say(json.dumps(_as_data(session, action), ensure_ascii=False))
        else:
            console.say("\n".join(_lines(session, store, action)))
    if not session.warehouse.path.exists():
        console.warn(f"There is no database yet: {session.warehouse.path}.")
    if not found and not as_json:
        console.say("No open workflow actions.")


@actions.command()
@click.argument("number", type=int)
@click.pass_obj
def resolve(session: Session, number: int) -> None:
    """Retry the run of an action; close it when that goes through.

    It goes on from where it stopped; where the data was wrong, it does all its steps again.

    Where BRAZE_PIPELINE_UI_URL names a running UI, the retry is queued there; else it runs in this
    process, on the instance of DAGSTER_HOME.
    """
    store = _store(session)
    action = _open_one(store, number)
    if not action.resolution.retry:
        raise CannotRetry(
            f"Action {number} ({action.resolution.title}) has no run to retry.",
            fix=" ".join(_steps(session, action)),
        )
    template = _template(session, action)
    from braze_pipeline.orchestration.runner import instance
    from braze_pipeline.orchestration.watch.tick import Watch

    with instance() as dagster:
        ended = _retry(session, dagster, template, action)
        now = datetime.now(UTC)
        # Noted at once; the sensor, which sees the same run later, counts it only once.
        watch = Watch(instance=dagster, warehouse=session.warehouse, templates=session.templates)
        if ended.is_success:
            watch.record_success(ended, at=now)
            if not _met_again(store, number, ended.run_id):
                store.close(number, how=f"Resolved by run {ended.run_id[:8]}.", at=now)
                console.say(f"Run {ended.run_id[:8]} went through; action {number} is resolved.")
                return
            noted, verb = [], "went through, and met the same again"
        else:
            noted, verb = watch.record_failure(ended, at=now), "did not go through either"
    failed = store.get(noted[0].number if noted else number) or action
    console.fail(
        f"Run {ended.run_id[:8]} {verb}: {failed.resolution.title} (action {failed.number})",
        failed.what,
        failed.fix,
        code=error_of(failed.action).exit_code,
    )


@actions.command()
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; recorded with the action.")
@click.pass_obj
def close(session: Session, number: int, reason: str) -> None:
    """Close an action by hand."""
    store = _store(session)
    _open_one(store, number)
    store.close(number, how=f"Closed by hand: {reason}", at=datetime.now(UTC))
    console.say(f"Action {number} is closed.")


def _met_again(store: ActionStore, number: int, run_id: str) -> bool:
    """Whether a run that went through warns of what the action is about."""
    action = store.get(number)
    return action is not None and action.resolved_at is None and action.run_id == run_id


def _store(session: Session) -> ActionStore:
    return ActionStore(session.warehouse.actions_path)


def _open_one(store: ActionStore, number: int) -> Action:
    """An open action.

    Raises:
        UsageError: there is none of that number, or it is closed.
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


def _template(session: Session, action: Action) -> TemplateSettings:
    for template in session.templates:
        if (template.destination.name, template.name) == (action.destination, action.template):
            return template
    raise UsageError(
        f"Action {action.number} is about {action.destination} / {action.template}, which is not "
        f"in {session.config_file}.",
        fix="Give the file that it is in with --config.",
    )


def _retry(
    session: Session, dagster: dg.DagsterInstance, template: TemplateSettings, action: Action
) -> dg.DagsterRun:
    from braze_pipeline.orchestration.rerun import failed_run, rerun_here, rerun_through

    run = failed_run(dagster, action.run_id)
    whole = action.resolution.whole
    ui = _ui(session)
    if ui and run.remote_job_origin is not None:
        console.say(f"The retry of run {run.run_id[:8]} is queued at {ui} ...")
        return rerun_through(ui, run, instance=dagster, whole=whole)
    definitions = session.definitions(template)
    how = "is done again in full" if whole else "goes on from where it stopped"
    console.say(f"Run {run.run_id[:8]} {how} ...")
    return rerun_here(definitions, template, run, instance=dagster, whole=whole)


def _as_data(session: Session, action: Action) -> dict[str, object]:

    return as_data(action, steps=_steps(session, action), ui=_ui(session))


def _ui(session: Session) -> str | None:
    """The address of the running UI."""
    return session.environ.get(UI_VARIABLE, "").strip() or None


def _steps(session: Session, action: Action) -> tuple[str, ...]:
    facts = {"config": str(session.config_file)}
    for template in session.templates:
        if template.name == action.template:
            facts["sql"] = str(template.attributes_sql)
            facts["api_key_env"] = template.destination.api_key_env
    return action.steps(facts)


def _lines(session: Session, store: ActionStore, action: Action) -> list[str]:
    """An action for a terminal."""
    title = f"Action {action.number}: {action.resolution.title}"
    lines = [f"{title}  [{action.destination} / {action.template}]"]
    lines.append(f"  What happened: {action.what}")
    facts = (
        ("What it means", action.meaning()),
        ("What to do", action.fix),
        ("As of", days_text(action.days)),
        ("Sent", action.sent.sentence() if action.sent else None),
        ("Run", run_link(action.run_id, _ui(session))),
        ("Seen", _seen(action)),
        ("Notification", "; ".join(f"{k} {v}" for k, v in store.notified(action.number).items())),
        ("Resolved", f"{action.resolved_at}: {action.how}" if action.resolved_at else None),
    )
    lines += [f"  {name + ':':<14} {text}" for name, text in facts if text]
    if action.resolved_at is None:
        lines.append("  Steps:")
        steps = enumerate(_steps(session, action), start=1)
        lines += [f"    {number}. {step}" for number, step in steps]
    return [*lines, ""]


def _seen(action: Action) -> str:
    first, last = action.first_seen[:16], action.last_seen[:16]
    if action.count == 1:
        return f"{first} UTC"
    return f"{action.count} times, from {first} to {last} UTC"
