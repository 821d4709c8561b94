"""How many requests should be in flight: as many as the rate limit needs at Braze's latency.

By Little's law that is pace times mean latency. The shortest latency would not do: where answers
take 10 ms at best and 70 ms in the mean, it gives a seventh of the requests that are needed. But
the mean also has the time that our own requests wait for the processor. Where that is busy, more
requests bring nothing but longer waits, and so still more requests: none are added then, beyond
what the shortest latency gives. Whether Braze itself is the one that waits is not looked at.

Where the line is what waits, more requests bring longer latencies too, until they time out and are
sent in vain. So many timeouts halve the number, and it grows again slowly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, inf
from typing import Final

_LEAST: Final = 4
_MARGIN: Final = 1.5

_WINDOW: Final = 5.0
"""Seconds after which latencies begin to be forgotten."""

_BUSY: Final = 0.8
"""The share of a core from which the processor is busy: Python code runs on one at a time."""

_MANY: Final = 0.1
"""Timeouts per answer above which fewer requests are wanted."""

_REGAINED: Final = 8
"""A window without a halving adds this part of the number, at least one."""

_LOOK_AGAIN: Final = 0.1
"""How often a retry that has to wait looks whether it may go on, in seconds."""

_SAMPLE: Final = 0.1
"""Seconds over which that share is measured."""


@dataclass
class _Latencies:
    """The latencies of a window, in seconds."""

    number: int = 0
    total: float = 0.0
    shortest: float = inf
    timeouts: int = 0

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
        self._most = self._most_now = most
        self._core = core
        self._clock = clock
        self._processor = processor
        self._lock = threading.Lock()
        self._since = clock()
        self._latencies, self._latencies_before = _Latencies(), _Latencies()
        self._wanted = 0
        self._in_flight = 0
        self._halved = False  # in this window
        self._sampled = (clock(), processor())
        self._busy = True  # until it is known not to be

    def add_latency(self, seconds: float) -> None:
        """A request took this long."""
        with self._lock:
            self._next_window()
            self._latencies.add(seconds)

    def add_timeout(self) -> None:
        """A request got no answer in time."""
        with self._lock:
            self._next_window()
            self._latencies.timeouts += 1
            windows = (self._latencies, self._latencies_before)
            many = sum(w.timeouts for w in windows) > _MANY * sum(w.number for w in windows)
            if many and not self._halved:
                half = max(_LEAST, min(self._most_now, self._in_flight) // 2)
                self._most_now = min(self._most, half)
                self._halved = True

    @contextmanager
    def slot(self, stop: threading.Event) -> Iterator[None]:
        """A place for an attempt; retries wait for one while fewer are wanted, or for ``stop``."""
        entered = self._enter()
        while not entered and not stop.wait(_LOOK_AGAIN):
            entered = self._enter()
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= entered

    def _enter(self) -> bool:
        with self._lock:
            free = self._in_flight < self._most_now
            self._in_flight += free
        return free

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
        return min(self._most_now, max(_LEAST, ceil(self._per_second() * latency * _MARGIN)))

    def _next_window(self) -> None:
        """Forget what is older than two windows, so that a slower Braze is noticed."""
        if self._clock() - self._since > _WINDOW:
            if not self._halved:
                more = max(1, self._most_now // _REGAINED)
                self._most_now = min(self._most, self._most_now + more)
            self._halved = False
            self._latencies_before, self._latencies = self._latencies, _Latencies()
            self._since = self._clock()

    def _is_busy(self) -> bool:
        now, used = self._clock(), self._processor()
        since, used_before = self._sampled
        if now - since >= _SAMPLE:
            self._busy = used - used_before > _BUSY * self._core * (now - since)
            self._sampled = now, used
        return self._busy
