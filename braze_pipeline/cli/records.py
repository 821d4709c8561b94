"""``braze-pipeline rejections``: what was rejected; ``sends``: results of recent sends."""

from __future__ import annotations

import json
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

import click

from braze_pipeline.cli import console
from braze_pipeline.cli.arguments import Day, limit_option
from braze_pipeline.cli.context import Session
from braze_pipeline.storage.rejections import days
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.warehouse import named_rows
from braze_pipeline.wording import counted

_OUTCOMES = ("planned", "accepted", "rejected", "not attempted")


@click.command()
@click.option("--as-of", type=Day(), help="One day only.")
@click.option("--rows", is_flag=True, help="Show each rejection with its customer id.")
@limit_option(50, "lines")
@click.pass_obj
def rejections(session: Session, as_of: date | None, rows: bool, limit: int) -> None:  # noqa: FBT001
    """Show what was rejected, and why. Values are masked."""
    template = session.template
    with session.existing_warehouse.connect() as con:
        query = read_sql("cli", "rejections" if rows else "rejections_by_reason")
        found: list[tuple[Any, ...]] = []
        for one in [as_of] if as_of else days(con, template):
            key = [template.destination.name, template.name, one, limit - len(found)]
            found += con.execute(query, key).fetchall()
            if len(found) >= limit:
                break
    if not found:
        console.show("No rejections" + (f" as of {as_of}." if as_of else "."))
        return
    for (day, stage), lines in groupby(found, key=itemgetter(0, 1)):
        number, value = ("customer", "value") if rows else ("values", "example")
        table = console.new_table(
            number,
            "attribute",
            "reason",
            f"{value} (masked)",
            "why",
            numbers=() if rows else (number,),
            title=f"{day}, {stage}",
        )
        for _, _, attribute, reason, count, mask, why in lines:
            table.add_row(count if rows else f"{count:,}", attribute, reason, mask or "", why)
        console.show_table(table)


@click.command()
@limit_option(20, "the newest sends")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line, with all figures."
)
@click.pass_obj
def sends(session: Session, limit: int, as_json: bool) -> None:  # noqa: FBT001
    """Show the results of recent sends, and what slowed or stopped them.

    Users are those of the send's plan, so a rerun also counts what an earlier send delivered.
    """
    template = session.template
    with session.existing_warehouse.connect() as con:
        key = [template.destination.name, template.name, limit]
        found = named_rows(con, read_sql("cli", "sends"), key)
    if as_json:
        for one in found:
            one |= {"retries": json.loads(one["retries"]), "refused": json.loads(one["refused"])}
            console.show(json.dumps(one, default=str, ensure_ascii=False))
        return
    if not found:
        console.show("No sends yet.")
        return
    table = console.new_table("ended", "as of", *_OUTCOMES, "run", numbers=_OUTCOMES)
    table.columns[0].no_wrap = True
    notes = []
    for one in found:
        run = one["run_id"][:8]
        counts = [f"{one[name.replace(' ', '_') + '_users']:,}" for name in _OUTCOMES]
        table.add_row(console.when(one["ended_at"]), f"{one['newest_day']}", *counts, run)
        retries = ", ".join(f"{n:,} x {cause}" for cause, n in json.loads(one["retries"]).items())
        whole = one["status"] == "sent" and not one["not_attempted_users"]
        if retries or one["throttled_seconds"] > 0 or not whole:
            notes.append(
                f"Run {run} ({one['status']}): {counted(one['requests'], 'request')} in "
                f"{one['seconds']:,.1f} s, throttled {one['throttled_seconds']:,.1f} s, 95% of "
                f"answers within {one['latency_p95'] * 1000:,.0f} ms; retries: {retries or 'none'}"
            )
    console.show_table(table)
    for line in notes:
        console.show(line)
