"""``braze-pipeline ledger``: show, back up, restore, fill, reset and forget what Braze has."""

from __future__ import annotations

from pathlib import Path

import click

from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.errors import UsageError
from braze_pipeline.ledger import endpoint
from braze_pipeline.ledger.ledger import destinations
from braze_pipeline.operations import ledger_commands
from braze_pipeline.operations.bootstrap import import_export
from braze_pipeline.operations.forget import forget_user
from braze_pipeline.operations.ledger_commands import show_user
from braze_pipeline.operations.transfer import export_ledger, import_ledger
from braze_pipeline.send import between_sends
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.wording import counted

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def ledger() -> None:
    """What Braze acknowledged, by user and attribute."""


@ledger.command()
@click.argument("user")
@click.pass_obj
def show(session: Session, user: str) -> None:
    """Show everything that the ledger has about a user, with the real values."""
    with session.existing_warehouse.connect() as con:
        found = show_user(con, session.warehouse, user)
    if not found:
        console.show("The ledger does not have this user.")
    for one in found:
        known = {True: "yes", False: "no", None: "unknown"}[one.known]
        console.show(f"Ledger {one.ledger}; exists in Braze: {known}")
        if one.unconfirmed:
            console.show("Not confirmed in Braze: re-sent in full every few days (`resend_days`).")
        for template, day in one.evaluated.items():
            console.show(f"Template {template}: up to date as of {day}.")
        for template in one.refused_by:
            console.show(f"Template {template}: Braze rejected the last object.")
        if not one.entries:
            console.show("Braze has not acknowledged any value of this user.")
            continue
        table = console.new_table("attribute", "value", "as of", "acknowledged", "how")
        for entry in one.entries:
            table.add_row(
                entry.attribute,
                entry.value or "null",
                str(entry.as_of or ""),
                console.when(entry.acknowledged_at),
                entry.how,
            )
        console.show_table(table)


@ledger.command("export")
@click.argument("file", type=_FILE)
@click.pass_obj
def export(session: Session, file: Path) -> None:
    """Write the ledger to a Parquet file: a backup that `import` restores bit for bit."""
    with session.existing_warehouse.connect() as con:
        users = export_ledger(con, session.warehouse, session.template, file)
    console.show(f"{counted(users, 'user')} written to {file}.")


@ledger.command("import")
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Overwrite a ledger that has users.")
@click.pass_obj
def import_(session: Session, file: Path, replace: bool) -> None:  # noqa: FBT001
    """Restore a ledger from a file that `export` wrote."""
    with between_sends(session.warehouse, session.destinations) as con:
        found = import_ledger(con, session.warehouse, session.templates, file, replace=replace)
    console.show(f"The ledger {found.ledger} is restored.")
    if found.endpoint is None:
        console.show(
            "The file does not record the Braze endpoint that it belongs to, so nothing is sent "
            'until you confirm the one in defs.yaml: `braze-pipeline ledger adopt --reason "…"`.'
        )
    if found.in_doubt:
        console.show(
            f"{counted(found.in_doubt, 'user is', 'users are')} in doubt: what was sent to them "
            "after the export is sent again."
        )
    if found.resent:
        console.show("It is not known what was sent after the export, so everything is sent again.")


@ledger.command()
@click.option("--reason", required=True, help="Why it is the same workspace; recorded.")
@click.pass_obj
def adopt(session: Session, reason: str) -> None:
    """Use the ledger for the endpoint that is configured now: the same Braze workspace."""
    names = [session.template.destination.name]
    with between_sends(session.existing_warehouse, names) as con:
        endpoint.adopt(con, session.warehouse, session.template, reason=reason)
    console.show(f"The ledger is now about {session.template.destination.endpoint}.")


@ledger.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--all-users", is_flag=True,
    help="The files have every user of Braze: what the template sends is in doubt for nobody else.",
)  # fmt: skip
@click.pass_obj
def bootstrap(session: Session, files: tuple[Path, ...], all_users: bool) -> None:  # noqa: FBT001
    """Fill the ledger from Braze export files, so that the first run sends only differences."""
    with between_sends(session.warehouse, [session.template.destination.name]) as con:
        found = import_export(
            con, session.warehouse, session.template, files, now=utc_now(), all_users=all_users
        )
    console.show(
        f"Imported {counted(found.users, 'user')} and {counted(found.values, 'value')}. The ledger "
        f"kept {counted(found.differing, 'value')} of its own; "
        f"{counted(found.unreadable, 'line')} could not be read."
    )
    for name, count in found.misfits.items():
        console.show(
            f"  {name}: {counted(count, 'value')} of another type; the next run replaces "
            "or clears them"
        )


@ledger.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def forget(session: Session, user: str, yes: bool) -> None:  # noqa: FBT001
    """Remove a user everywhere: ledger, tables, rejections, snapshots, caches and extracts."""
    if not yes:
        click.confirm("This cannot be undone. Forget the user?", abort=True)
    with session.existing_warehouse.connect() as con:
        names = destinations(con)
    with between_sends(session.warehouse, names) as con:
        removed = forget_user(con, session.warehouse, session.templates, user)
    for place, rows in removed.items():
        console.show(f"{place}: {rows:,}")
    console.show(
        "The user is forgotten here. Remove them from your sources and from Braze (/users/delete) "
        "as well."
    )


@ledger.command()
@click.option("--attribute", "attributes", multiple=True, help="Only the attribute of this name.")
@click.option("--all", "everything", is_flag=True, help="Every attribute of the template.")
@click.pass_obj
def reset(session: Session, attributes: tuple[str, ...], everything: bool) -> None:  # noqa: FBT001
    """Make the next run send attributes in full again.

    With --all, a ledger that is about another Braze endpoint is emptied.
    """
    if bool(attributes) == everything:
        raise UsageError(
            "Pass --attribute NAME or --all.",
            fix="A full resend costs one data point for each billable attribute of each user.",
        )
    destination = [session.template.destination.name]
    with between_sends(session.existing_warehouse, destination) as con:
        names = ledger_commands.reset(con, session.warehouse, session.template, attributes or None)
    console.show(f"The next run sends these in full: {', '.join(names)}.")
