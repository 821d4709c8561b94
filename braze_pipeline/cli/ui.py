"""``braze-pipeline ui``: Dagster's UI and daemon over a persistent instance.

Without an API key in the environment a sandbox is started beside it, so that a newcomer can press
Materialize and see a send.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.demo import in_sandbox, known_users

_STOP_SECONDS = 20


@click.command()
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
@click.pass_obj
def ui(session: Session, port: int) -> None:
    """Dagster's UI with daemon, schedule and sensors, on 127.0.0.1."""
    environment = dict(os.environ)
    environment.setdefault("DAGSTER_HOME", str(Path(".dagster_home").resolve()))
    key = session.templates[0].destination.api_key_env
    with ExitStack() as stack:
        if not environment.get(key):
            from braze_pipeline.sandbox import Sandbox

            sandbox = stack.enter_context(Sandbox(users=known_users(session)))
            environment.update(in_sandbox(session, sandbox).environ)
            console.say(f"{key} is not set: a stand-in Braze answers at {sandbox.endpoint}")
        console.say(f"Dagster's UI: http://127.0.0.1:{port} (end it with Ctrl-C)")
        sys.exit(_dagster_dev(environment, port))


def _dagster_dev(environment: dict[str, str], port: int) -> int:
    command = [
        str(Path(sys.executable).with_name("dagster")), "dev",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    # Its own process group: Ctrl-C is passed on once, and everything it started ends with it.
    child = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603
    try:
        return child.wait()
    except KeyboardInterrupt:
        os.killpg(child.pid, signal.SIGINT)
        try:
            return child.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return child.wait()
