"""A sandbox as a process of its own: what ``braze-pipeline sandbox`` runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.sandbox import files
from braze_pipeline.sandbox.sandbox import Sandbox


def serve(
    port: int,
    *,
    record: Path | None = None,
    state: Path | None = None,
    users: Path | None = None,
    assume_all: bool = False,
    api_key: str | None = None,
    latency: float = 0.0,
    announce: Callable[[str], None] = print,
) -> None:
    """Run a sandbox until SIGINT or SIGTERM. Call it from the main thread.

    Args:
        port: Where to listen on the loopback address; 0 for a free port.
        record: A file that gets every request as a JSON line, without the API key.
        state: A file that profiles are read from at the start and written to at the end.
        users: A file of the users that Braze has: one external id a line, or JSON lines.
        assume_all: Every id counts as a user that Braze has.
        api_key: The key that is let in; None lets any key in.
        latency: Seconds before every answer.
        announce: Gets the sentences for the operator.

    Raises:
        ConfigurationError: the port is taken, or a file cannot be read.
    """
    sandbox = Sandbox(
        api_key=api_key, assume_all=assume_all, record=record, port=port, latency=latency
    )
    try:
        if state is not None and state.exists():
            files.load(sandbox.workspace, state)
        if users is not None:
            sandbox.seed(users)
    except (OSError, ValueError, LookupError) as error:
        raise ConfigurationError(
            f"The sandbox cannot read its users: {type(error).__name__} in "
            f"{' or '.join(str(one) for one in (state, users) if one is not None)}.",
            fix="Give a file with one external id a line, or JSON lines.",
        ) from error
    try:
        sandbox.start()
    except OSError as error:
        raise ConfigurationError(
            f"The sandbox cannot listen on port {port}: {error.strerror or error}.",
            fix="End what listens there, or give another --port.",
        ) from error
    try:
        announce(f"The sandbox listens on {sandbox.endpoint} (its page: {sandbox.endpoint}/)")
        _wait_for_end()
    finally:
        sandbox.stop()
        if state is not None:
            files.save(sandbox.workspace, state)
    announce("The sandbox has stopped.")


def _wait_for_end() -> None:
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ended.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
