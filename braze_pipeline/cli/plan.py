"""``braze-pipeline plan``: what would change; ``retry-rejected``: send refused users again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.run import carry_out, day_of, finish, require_key, told
from braze_pipeline.errors import NotBuilt
from braze_pipeline.operations.ledger_commands import release_refused
from braze_pipeline.plan import rows, stored_plans
from braze_pipeline.send import between_sends

if TYPE_CHECKING:
    from braze_pipeline.plan.stored_plans import PlanSummary


@click.command()
@click.option("--as-of", "as_of", metavar="YYYY-MM-DD", help="The plan of this day.")
@click.option("--limit", default=20, show_default=True, help="Rows shown.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all rows to this Parquet file, with the real values.",
)
@click.pass_obj
def plan(session: Session, as_of: str | None, limit: int, out: Path | None) -> None:
    """The newest plan: user, attribute, old, new, reason. Personal values are masked."""
    template = session.template
    day = day_of(as_of, "--as-of") if as_of else None
    warehouse = session.kept
    with warehouse.connect() as con:
        found = stored_plans.latest(con, template, [day] if day else None)
        if found is None:
            raise NotBuilt(
                "There is no plan yet" + (f" for {day}." if day else "."),
                fix="Make one with `braze-pipeline run --as-of DAY --dry-run`.",
            )
        console.say(
            f"Plan {found.plan_id} ({found.status}), made {found.created_at:%Y-%m-%d %H:%M} UTC "
            f"by run {found.run_id[:8]}"
        )
        if found.planned_users:
            _costs(found)
            table = Table("user", "attribute", "old", "new", "reason")
            for row in rows.plan_preview(con, warehouse, found, limit):
                table.add_row(
                    row.user_id, row.attribute, row.old or "null", row.new or "null", row.reason
                )
            console.table(table)
        else:
            console.say(
                f"It sends nothing: {found.unchanged_users:,} users unchanged, "
                f"{found.superseded_users:,} superseded, {found.held_back_users:,} held back."
            )
        if out is not None:
            console.say(f"{rows.export_plan(con, warehouse, found, out):,} rows written to {out}.")


def _costs(found: PlanSummary) -> None:
    table = Table("attribute", "type", "users", "nulls", "data points", "full resend")
    for cost in sorted(found.by_attribute, key=lambda one: -one.data_points):
        if not cost.users:
            continue
        table.add_row(
            cost.name + (" (new)" if cost.new else ""),
            cost.type,
            f"{cost.users:,}",
            f"{cost.nulls:,}",
            f"{cost.data_points:,}",
            f"{cost.full_data_points:,}",
        )
    console.table(table)


@click.command("retry-rejected")
@click.option("--later", is_flag=True, help="Only let the next run plan them again.")
@click.pass_obj
def retry_rejected(session: Session, later: bool) -> None:  # noqa: FBT001
    """Send users again that Braze refused, although their object did not change.

    The day that was planned last is run again: what Braze has by now costs nothing.
    """
    if not later:
        require_key(session)
    with between_sends(session.kept, [session.template.destination.name]) as con:
        count = release_refused(con, session.template)
        last = stored_plans.latest(con, session.template)
    if later or last is None or not count:
        console.say(f"{count:,} refused users are planned again by the next run.")
        return
    console.say(f"{count:,} refused users are planned again.")
    outcome, found = carry_out(session, last.days, dry_run=False, tags={})
    for line in told(found, dry_run=False):
        console.say(line)
    finish(outcome, found, as_json=False, dry_run=False)
