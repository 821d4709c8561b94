"""``braze-pipeline run``: the whole pipeline for one day, or for a range of days."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from braze_pipeline.braze.instances import other_host_warning
from braze_pipeline.cli import console
from braze_pipeline.cli.arguments import Day, days_between, require_key
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.progress import progress_bar
from braze_pipeline.cli.summary import summary
from braze_pipeline.operations.report import Report, report
from braze_pipeline.plan.overrides import given_overrides

if TYPE_CHECKING:
    from braze_pipeline.orchestration.runner import RunOutcome


@click.command()
@click.option(
    "--as-of",
    default="newest",
    show_default="newest, the last day that has ended",
    type=Day(),
    help="The as-of date.",
)
@click.option("--until", type=Day(), help="Last day of a range; only its newest state is sent.")
@click.option("--dry-run", is_flag=True, help="Stop at the plan: nothing is sent.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
@click.option(
    "--let-through", multiple=True, metavar="GUARD", help="A guard to override in this one run."
)
@click.option("--force-stale", is_flag=True, help="Let older values overwrite newer ones.")
@click.option(
    "--refit", is_flag=True, help="Make the day's fit of predicted value again, from its orders."
)
@click.option("--reason", help="Why a guard or the stale guard is overridden; recorded.")
@click.pass_obj
def run(
    session: Session,
    as_of: date,
    until: date | None,
    dry_run: bool,  # noqa: FBT001 - click passes options by name
    as_json: bool,  # noqa: FBT001
    let_through: tuple[str, ...],
    force_stale: bool,  # noqa: FBT001
    refit: bool,  # noqa: FBT001
    reason: str | None,
) -> None:
    """Build, plan and send the customer attributes of one day."""
    days = days_between(as_of, until or as_of)
    given_overrides(let_through=let_through, reason=reason, force_stale=force_stale)
    if not dry_run:
        require_key(session)
    from braze_pipeline.orchestration.overrides import REFIT, tags_of

    tags = tags_of(let_through=let_through, reason=reason, force_stale=force_stale)
    if refit:
        tags[REFIT] = "true"
    run_and_report(session, days, dry_run=dry_run, tags=tags, as_json=as_json)


def run_and_report(
    session: Session,
    days: Sequence[date],
    *,
    dry_run: bool = False,
    tags: Mapping[str, str] | None = None,
    as_json: bool = False,
) -> Report:
    """Run the template's job and print its figures.

    A run that failed ends the command with an error message and the exit code of its class.
    """
    template = session.template
    outcome = _run_job(session, days, dry_run=dry_run, tags=tags or {}, show_progress=not as_json)
    for warning in outcome.warnings:
        console.warn(f"Warning: {warning}")
    with session.warehouse.connect() as con:
        figures = report(con, template, days, run_id=outcome.run_id)
    failed = outcome.failed
    if failed is None and figures.plan is None:
        msg = f"run {outcome.run_id} succeeded without a plan for the template {template.name}"
        raise RuntimeError(msg)
    if figures.plan is None:
        # It ended before there was a plan: the figures in the tables are an older run's.
        figures = Report(days=tuple(days))
    if as_json:
        done = "planned" if dry_run else "paused" if outcome.paused else "sent"
        status = failed.action if failed else done
        document = figures.as_json(status=status) | {"warnings": list(outcome.warnings)}
        console.show(json.dumps(document, ensure_ascii=False))
    elif figures.plan is not None:
        resend_days = template.destination.known_users.resend_days
        for line in summary(figures, dry_run=dry_run, resend_days=resend_days):
            console.show(line)
    if failed is not None:
        console.fail(failed.title, failed.what, failed.fix, code=failed.exit_code)
    return figures


def _run_job(
    session: Session,
    days: Sequence[date],
    *,
    dry_run: bool,
    tags: Mapping[str, str],
    show_progress: bool,
) -> RunOutcome:
    console.note("Loading the pipeline ...")
    from braze_pipeline.orchestration.runner import run_days

    template = session.template
    if template.end_date is not None and days[-1] > template.end_date:
        # `end_date` limits the UI and the schedule; a day given here is what the user wants.
        console.warn(
            f"Warning: {days[-1]} is after `end_date` {template.end_date} in "
            f"{session.config_file}. If that is your file, and your data continues after that day, "
            "remove the line; otherwise pass your file with --config."
        )
        template = template.model_copy(update={"end_date": None})
    definitions = session.definitions(template)
    if warning := other_host_warning(template.destination.endpoint):
        console.warn(f"Warning: {warning}")
    with progress_bar(wanted=show_progress):
        return run_days(definitions, template, days, dry_run=dry_run, tags=tags, say=console.warn)
