"""``braze-pipeline rejections``: what did not get through; ``sends``: results of recent sends."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter

import click

from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.run import day_of

_OUTCOMES = ("planned", "accepted", "rejected", "not_attempted")

_BY_REASON = """
SELECT as_of, stage, coalesce(attribute, '(whole row)'), reason, count(*),
       min(masked_value), min(message)
FROM records.rejections
WHERE destination = ? AND template = ? AND (? IS NULL OR as_of = ?::DATE)
GROUP BY ALL ORDER BY as_of DESC, stage, count(*) DESC, reason LIMIT ?
"""

_ROWS = """
SELECT as_of, stage, coalesce(attribute, '(whole row)'), reason, customer_id, masked_value, message
FROM records.rejections
WHERE destination = ? AND template = ? AND (? IS NULL OR as_of = ?::DATE)
ORDER BY as_of DESC, stage, attribute, reason, customer_id LIMIT ?
"""

_SENDS = """
SELECT ended_at, newest_day, status, planned_users, accepted_users, rejected_users,
       not_attempted_users, requests, bytes, seconds, throttled_seconds, latency_p50, latency_p95,
       latency_p99, retries, refused, run_id, plan_id
FROM records.send_outcomes
WHERE destination = ? AND template = ? ORDER BY ended_at DESC, rowid DESC LIMIT ?
"""


@click.command()
@click.option("--as-of", "as_of", metavar="YYYY-MM-DD", help="One day only.")
@click.option("--rows", is_flag=True, help="Each rejection with its customer id, not the counts.")
@click.option("--limit", default=50, show_default=True, help="Lines at most.")
@click.pass_obj
def rejections(session: Session, as_of: str | None, rows: bool, limit: int) -> None:  # noqa: FBT001
    """What did not get through, and why. Values are shown as masks."""
    template = session.template
    day = day_of(as_of, "--as-of") if as_of else None
    with session.kept.connect() as con:
        found = con.execute(
            _ROWS if rows else _BY_REASON,
            [template.destination.name, template.name, day and 1, day, limit],
        ).fetchall()
    if not found:
        console.say("No rejections" + (f" as of {day}." if day else "."))
        return
    for (as_of_day, stage), lines in groupby(found, key=itemgetter(0, 1)):
        console.say(f"{as_of_day}, {stage}:")
        for _, _, attribute, reason, number, mask, why in lines:
            shown = number if rows else f"{number:,}"
            value = f" ({mask})" if mask else ""
            console.say(f"  {shown:>8}  {attribute}: {reason}{value}: {why}")


@click.command()
@click.option("--limit", default=20, show_default=True, help="Sends at most, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all figures.")
@click.pass_obj
def sends(session: Session, limit: int, as_json: bool) -> None:  # noqa: FBT001
    """Results of recent sends: outcomes, pace, retries by cause.

    Users are those of the send's plan: a rerun counts what the send before it got through, too.
    """
    template = session.template
    with session.kept.connect() as con:
        result = con.execute(_SENDS, [template.destination.name, template.name, limit])
        names = [column[0] for column in result.description]
        found = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    if as_json:
        for one in found:
            one |= {"retries": json.loads(one["retries"]), "refused": json.loads(one["refused"])}
            console.say(json.dumps(one, default=str, ensure_ascii=False))
        return
    if not found:
        console.say("No sends yet.")
        return
    for one in found:
        counts = ", ".join(f"{one[f'{n}_users']:,} {n.replace('_', ' ')}" for n in _OUTCOMES)
        console.say(f"{one['ended_at']:%Y-%m-%d %H:%M} UTC, as of {one['newest_day']}: {counts}")
        retries = ", ".join(f"{cause}: {n:,}" for cause, n in json.loads(one["retries"]).items())
        console.say(
            f"    {one['status']} by run {one['run_id'][:8]}; {one['requests']:,} requests in "
            f"{one['seconds']:,.1f} s, throttled {one['throttled_seconds']:,.1f} s, "
            f"p95 {one['latency_p95'] * 1000:,.0f} ms" + (f"; retries {retries}" if retries else "")
        )
