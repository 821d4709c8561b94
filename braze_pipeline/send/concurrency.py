"""How many requests should be in flight: as many as the rate limit needs at Braze's latency.

By Little's law that is pace times latency. The latency that counts is the shortest seen recently:
the mean also includes the time that our own requests wait for the processor, which would add more
requests for nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import ceil, inf
from typing import Final

_FIRST: Final = 8
_LEAST: Final = 4
_MARGIN: Final = 1.5
_WINDOW: Final = 5.0


class ConcurrencyController:
    """The wanted number of requests in flight."""

    def __init__(
        self,
        *,
        per_second: Callable[[], float],
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._shortest = inf
        self._shortest_before = inf

    def add_latency(self, seconds: float) -> None:
        """A request took this long."""
        with self._lock:
            self._next_window()
            self._shortest = min(self._shortest, seconds)

    def wanted(self) -> int:
        """How many requests should be in flight now."""
        with self._lock:
            self._next_window()
            latency = min(self._shortest, self._shortest_before)
        needed = _FIRST if latency == inf else ceil(self._per_second() * latency * _MARGIN)
        return min(self._most, max(_LEAST, needed))

    def _next_window(self) -> None:
        """Forget what is older than two windows, so that a slower Braze is noticed."""
        if self._clock() - self._since > _WINDOW:
            self._shortest_before, self._shortest = self._shortest, inf
            self._since = self._clock()
