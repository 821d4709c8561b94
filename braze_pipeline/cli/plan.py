"""``braze-pipeline plan``: what would change; ``retry-rejected``: send rejected users again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from braze_pipeline.cli import console
from braze_pipeline.cli.arguments import Day, limit_option, require_key
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.run import run_and_report
from braze_pipeline.errors import NotBuilt
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.plan import rows, stored_plans
from braze_pipeline.send import between_sends
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from rich.table import Table

    from braze_pipeline.plan.stored_plans import PlanSummary


@click.command()
@click.option("--as-of", type=Day(), help="The plan of this day.")
@limit_option(20, "rows", least=0)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all rows to this Parquet file, with the real values.",
)
@click.pass_obj
def plan(session: Session, as_of: date | None, limit: int, out: Path | None) -> None:
    """Show the newest plan: user, attribute, old, new, reason. Personal values are masked."""
    template, warehouse = session.template, session.existing_warehouse
    with warehouse.connect() as con:
        found = stored_plans.latest(con, template, [as_of] if as_of else None)
        if found is None:
            raise NotBuilt(
                "There is no plan yet" + (f" for {as_of}." if as_of else "."),
                fix="Make one with `braze-pipeline run --as-of DAY --dry-run`.",
            )
        written = rows.export_plan(con, warehouse, found, out) if out is not None else 0
        console.show(
            f"Plan {found.plan_id} ({found.status}), made {console.when(found.created_at)} "
            f"by run {found.run_id[:8]}"
        )
        if found.predicted is not None:
            console.show(f"{found.predicted.sentence()}.")
        if found.planned_users:
            console.show_table(_costs(found))
            table = console.new_table("user", "attribute", "old", "new", "reason")
            for row in rows.plan_preview(con, warehouse, found, limit):
                table.add_row(
                    row.user_id, row.attribute, row.old or "null", row.new or "null", row.reason
                )
            console.show_table(table)
        else:
            console.show(
                f"There is nothing to send: {counted(found.unchanged_users, 'user')} unchanged, "
                f"{found.superseded_users:,} superseded, {found.held_back_users:,} suppressed."
            )
        if out is not None:
            console.show(f"{counted(written, 'row')} written to {out}.")


def _costs(found: PlanSummary) -> Table:
    counts = ("users", "nulls", "data points", "full resend")
    table = console.new_table("attribute", "type", *counts, numbers=counts)
    for cost in sorted(found.by_attribute, key=lambda one: -one.data_points):
        if cost.users:
            table.add_row(
                cost.name + (" (new)" if cost.new else ""),
                cost.type,
                f"{cost.users:,}",
                f"{cost.nulls:,}",
                f"{cost.data_points:,}",
                f"{cost.full_data_points:,}",
            )
    return table


@click.command("retry-rejected")
@click.option("--later", is_flag=True, help="Do not send now: leave it to the next run.")
@click.pass_obj
def retry_rejected(session: Session, later: bool) -> None:  # noqa: FBT001
    """Send users again that Braze rejected, although nothing about them changed.

    Runs the day of the newest plan again. What Braze already has costs nothing.
    """
    if not later:
        require_key(session)
    names = [session.template.destination.name]
    with between_sends(session.existing_warehouse, names) as con:
        count = ledger_of(con, session.template).release_refused(session.template.name)
        last = stored_plans.latest(con, session.template)
    if later or last is None or not count:
        found = f"The next run plans {counted(count, 'rejected user')} again."
        console.show(found if count else "No user is rejected.")
        return
    console.show(f"{counted(count, 'rejected user is', 'rejected users are')} planned again.")
    run_and_report(session, last.days)
