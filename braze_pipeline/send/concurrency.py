"""How many requests should be in flight: as many as the rate limit needs at Braze's latency.

By Little's law that is pace times mean latency. The shortest latency would not do: where answers
take 10 ms at best and 70 ms in the mean, it gives a seventh of the requests that are needed. But
the mean also has the time that our own requests wait for the processor. Where that is busy, more
requests bring nothing but longer waits, and so still more requests: none are added then, beyond
what the shortest latency gives. Whether Braze itself is the one that waits is not looked at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf
from typing import Final

_LEAST: Final = 4
_MARGIN: Final = 1.5

_WINDOW: Final = 5.0
"""Seconds after which latencies begin to be forgotten."""

_BUSY: Final = 0.8
"""The share of a core from which the processor is busy: Python code runs on one at a time."""

_SAMPLE: Final = 0.1
"""Seconds over which that share is measured."""


@dataclass
class _Latencies:
    """The latencies of a window, in seconds."""

    number: int = 0
    total: float = 0.0
    shortest: float = inf

    def add(self, seconds: float) -> None:
        self.number += 1
        self.total += seconds
        self.shortest = min(self.shortest, seconds)


class ConcurrencyController:
    """The wanted number of requests in flight."""

    def __init__(
        self,
        *,
        per_second: Callable[[], float],
        most: int,
        core: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        """A controller that has seen no answer yet.

        Args:
            per_second: The requests that the rate limit allows.
            most: Never more than this.
            core: How much of a core this process may take, at most 1.
            clock: Seconds.
            processor: Seconds of processor time that this process has taken.
        """
        self._per_second = per_second
        self._most = most
        self._core = core
        self._clock = clock
        self._processor = processor
        self._lock = threading.Lock()
        self._since = clock()
        self._latencies, self._latencies_before = _Latencies(), _Latencies()
        self._wanted = 0
        self._sampled = (clock(), processor())
        self._busy = True  # until it is known not to be

    def add_latency(self, seconds: float) -> None:
        """A request took this long."""
        with self._lock:
            self._next_window()
            self._latencies.add(seconds)

    def wanted(self) -> int:
        """How many requests should be in flight now; asked often, and by one thread."""
        with self._lock:
            self._next_window()
            windows = (self._latencies, self._latencies_before)
            number = sum(one.number for one in windows)
            mean = sum(one.total for one in windows) / number if number else 0.0
            shortest = min(one.shortest for one in windows) if number else 0.0
        wanted = self._needed(mean)
        if self._is_busy():
            wanted = min(wanted, max(self._wanted, self._needed(shortest)))
        self._wanted = wanted
        return wanted

    def _needed(self, latency: float) -> int:
        return min(self._most, max(_LEAST, ceil(self._per_second() * latency * _MARGIN)))

    def _next_window(self) -> None:
        """Forget what is older than two windows, so that a slower Braze is noticed."""
        if self._clock() - self._since > _WINDOW:
            self._latencies_before, self._latencies = self._latencies, _Latencies()
            self._since = self._clock()

    def _is_busy(self) -> bool:
        now, used = self._clock(), self._processor()
        since, used_before = self._sampled
        if now - since >= _SAMPLE:
            self._busy = used - used_before > _BUSY * self._core * (now - since)
            self._sampled = now, used
        return self._busy
