"""The sandbox's request limits, enforced, and the headers that report them.

Sources: Braze docs, "API rate limits" (windows, headers) and "Create and update users" (a 429
carries ``X-Ratelimit-Retry-After`` alone).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from braze_pipeline.braze import client

Clock = Callable[[], float]
"""Seconds since the epoch."""


HOUR: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many requests the sandbox accepts.

    Attributes:
        requests: ``/users/track`` requests in any window of ``seconds``.
        seconds: Length of that window.
        requests_per_hour: ``/users/track`` requests in a clock hour; None for no such limit. With
            one, the headers are about the hour, as for customers priced by monthly active users.
        bulk_requests: ``/users/track/bulk`` requests in any second.
        bulk_requests_per_hour: The same in a clock hour.
        exports_per_minute: ``/users/export/ids`` requests in any minute.
        by_key: Each key has limits of its own, as each workspace has under a contract by data
            points; otherwise all share them, as the workspaces of a company do under the others.
        reset: How ``X-RateLimit-Reset`` is written: the docs have both forms; or not at all.
    """

    requests: int = 3000
    seconds: float = 3.0
    requests_per_hour: int | None = None
    bulk_requests: int = 50
    bulk_requests_per_hour: int | None = None
    exports_per_minute: int = 250
    by_key: bool = False
    reset: Literal["epoch", "seconds", "absent"] = "epoch"


@dataclass
class Window:
    """At most ``limit`` requests in any ``seconds``, or in each clock hour."""

    limit: int
    seconds: float
    clock_hour: bool = False
    _passed: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        """Seconds until a request passes; 0 if it passes now."""
        start = now // HOUR * HOUR if self.clock_hour else now - self.seconds
        # A clock hour includes its first moment.
        while self._passed and (
            self._passed[0] < start or (self._passed[0] == start and not self.clock_hour)
        ):
            self._passed.popleft()
        if len(self._passed) < self.limit:
            return 0.0
        return start + HOUR - now if self.clock_hour else self._passed[0] + self.seconds - now

    def count(self, now: float) -> None:
        """A request passed."""
        self._passed.append(now)

    def headers(self, now: float) -> tuple[int, int, float]:
        """Limit, remaining requests, and seconds until the window is reset."""
        left = HOUR - now % HOUR if self.clock_hour else self.seconds
        return self.limit, self.limit - len(self._passed), left


class Throttle:
    """The windows of every endpoint, and of every key if each has its own."""

    def __init__(self, limits: Limits, clock: Clock = time.time) -> None:
        self._clock = clock
        self._limits = limits
        self._windows: dict[tuple[str, str], tuple[Window, ...]] = {}

    def check(self, path: str, key: str = "") -> tuple[bool, Mapping[str, str]]:
        """Whether a request passes, and the rate headers of its response."""
        owner = (path, key if self._limits.by_key else "")
        if owner not in self._windows:
            self._windows[owner] = self._new(path)
        windows, now = self._windows[owner], self._clock()
        wait = max(window.wait(now) for window in windows)
        if wait > 0:
            return False, {"X-Ratelimit-Retry-After": str(math.ceil(wait))}
        for window in windows:
            window.count(now)
        # The last one is the hour's, where there is one.
        limit, remaining, left = windows[-1].headers(now)
        reset = {"epoch": math.ceil(now + left), "seconds": math.ceil(left), "absent": None}
        return True, {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(remaining),
            **({"X-RateLimit-Reset": str(at)} if (at := reset[self._limits.reset]) else {}),
        }

    def _new(self, path: str) -> tuple[Window, ...]:
        of = self._limits
        match path:
            case client.TRACK:
                window, hourly = Window(of.requests, of.seconds), of.requests_per_hour
            case client.BULK:
                window, hourly = Window(of.bulk_requests, 1.0), of.bulk_requests_per_hour
            case client.EXPORT:
                window, hourly = Window(of.exports_per_minute, 60.0), None
            case _:
                window, hourly = Window(1000, HOUR), None
        hour = () if hourly is None else (Window(hourly, HOUR, clock_hour=True),)
        return window, *hour
