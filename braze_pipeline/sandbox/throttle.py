"""The sandbox's request limits, enforced, and the headers that tell of them.

Sources: Braze docs, "API rate limits" (windows, headers) and "Create and update users" (429
carries ``X-Ratelimit-Retry-After`` alone; hourly limits start anew on the clock hour).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

HOUR: Final = 3600.0

Clock = Callable[[], float]
"""Seconds since the epoch."""

ResetStyle = Literal["epoch", "delta", "empty", "absent"]
"""``X-RateLimit-Reset`` as an epoch or as seconds to go; headers with no value, or none at all."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the sandbox lets through.

    Attributes:
        requests: ``/users/track`` requests in any window of ``seconds``.
        seconds: That window.
        per_hour: ``/users/track`` requests in a clock hour, None for no such limit.
        exports_per_minute: ``/users/export/ids`` requests in any minute.
        lists_per_hour: ``/custom_attributes`` requests in any hour.
        reset: How the headers tell when a window ends.
    """

    requests: int = 3000
    seconds: float = 3.0
    per_hour: int | None = None
    exports_per_minute: int = 250
    lists_per_hour: int = 1000
    reset: ResetStyle = "epoch"


class Window(Protocol):
    """A limit on requests over time. ``limit`` is how many, ``now`` seconds since the epoch."""

    limit: int

    def wait(self, now: float) -> float:
        """Seconds until a request may pass; 0 when one may pass now."""

    def count(self, now: float) -> None:
        """Count a request that passed."""

    def remaining(self, now: float) -> int:
        """How many more may pass in this window."""

    def ends(self, now: float) -> float:
        """When the window ends, in seconds since the epoch."""


class SlidingWindow:
    """At most ``limit`` requests in any ``seconds``."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self._passed: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Seconds until the oldest of ``limit`` requests leaves the window."""
        self._forget(now)
        if len(self._passed) < self.limit:
            return 0.0
        return self._passed[0] + self.seconds - now if self._passed else self.seconds

    def count(self, now: float) -> None:
        """Count a request that passed."""
        self._passed.append(now)

    def remaining(self, now: float) -> int:
        """How many more may pass now."""
        self._forget(now)
        return max(0, self.limit - len(self._passed))

    def ends(self, now: float) -> float:
        """When the window is empty again, if nothing more comes."""
        return self._passed[-1] + self.seconds if self._passed else now

    def _forget(self, now: float) -> None:
        while self._passed and self._passed[0] <= now - self.seconds:
            self._passed.popleft()


class ClockHour:
    """At most ``limit`` requests from one full hour to the next."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._hour = -1.0
        self._passed = 0

    def wait(self, now: float) -> float:
        """Seconds to the next full hour once the limit is reached."""
        return 0.0 if self.remaining(now) else self.ends(now) - now

    def count(self, now: float) -> None:
        """Count a request that passed."""
        self.remaining(now)
        self._passed += 1

    def remaining(self, now: float) -> int:
        """How many more may pass in this hour."""
        hour = now // HOUR
        if hour != self._hour:
            self._hour, self._passed = hour, 0
        return max(0, self.limit - self._passed)

    def ends(self, now: float) -> float:
        """The next full hour."""
        return (now // HOUR + 1) * HOUR


@dataclass(frozen=True)
class Verdict:
    """Whether a request passes, and the rate headers of its answer."""

    passes: bool
    headers: Mapping[str, str]


class Throttle:
    """The windows of every endpoint."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._clock = clock
        self._reset = limits.reset
        hourly = [] if limits.per_hour is None else [ClockHour(limits.per_hour)]
        self._windows: Mapping[str, list[Window]] = {
            "/users/track": [*hourly, SlidingWindow(limits.requests, limits.seconds)],
            "/users/export/ids": [SlidingWindow(limits.exports_per_minute, 60.0)],
            "/custom_attributes": [SlidingWindow(limits.lists_per_hour, HOUR)],
        }

    def judge(self, path: str) -> Verdict:
        """Count a request where it passes, and say what its answer's headers are."""
        now, windows = self._clock(), self._windows[path]
        wait = max(window.wait(now) for window in windows)
        if wait > 0:
            return Verdict(passes=False, headers={"X-Ratelimit-Retry-After": str(math.ceil(wait))})
        for window in windows:
            window.count(now)
        return Verdict(passes=True, headers=self._headers(windows[0], now))

    def _headers(self, window: Window, now: float) -> Mapping[str, str]:
        match self._reset:
            case "absent":
                return {}
            case "empty":
                return dict.fromkeys(_NAMES, "")
            case "epoch":
                reset = math.ceil(window.ends(now))
            case "delta":
                reset = math.ceil(window.ends(now) - now)
        values = (window.limit, window.remaining(now), reset)
        return {name: str(value) for name, value in zip(_NAMES, values, strict=True)}


_NAMES: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
