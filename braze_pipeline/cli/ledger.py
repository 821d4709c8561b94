"""``braze-pipeline ledger``: what Braze acknowledged, shown, kept safe, forgotten, reset."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.table import Table

from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.errors import UsageError
from braze_pipeline.ledger import endpoint, tables
from braze_pipeline.ledger.apply import apply_acknowledgements
from braze_pipeline.ledger.tables import ledger_name
from braze_pipeline.operations import ledger_commands
from braze_pipeline.operations.bootstrap import import_export
from braze_pipeline.operations.ledger_commands import forget_user, show_user
from braze_pipeline.operations.transfer import export_ledger, import_ledger
from braze_pipeline.send import between_sends

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def ledger() -> None:
    """What Braze acknowledged, by user and attribute."""


@ledger.command()
@click.argument("user")
@click.pass_obj
def show(session: Session, user: str) -> None:
    """Everything the ledger says of one user. Shows values in clear."""
    with session.kept.connect() as con:
        apply_acknowledgements(con, session.warehouse, session.template.destination.name)
        found = show_user(con, user)
    if not found:
        console.say("The ledger has no such user.")
    for one in found:
        known = {True: "yes", False: "no", None: "nobody knows"}[one.known]
        console.say(f"Ledger {one.ledger}; does Braze have the user: {known}")
        if one.unconfirmed:
            console.say("Acknowledged while nobody knew: planned in full again by rhythm.")
        for template, day in one.evaluated.items():
            console.say(f"Template {template}: up to date as of {day}.")
        for template in one.held_back:
            console.say(f"Template {template}: Braze refused the last object.")
        table = Table("attribute", "value", "as of", "acknowledged (UTC)", "how")
        for entry in one.entries:
            table.add_row(
                entry.attribute,
                entry.value or "null",
                str(entry.as_of or ""),
                f"{entry.acknowledged_at:%Y-%m-%d %H:%M:%S}",
                entry.how,
            )
        console.table(table)


@ledger.command("export")
@click.argument("file", type=_FILE)
@click.pass_obj
def export(session: Session, file: Path) -> None:
    """Write the ledger to a Parquet file: a backup, restored bit for bit by `import`."""
    with session.kept.connect() as con:
        apply_acknowledgements(con, session.warehouse, session.template.destination.name)
        users = export_ledger(con, ledger_name(session.template), file)
    console.say(f"{users:,} users written to {file}.")


@ledger.command("import")
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Even though the ledger has users.")
@click.pass_obj
def import_(session: Session, file: Path, replace: bool) -> None:  # noqa: FBT001
    """Restore a ledger from what `export` wrote."""
    names = {t.destination.name for t in session.templates}
    with between_sends(session.warehouse, names) as con:
        found = import_ledger(con, session.warehouse, session.templates, file, replace=replace)
    console.say(f"The ledger {found.ledger} is restored.")
    if found.in_doubt:
        console.say(f"{found.in_doubt:,} users are in doubt: what was sent since goes out again.")
    if found.resent:
        console.say("The journal has sends that are in no ledger: everything goes out again.")


@ledger.command()
@click.option("--reason", required=True, help="Why it counts for this endpoint; recorded.")
@click.pass_obj
def adopt(session: Session, reason: str) -> None:
    """Let the ledger count for the endpoint that is configured now: the same Braze workspace."""
    with between_sends(session.kept, [session.template.destination.name]) as con:
        endpoint.adopt(con, session.warehouse, session.template, reason=reason)
    console.say(f"The ledger is about {session.template.destination.endpoint} from now on.")


@ledger.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.pass_obj
def bootstrap(session: Session, files: tuple[Path, ...]) -> None:
    """Fill the ledger from Braze export files, so that the first run sends differences only."""
    now = datetime.now(UTC)
    with between_sends(session.warehouse, [session.template.destination.name]) as con:
        found = import_export(con, session.warehouse, session.template, files, now=now)
    console.say(
        f"{found.users:,} users are known now, {found.values:,} values taken over; "
        f"{found.differing:,} kept as the ledger has them, {found.unreadable:,} lines not read."
    )
    for name, count in found.misfits.items():
        console.say(f"  {name}: {count:,} values of another type, to be sent by the next run")


@ledger.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget(session: Session, user: str, yes: bool) -> None:  # noqa: FBT001
    """Remove a user everywhere: ledger, tables, rejections, snapshots and caches."""
    if not yes:
        click.confirm("This cannot be undone. Forget the user?", abort=True)
    with session.kept.connect() as con:
        names = tables.destinations(con)
    with between_sends(session.kept, names) as con:
        removed = forget_user(con, session.warehouse, session.templates, user)
    for place, rows in removed.items():
        if rows:
            console.say(f"{place}: {rows:,}")
    console.say("Forgotten here. The sources and Braze (/users/delete) are yours to ask.")


@ledger.command()
@click.option("--attribute", "attributes", multiple=True, help="Only this Braze name.")
@click.option("--all", "everything", is_flag=True, help="Every attribute of the template.")
@click.pass_obj
def reset(session: Session, attributes: tuple[str, ...], everything: bool) -> None:  # noqa: FBT001
    """Have attributes sent in full again by the next run.

    With --all, a ledger that is about another Braze endpoint is emptied.
    """
    if bool(attributes) == everything:
        raise UsageError(
            "Pass --attribute NAME or --all.",
            fix="A full resend costs one data point for each billable attribute of each user.",
        )
    with between_sends(session.kept, [session.template.destination.name]) as con:
        names = ledger_commands.reset(con, session.warehouse, session.template, attributes or None)
    console.say(f"Planned in full by the next run: {', '.join(names)}.")
