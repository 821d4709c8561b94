"""``braze-pipeline run``: the whole pipeline for one day, or for a range of days."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import click

from braze_pipeline import user_input
from braze_pipeline.braze.instances import other_host_warning
from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.progress import progress_bar
from braze_pipeline.errors import CredentialsMissing, UsageError
from braze_pipeline.operations.report import nothing, report

if TYPE_CHECKING:
    from braze_pipeline.operations.report import Report
    from braze_pipeline.orchestration.runner import RunOutcome
    from braze_pipeline.plan.stored_plans import PlanSummary


@click.command()
@click.option("--as-of", "as_of", required=True, metavar="YYYY-MM-DD", help="The as-of date.")
@click.option(
    "--until", metavar="YYYY-MM-DD", help="Last day of a range; sent is its newest state."
)
@click.option("--dry-run", is_flag=True, help="Stop at the plan: nothing is sent.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object as the last line.")
@click.option(
    "--let-through", multiple=True, metavar="GUARD", help="A guard this one run may pass."
)
@click.option("--force-stale", is_flag=True, help="Let older values overwrite newer ones.")
@click.option("--reason", help="Why a guard or the stale guard is overridden; recorded.")
@click.pass_obj
def run(
    session: Session,
    as_of: str,
    until: str | None,
    dry_run: bool,  # noqa: FBT001 - click passes options by name
    as_json: bool,  # noqa: FBT001
    let_through: tuple[str, ...],
    force_stale: bool,  # noqa: FBT001
    reason: str | None,
) -> None:
    """Build, plan and send the customer attributes of one day."""
    days = days_between(as_of, until)
    if (let_through or force_stale) and not reason:
        raise UsageError(
            "--let-through and --force-stale need --reason.",
            fix="Say why in a few words; it is recorded with the run.",
        )
    if not dry_run:
        require_key(session)
    from braze_pipeline.orchestration.overrides import tags_of

    outcome, found = carry_out(
        session,
        days,
        dry_run=dry_run,
        tags=tags_of(let_through=let_through, reason=reason, force_stale=force_stale),
        bar=not as_json,
    )
    if not as_json and (found.plan is not None or outcome.failed is None):
        for line in told(found, dry_run=dry_run):
            console.say(line)
    finish(outcome, found, as_json=as_json, dry_run=dry_run)


def days_between(as_of: str, until: str | None) -> list[date]:
    """The days from one to another, both included.

    Raises:
        UsageError: one of them is not a valid date, or they are the wrong way round.
    """
    first = day_of(as_of, "--as-of")
    last = day_of(until, "--until") if until else first
    if last < first:
        raise UsageError(f"--until {last} lies before --as-of {first}.", fix="Swap them.")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def day_of(text: str, option: str) -> date:
    """A day as YYYY-MM-DD.

    Raises:
        UsageError: it is not a valid date.
    """
    try:
        return user_input.parse_date(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text!r} is not a valid date.",
            fix="Write it as YYYY-MM-DD, such as 2011-12-09.",
        ) from error


def require_key(session: Session) -> None:
    """Fail at once, and not after the build, when there is no API key to send with.

    Raises:
        CredentialsMissing: the variable that the destination names is not set.
    """
    name = session.template.destination.api_key_env
    if not session.environ.get(name, "").strip():
        raise CredentialsMissing(
            f"The environment variable {name} holds no API key.",
            fix=f"Set {name} to a REST API key with the permission users.track, "
            "or use --dry-run, which needs none.",
        )


def carry_out(
    session: Session,
    days: Sequence[date],
    *,
    dry_run: bool,
    tags: dict[str, str],
    bar: bool = True,
) -> tuple[RunOutcome, Report]:
    """Run the template's job, and count what it left; with a ``bar`` where a person looks on."""
    from braze_pipeline.orchestration.runner import run_days

    template, warehouse = session.template, session.warehouse
    endless = template.end_date is not None and days[-1] > template.end_date
    if endless:
        # The end is what the UI offers and the schedule does; a day given here is meant.
        console.warn(
            f"Warning: {days[-1]} is after `end_date` {template.end_date} in "
            f"{session.config_file}. Remove that line if your data goes on."
        )
    definitions = session.definitions(template, endless=endless)
    if warning := other_host_warning(template.destination.endpoint):
        console.warn(f"Warning: {warning}")
    with progress_bar(wanted=bar):
        outcome = run_days(definitions, template, days, dry_run=dry_run, tags=tags)
    for warning in outcome.warnings:
        console.warn(f"Warning: {warning}")
    with warehouse.connect() as con:
        found = report(con, template, days, run_id=outcome.run_id)
    if outcome.failed is not None and found.plan is None:
        found = nothing(days)
    return outcome, found


def told(found: Report, *, dry_run: bool) -> list[str]:
    """A run in words and figures."""
    lines = [f"As of {found.days[-1]}" + (f" ({len(found.days)} days)" if found.days[1:] else "")]
    lines.append(f"  customers              {found.customers:>10,}")
    lines += [f"    left out, {rule:<12} {count:>10,}" for rule, count in found.left_out.items()]
    lines.append(f"  in the audience        {found.audience:>10,}")
    lines.append(f"    rejected rows        {found.rejected_rows:>10,}")
    lines.append(f"  profiles               {found.profiles:>10,}")
    lines.append(f"    rejected values      {found.rejected_values:>10,}")
    plan = found.plan
    if plan is None:
        return lines
    lines.append(
        f"  planned users          {plan.planned_users:>10,}   "
        f"{plan.planned_attributes:,} attributes"
    )
    lines.append(f"    unchanged            {plan.unchanged_users:>10,}")
    lines.append(f"    superseded           {plan.superseded_users:>10,}")
    if plan.held_back_users:
        lines.append(f"    held back            {plan.held_back_users:>10,}")
    lines.append(
        f"  cost                   {plan.requests:>10,}   requests, {plan.data_points:,} data "
        f"points (a full resend: {plan.forecast.full_data_points:,})"
    )
    lines += [f"  held back: {one}" for one in plan.stopped_attributes]
    if dry_run:
        return [*lines, *_forecast(plan), "Dry run: nothing was sent."]
    lines.append(f"  accepted by Braze      {found.accepted_users:>10,}")
    lines.append(f"    rejected by Braze    {found.rejected_users:>10,}")
    lines.append(f"    not attempted        {found.not_attempted_users:>10,}")
    if plan.unknown_users:
        lines.append(
            f"  of unknown standing    {plan.unknown_users:>10,}   Braze ignores users it does not "
            "have; these are sent in full again by rhythm"
        )
    return lines


def _forecast(plan: PlanSummary) -> list[str]:
    """What the plan would cost, by attribute, beside the runs before."""
    f = plan.forecast
    lines = [f"  time at the limit      {f.minutes:>10,.1f}   minutes, {f.bytes:,} bytes"]
    if f.money is not None:
        lines.append(f"  price                  {f.money:>10,.2f}   {f.currency}")
    if f.hourly_share is not None:
        lines.append(f"  of the hourly limit    {f.hourly_share:>10.1%}")
    if f.history.runs:
        lines.append(
            f"  the last {f.history.runs} runs: {f.history.users:,.0f} users, "
            f"{f.history.requests:,.0f} requests, {f.history.data_points:,.0f} data points each"
        )
    if plan.first_send:
        lines.append("  The ledger is empty: everything is new to Braze, as far as we know.")
    if plan.new_attributes:
        lines.append(f"  new names: {', '.join(plan.new_attributes)}")
    lines += [f"  {line}" for line in plan.preflight.lines()]
    lines.append("  by attribute (users, data points):")
    lines += [
        f"    {c.name:<28} {c.users:>10,} {c.data_points:>10,}"
        for c in sorted(f.by_attribute, key=lambda one: (-one.data_points, one.name))
        if c.users
    ]
    return lines


def finish(outcome: RunOutcome, found: Report, *, as_json: bool, dry_run: bool) -> None:
    """The last line, and the exit code."""
    failed = outcome.failed
    status = failed.action if failed else ("planned" if dry_run else "sent")
    if as_json:
        told = found.as_json(status=status) | {"warnings": list(outcome.warnings)}
        console.say(json.dumps(told, ensure_ascii=False))
    if failed is not None:
        console.fail(failed.title, failed.what, failed.fix, code=failed.exit_code)
    sys.stdout.flush()
