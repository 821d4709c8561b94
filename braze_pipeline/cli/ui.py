"""``braze-pipeline ui``: Dagster's UI and daemon over a persistent instance.

Without an API key in the environment it starts a sandbox too, so that a newcomer can press
Materialize and see a send.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import click

from braze_pipeline import private
from braze_pipeline.braze.redaction import has_api_key
from braze_pipeline.cli import console
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.demo import in_sandbox, stand_in
from braze_pipeline.config.project import DATABASE_VARIABLE, SOURCES_VARIABLE
from braze_pipeline.errors import ConfigurationError

_HOST = "127.0.0.1"
_STOP_SECONDS = 30.0
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.1


@click.command()
@click.option(
    "--port",
    default=3000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help=f"Port on {_HOST}.",
)
@click.pass_obj
def ui(session: Session, port: int) -> None:
    """Start Dagster's UI with daemon, schedule and sensors, on 127.0.0.1.

    Without an API key it uses a sandbox, with a database of its own.
    """
    _check_free(port)
    environ = session.environ
    keys = sorted({template.destination.api_key_env for template in session.templates})
    with ExitStack() as stack:
        if not any(has_api_key(environ, key) for key in keys):
            sandbox = stack.enter_context(stand_in(session))
            sandboxed = in_sandbox(session, sandbox)
            environ = sandboxed.environ
            console.show(f"No API key in {' or '.join(keys)}: runs send to a stand-in for Braze,")
            console.show(f"{sandbox.endpoint}, and use the database {sandboxed.warehouse.path}.")
        settings = _settings(session, environ)
        console.show(f"Dagster's UI: http://{_HOST}:{port} (press Ctrl-C to stop)")
        code = _dagster_dev(session.project, settings, port)
    sys.exit(code)


def _settings(session: Session, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of Dagster; its working directory is the project.

    Raises:
        ConfigurationError: its instance cannot be written.
    """
    home = session.dagster_home
    try:
        writable = os.access(private.folder(home), os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise ConfigurationError(
            f"{home}, the folder of Dagster's instance, cannot be written.",
            fix="Set DAGSTER_HOME to an existing folder that you may write to, and "
            f"{DATABASE_VARIABLE} to a file in one.",
        )
    settings = {
        # Dagster's warnings about its own features are for developers.
        "PYTHONWARNINGS": "ignore",
        **environ,
        "DAGSTER_HOME": str(home),
    }
    for name in (DATABASE_VARIABLE, SOURCES_VARIABLE):
        if settings.get(name):
            settings[name] = str(Path(settings[name]).resolve())
    return settings


def _check_free(port: int) -> None:
    """Make sure that the port is free: Dagster would silently use another one.

    Raises:
        ConfigurationError: it is in use.
    """
    with socket.socket() as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            ours.bind((_HOST, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} on {_HOST} is in use.",
                fix="Stop the program that uses it, or choose another port with --port "
                "(`make ui PORT=3001`).",
            ) from error


def _dagster_dev(project: Path, environ: Mapping[str, str], port: int) -> int:
    command = [
        str(Path(sys.executable).with_name("dagster")), "dev", "--host", _HOST, "--port", str(port)
    ]  # fmt: skip
    # In the background of a script Ctrl-C is ignored, and Dagster would inherit that for all
    # signals. A handler of our own prevents it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # In a process group of its own, so that the terminal signals only us, and we stop the group.
    child = subprocess.Popen(  # noqa: S603
        command, cwd=project, env=environ, start_new_session=True
    )
    try:
        return child.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let Dagster shut down in its own order, then stop what is left of its process group."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # we are stopping already
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=_STOP_SECONDS)
    # First none: what is about to end by itself would answer another signal with a traceback.
    for number in (0, signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + (_STOP_SECONDS if number else _GRACE_SECONDS)
        left = _signal(child.pid, number)
        while left and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            left = _signal(child.pid, 0)


def _signal(group: int, number: int) -> bool:
    """Send a signal (0: none) to the group; whether it has a process to receive it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
