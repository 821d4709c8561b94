"""How many requests should be under way: as many as the limit needs at Braze's latency.

By Little's law that is pace times latency. The latency that counts is the shortest seen lately:
the mean also holds the time that our own crowd of requests waits for the processor, and would
make the crowd grow for nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import ceil
from typing import Final

_FIRST: Final = 8
_LEAST: Final = 4
_MARGIN: Final = 1.5
_WINDOW: Final = 5.0


class ConcurrencyController:
    """The wanted number of requests under way."""

    def __init__(
        self, *, per_second: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._now: float | None = None
        self._before: float | None = None

    def saw(self, seconds: float) -> None:
        """A request took so long."""
        with self._lock:
            self._turn()
            self._now = seconds if self._now is None else min(self._now, seconds)

    def wanted(self) -> int:
        """How many requests should be under way now."""
        with self._lock:
            self._turn()
            seen = [one for one in (self._now, self._before) if one is not None]
        if not seen:
            return min(self._most, _FIRST)
        return max(min(_LEAST, self._most), min(self._most, self._needed(min(seen))))

    def _needed(self, latency: float) -> int:
        return ceil(self._per_second * latency * _MARGIN)

    def _turn(self) -> None:
        """Forget what is older than two windows, so that a slower Braze is noticed."""
        if self._clock() - self._since > _WINDOW:
            self._before, self._now, self._since = self._now, None, self._clock()
