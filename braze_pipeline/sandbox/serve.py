"""A sandbox as a process of its own: what ``braze-pipeline sandbox`` runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
        state: A file to read profiles from at the start and write them to at the end.
        users: A file of existing users: one external id per line, or JSON lines.
        assume_all: Whether every id counts as an existing user.
        api_key: The only key that is accepted; None accepts any key.
        latency: Seconds before every response.
        announce: Shows a sentence to the operator.

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
            f"The sandbox could not read its users: {type(error).__name__} in "
            f"{' or '.join(str(one) for one in (state, users) if one is not None)}.",
            fix="Use a file with one external id per line, or with JSON lines.",
        ) from error
    try:
        sandbox.start()
    except OSError as error:
        raise ConfigurationError(
            f"The sandbox cannot listen on port {port}: {error.strerror or error}.",
            fix="Stop the program that uses this port, or pass another --port.",
        ) from error
    # Before the announcement, because whoever reads it may stop the process at once; and until the
    # state is saved, because a second signal must not interrupt that.
    with _ended_by_signal() as ended:
        try:
            announce(f"The sandbox listens on {sandbox.endpoint} (its page: {sandbox.endpoint}/)")
            ended.wait()
        finally:
            sandbox.stop()
            if state is not None:
                files.save(sandbox.workspace, state)
    announce("The sandbox has stopped.")


@contextmanager
def _ended_by_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C and a request to terminate set."""
    ended = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, lambda *_: ended.set()) for number in signals]
    try:
        yield ended
    finally:
        for number, handler in zip(signals, previous, strict=True):
            signal.signal(number, handler)
