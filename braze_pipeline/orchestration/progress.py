"""Who watches a run of this process, beside the event log: the command line at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from braze_pipeline.send import SendProgress

EVERY_SECONDS = 0.2
"""How often a watcher is told; the event log gets a line every few seconds."""


class _Watcher(NamedTuple):
    sees: Callable[[SendProgress], None]
    hears: Callable[[str], None]


_WATCHER: ContextVar[_Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(
    *, sees: Callable[[SendProgress], None], hears: Callable[[str], None]
) -> Iterator[None]:
    """Runs that this process carries out itself tell how far a send is, and what else goes on."""
    token = _WATCHER.set(_Watcher(sees, hears))
    try:
        yield
    finally:
        _WATCHER.reset(token)


def told() -> dict[str, Any]:
    """What ``send_days`` takes for the watcher; nothing where nobody watches."""
    watcher = _WATCHER.get()
    return {} if watcher is None else {"on_progress": watcher.sees, "every": EVERY_SECONDS}


def say(log: Callable[[str], None]) -> Callable[[str], None]:
    """Into the log of the run, and to the watcher."""
    watcher = _WATCHER.get()
    if watcher is None:
        return log

    def both(text: str) -> None:
        log(text)
        watcher.hears(text)

    return both
