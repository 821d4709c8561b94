"""Shows the progress of a run to a person at the terminal, beside the event log.

Only runs that this process carries out itself can be watched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from braze_pipeline.send import SendProgress

EVERY_SECONDS = 0.2
"""How often a watcher gets the progress; the event log gets a line every few seconds."""


HEARTBEAT_SECONDS = 5.0
"""How often a watcher hears of a step that has nothing else to report."""


class _Watcher(NamedTuple):
    on_progress: Callable[[SendProgress], None]
    on_message: Callable[[str], None]


_WATCHER: ContextVar[_Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(
    *, on_progress: Callable[[SendProgress], None], on_message: Callable[[str], None]
) -> Iterator[None]:
    """Within the block, runs of this process report how far the send is, and every message."""
    token = _WATCHER.set(_Watcher(on_progress, on_message))
    try:
        yield
    finally:
        _WATCHER.reset(token)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Within the block, tell the watcher that a step runs, every few seconds how long, and its end.

    The event log has the start and the end of each step anyway.
    """
    watcher, began, done = _WATCHER.get(), time.monotonic(), threading.Event()
    if watcher is None:
        yield
        return

    def report() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            watcher.on_message(f"{name}: {time.monotonic() - began:,.0f} s so far ...")

    watcher.on_message(f"{name} ...")
    heartbeat = threading.Thread(target=report, name="heartbeat", daemon=True)
    heartbeat.start()
    try:
        yield
    finally:
        done.set()
        heartbeat.join()
    watcher.on_message(f"{name}: done in {time.monotonic() - began:,.1f} s")


def progress_options() -> dict[str, Any]:
    """Arguments that make ``send_days`` report to the watcher; none without one."""
    watcher = _WATCHER.get()
    return {"on_progress": watcher.on_progress, "every": EVERY_SECONDS} if watcher else {}


def logger(log: Callable[[str], None]) -> Callable[[str], None]:
    """What writes a message to the log of the run, and shows it to the watcher."""
    watcher = _WATCHER.get()

    def write(text: str) -> None:
        log(text)
        if watcher:
            watcher.on_message(text)

    return write
