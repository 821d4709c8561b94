"""``braze-pipeline rejections``: what was rejected; ``sends``: results of recent sends."""

from __future__ import annotations

import json
from datetime import date
from itertools import groupby
from operator import itemgetter

import click

from braze_pipeline.cli import console
from braze_pipeline.cli.arguments import Day
from braze_pipeline.cli.context import Session
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.warehouse import named_rows

_OUTCOMES = ("planned", "accepted", "rejected", "not_attempted")


@click.command()
@click.option("--as-of", "as_of", type=Day(), help="One day only.")
@click.option("--rows", is_flag=True, help="Show each rejection with its customer id.")
@click.option("--limit", default=50, show_default=True, help="Number of lines to show.")
@click.pass_obj
def rejections(session: Session, as_of: date | None, rows: bool, limit: int) -> None:  # noqa: FBT001
    """Show what was rejected, and why. Values are masked."""
    template = session.template
    with session.existing_warehouse.connect() as con:
        found = con.execute(
            read_sql("cli", "rejections" if rows else "rejections_by_reason"),
            [template.destination.name, template.name, as_of, as_of, limit],
        ).fetchall()
    if not found:
        console.show("No rejections" + (f" as of {as_of}." if as_of else "."))
        return
    for (day, stage), lines in groupby(found, key=itemgetter(0, 1)):
        console.show(f"{day}, {stage}:")
        for _, _, attribute, reason, number, mask, why in lines:
            shown = number if rows else f"{number:,}"
            value = f" ({mask})" if mask else ""
            console.show(f"  {shown:>8}  {attribute}: {reason}{value}: {why}")


@click.command()
@click.option(
    "--limit", default=20, show_default=True, help="Number of sends to show, newest first."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per line, with all figures."
)
@click.pass_obj
def sends(session: Session, limit: int, as_json: bool) -> None:  # noqa: FBT001
    """Show the results of recent sends: outcomes, pace, retries by cause.

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
    for one in found:
        counts = ", ".join(f"{one[f'{n}_users']:,} {n.replace('_', ' ')}" for n in _OUTCOMES)
        console.show(f"{console.when(one['ended_at'])}, as of {one['newest_day']}: {counts}")
        retries = ", ".join(f"{cause}: {n:,}" for cause, n in json.loads(one["retries"]).items())
        console.show(
            f"    {one['status']} by run {one['run_id'][:8]}; {one['requests']:,} requests in "
            f"{one['seconds']:,.1f} s, throttled {one['throttled_seconds']:,.1f} s, "
            f"p95 {one['latency_p95'] * 1000:,.0f} ms" + (f"; retries {retries}" if retries else "")
        )
