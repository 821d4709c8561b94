"""``braze-pipeline try``: send one user; ``history``: what was sent to one user."""

from __future__ import annotations

import json
import sys
from datetime import date
from typing import TYPE_CHECKING

import click

from braze_pipeline.cli import console
from braze_pipeline.cli.arguments import Day
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.progress import progress_bar
from braze_pipeline.operations.history import history_of
from braze_pipeline.profiles import built_with
from braze_pipeline.send.one_user import (
    Trial,
    TrialOutcome,
    masked_body,
    not_sent_is_discarded,
    send_trial,
    try_user,
)
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.operations.history import SentObject

_SHOW_VALUES = click.option(
    "--show-values", is_flag=True, help="Show the real values of personal data, not their shape."
)


@click.command("try")
@click.argument("user")
@click.option("--as-of", required=True, type=Day(), help="The as-of date.")
@_SHOW_VALUES
@click.option("--yes", is_flag=True, help="Send without asking.")
@click.option("--rebuild", is_flag=True, help="Build the day again, although it was built.")
@click.pass_obj
def try_command(
    session: Session,
    user: str,
    as_of: date,
    show_values: bool,  # noqa: FBT001 - click passes options by name
    yes: bool,  # noqa: FBT001
    rebuild: bool,  # noqa: FBT001
) -> None:
    """Plan one user, show the exact request, send it after confirmation, and read it back.

    USER is the user identifier in Braze. A day that was not built is built first. What Braze
    acknowledges is in the ledger: the next run does not send it again.
    """
    t, warehouse = session.template, session.warehouse
    with warehouse.connect() as con:
        built = built_with(con, t, as_of)
    if rebuild or not built:
        _build(session, as_of)
    trial = try_user(warehouse, t, as_of, user, environ=session.environ, log=console.show)
    if trial.body is None:
        console.show(f"Nothing to send. {trial.why_nothing}")
        return
    for line in _lines(trial, real=show_values):
        console.show(line)
    with not_sent_is_discarded(warehouse, trial):
        if yes or _confirmed():
            outcome = send_trial(warehouse, t, trial, environ=session.environ, log=console.show)
            _show_outcome(outcome)


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        console.show("Nothing was sent: pass --yes to send it.")
        return False
    sends = click.confirm("Send it?")
    if not sends:
        console.show("Nothing was sent.")
    return sends


def _build(session: Session, day: date) -> None:
    from braze_pipeline.orchestration.runner import run_days

    console.show(f"Building {day} ...")
    t = session.template.model_copy(update={"end_date": None})
    with progress_bar(wanted=True):
        outcome = run_days(
            session.definitions(t),
            t,
            [day],
            dry_run=True,
            only_build=True,
            tags={},
            say=console.warn,
        )
    if (failed := outcome.failed) is not None:
        console.fail(failed.title, failed.what, failed.fix, code=failed.exit_code)


def _lines(trial: Trial, *, real: bool) -> list[str]:
    plan = trial.plan
    body = (trial.body or b"").decode() if real else masked_body(trial)
    (reason,) = plan.reasons
    attributes = counted(plan.planned_attributes, "attribute")
    points = counted(plan.data_points, "data point")
    lines = [
        f"POST {trial.address}",
        body,
        f"Reason: {reason}. Cost: 1 request, {attributes}, {points}.",
    ]
    lines += [f"Blocked attribute: {name}" for name in plan.stopped_attributes]
    lines += [
        "Once this is sent, the next run under the destination's other identifier sends these "
        f"attributes to its whole audience again (ledger {name})."
        for name in trial.outdates
    ]
    if not real:
        lines.append("Identifier and personal data are shown as their shape: see --show-values.")
    return lines


def _show_outcome(outcome: TrialOutcome) -> None:
    result, found = outcome.result, outcome.read_back
    if result is None:
        why = console.local(outcome.paused.sentence()) if outcome.paused else ""
        console.show(f"Nothing was sent. {why}")
        return
    if (error := result.stopped_by) is not None:
        console.fail(error.title, error.what, error.fix, code=error.exit_code)
    if result.rejected_users:
        console.show(f"Braze rejected it: {', '.join(result.refused)}")
        return
    console.show("Braze accepted it, and the ledger has it.")
    if found is not None and not found.compared:
        console.show("Read back: Braze does not have this user, so it ignored the update.")
    elif found is not None:
        console.show(f"Read back: {found.sentence()}")


@click.command()
@click.argument("user")
@_SHOW_VALUES
@click.pass_obj
def history(session: Session, user: str, show_values: bool) -> None:  # noqa: FBT001
    """Show what was sent to a user, when, and what Braze answered, newest first.

    It goes back as far as plans are kept (`keep_plans` in defs.yaml). `ledger show` has the last
    acknowledged value of every attribute, however old.
    """
    warehouse = session.existing_warehouse
    with warehouse.connect() as con:
        found = history_of(con, warehouse, session.chosen_templates, user)
    for one in found.sent:
        console.show(_headline(one))
        for name, value in one.shown(real=show_values).items():
            console.show(f"    {name}: {json.dumps(value, ensure_ascii=False)}")
    if found.damaged:
        console.show(f"Skipped, because they are damaged: {', '.join(found.damaged)}.")
    if found.since is None:
        console.show("There is no history: no plan is kept yet.")
        return
    nothing = "" if found.sent else "Nothing was planned for this user. "
    console.show(
        f"{nothing}History begins {console.when(found.since)}, with the oldest plan that is kept "
        "(`keep_plans`)."
    )


def _headline(one: SentObject) -> str:
    how = "tried" if one.tried else "planned"
    start = (
        f"{console.when(one.planned_at)}  {one.template}, as of {one.as_of}, {how} ({one.reason})"
    )
    if (answer := one.answer) is None:
        return f"{start}: not sent"
    at = console.when(answer.at)
    by = "" if one.tried else f" by run {answer.run_id[:8]}"
    if answer.error is not None:
        return f"{start}: rejected at {at}{by}: {answer.error}"
    return f"{start}: accepted at {at}{by}"
