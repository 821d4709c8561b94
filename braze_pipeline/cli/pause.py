"""``braze-pipeline pause`` and ``resume``: stop sends to a destination, and allow them again."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from braze_pipeline.alerts import pauses
from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.errors import UsageError


@click.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; shown until it is resumed.")
@click.pass_obj
def pause(session: Session, name: str, reason: str) -> None:
    """Send nothing to the destination NAME until it is resumed; runs still build and plan.

    A send under way stops within seconds.
    """
    _require(session, name)
    pauses.pause(session.warehouse.actions_path, name, reason=reason, at=datetime.now(UTC))
    console.show(f"{name} is paused. `braze-pipeline resume {name}` lets runs send again.")


@click.command()
@click.argument("name")
@click.pass_obj
def resume(session: Session, name: str) -> None:
    """Let runs send to the destination NAME again; the next one sends what has changed since."""
    _require(session, name)
    was = pauses.resume(session.warehouse.actions_path, name)
    then = "The next run sends what has changed since."
    console.show(f"{name} is resumed. {then}" if was else f"{name} was not paused.")


def _require(session: Session, name: str) -> None:
    names = session.destinations
    if name not in names:
        raise UsageError(
            f"{session.config_file} has no destination {name!r}.",
            fix=f"Its destinations are: {', '.join(names)}.",
        )
