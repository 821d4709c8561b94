"""How many requests should be in flight: as many as the rate limit needs at Braze's latency.

By Little's law that is pace times mean latency. The shortest latency would not do: where answers
take 10 ms at best and 70 ms in the mean, it gives a seventh of the requests that are needed. But
the mean also has the time that our own requests wait for the processor. Where that is busy, more
requests bring nothing but longer waits, and so still more requests: none are added then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import ceil
from typing import Final

_LEAST: Final = 4
_MARGIN: Final = 1.5

_WINDOW: Final = 5.0
"""Seconds after which latencies begin to be forgotten."""

_BUSY: Final = 0.8
"""The share of one core from which the processor is busy: Python code runs on one at a time."""

_SAMPLE: Final = 0.1
"""Seconds over which that share is measured."""


class ConcurrencyController:
    """The wanted number of requests in flight."""

    def __init__(
        self,
        *,
        per_second: Callable[[], float],
        most: int,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        """A controller that has seen no answer yet.

        Args:
            per_second: The requests that the rate limit allows.
            most: Never more than this.
            clock: Seconds.
            processor: Seconds of processor time that this process has taken.
        """
        self._per_second = per_second
        self._most = most
        self._clock = clock
        self._processor = processor
        self._lock = threading.Lock()
        self._since = clock()
        self._latencies = self._latencies_before = (0.0, 0)  # sum and number
        self._wanted = min(most, _LEAST)
        self._sampled = (clock(), processor())
        self._busy = True  # until it is known not to be

    def add_latency(self, seconds: float) -> None:
        """A request took this long."""
        with self._lock:
            self._next_window()
            total, number = self._latencies
            self._latencies = total + seconds, number + 1

    def wanted(self) -> int:
        """How many requests should be in flight now; asked often, and by one thread."""
        with self._lock:
            self._next_window()
            total, number = map(sum, zip(self._latencies, self._latencies_before, strict=True))
        latency = total / number if number else 0.0
        wanted = min(self._most, max(_LEAST, ceil(self._per_second() * latency * _MARGIN)))
        self._wanted = min(wanted, self._wanted) if self._is_busy() else wanted
        return self._wanted

    def _next_window(self) -> None:
        """Forget what is older than two windows, so that a slower Braze is noticed."""
        if self._clock() - self._since > _WINDOW:
            self._latencies_before, self._latencies = self._latencies, (0.0, 0)
            self._since = self._clock()

    def _is_busy(self) -> bool:
        now, used = self._clock(), self._processor()
        (since, used_before) = self._sampled
        if now - since >= _SAMPLE:
            self._busy = used - used_before > _BUSY * (now - since)
            self._sampled = now, used
        return self._busy
