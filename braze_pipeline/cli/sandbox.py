"""``braze-pipeline sandbox``: the stand-in for Braze as a server of its own."""

from __future__ import annotations

from pathlib import Path

import click

from braze_pipeline.cli import console

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--port", required=True, type=click.IntRange(0, 65535), help="Port on 127.0.0.1.")
@click.option("--record", type=_FILE, help="Write every request to this file, without the key.")
@click.option("--state", type=_FILE, help="Keep profiles in this file across restarts.")
@click.option(
    "--users", type=_FILE, help="The users it has: one external id per line, or JSON lines."
)
@click.option("--all-users", is_flag=True, help="Treat every user as existing.")
@click.option("--api-key", help="The only key it accepts (default: any).")
@click.option(
    "--latency", default=0.0, type=click.FloatRange(min=0), help="Seconds before each answer."
)
def sandbox(
    port: int,
    record: Path | None,
    state: Path | None,
    users: Path | None,
    all_users: bool,  # noqa: FBT001
    api_key: str | None,
    latency: float,
) -> None:
    """Start a stand-in for Braze on 127.0.0.1, for trials: it answers like the real one."""
    from braze_pipeline.sandbox import serve

    serve(
        port,
        record=record,
        state=state,
        users=users,
        assume_all=all_users,
        api_key=api_key,
        latency=latency,
        announce=console.show,
    )
