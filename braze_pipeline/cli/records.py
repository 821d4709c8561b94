"""``braze-pipeline rejections``: what did not get through, and why."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.run import day_of

_BY_REASON = """
SELECT as_of, stage, coalesce(attribute, '(whole row)'), reason, count(*),
       min(masked_value), min(message)
FROM records.rejections
WHERE destination = ? AND template = ? AND (? IS NULL OR as_of = ?::DATE)
GROUP BY ALL ORDER BY as_of DESC, count(*) DESC, reason LIMIT ?
"""

_ROWS = """
SELECT as_of, stage, coalesce(attribute, '(whole row)'), reason, customer_id, masked_value, message
FROM records.rejections
WHERE destination = ? AND template = ? AND (? IS NULL OR as_of = ?::DATE)
ORDER BY as_of DESC, stage, attribute, reason, customer_id LIMIT ?
"""


@click.command()
@click.option("--as-of", "as_of", metavar="YYYY-MM-DD", help="One day only.")
@click.option("--rows", is_flag=True, help="Each rejection with its customer id, not the counts.")
@click.option("--limit", default=50, show_default=True, help="Lines at most.")
@click.pass_obj
def rejections(session: Session, as_of: str | None, rows: bool, limit: int) -> None:  # noqa: FBT001
    """What did not get through, and why. Values are shown as masks."""
    from braze_pipeline.core import rejections as records

    template = session.template
    day = day_of(as_of, "--as-of") if as_of else None
    with session.warehouse.connect() as con:
        records.ensure(con)
        found = con.execute(
            _ROWS if rows else _BY_REASON,
            [template.destination.name, template.name, day and 1, day, limit],
        ).fetchall()
    if not found:
        console.say("No rejections" + (f" as of {day}." if day else "."))
        return
    third = "customer" if rows else "count"
    table = Table("as of", "stage", "attribute", "reason", third, "value (masked)", "why")
    for line in found:
        table.add_row(*("" if cell is None else str(cell) for cell in line))
    Console().print(table)
