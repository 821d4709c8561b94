"""Who watches a send of this process, beside the event log: the command line's progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from braze_pipeline.core.send import Progress

EVERY_SECONDS = 0.2
"""How often a watcher is told; the event log gets a line every few seconds."""

_WATCHER: ContextVar[Callable[[Progress], None] | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(by: Callable[[Progress], None]) -> Iterator[None]:
    """Sends of runs that this process carries out itself tell ``by`` how far they are."""
    token = _WATCHER.set(by)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def told() -> dict[str, Any]:
    """What ``send_days`` takes for the watcher; nothing where nobody watches."""
    watcher = _WATCHER.get()
    return {} if watcher is None else {"on_progress": watcher, "every": EVERY_SECONDS}
