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

from braze_pipeline.braze.client import ATTRIBUTES, EXPORT, TRACK

Clock = Callable[[], float]
"""Seconds since the epoch."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many requests the sandbox accepts.

    Attributes:
        requests: ``/users/track`` requests in any window of ``seconds``.
        seconds: Length of that window.
        exports_per_minute: ``/users/export/ids`` requests in any minute.
    """

    requests: int = 3000
    seconds: float = 3.0
    exports_per_minute: int = 250


@dataclass
class Window:
    """At most ``limit`` requests in any ``seconds``."""

    limit: int
    seconds: float
    _passed: deque[float] = field(default_factory=deque)

    def check(self, now: float) -> tuple[bool, Mapping[str, str]]:
        """Whether a request passes now, and the rate headers of its response."""
        while self._passed and self._passed[0] <= now - self.seconds:
            self._passed.popleft()
        if len(self._passed) >= self.limit:
            wait = self._passed[0] + self.seconds - now
            return False, {"X-Ratelimit-Retry-After": str(math.ceil(wait))}
        self._passed.append(now)
        return True, {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.limit - len(self._passed)),
            "X-RateLimit-Reset": str(math.ceil(now + self.seconds)),
        }


class Throttle:
    """The windows of every endpoint."""

    def __init__(self, limits: Limits, clock: Clock = time.time) -> None:
        self._clock = clock
        self._windows: Mapping[str, Window] = {
            TRACK: Window(limits.requests, limits.seconds),
            EXPORT: Window(limits.exports_per_minute, 60.0),
            ATTRIBUTES: Window(1000, 3600.0),
        }

    def check(self, path: str) -> tuple[bool, Mapping[str, str]]:
        """Whether a request passes, and the rate headers of its response."""
        return self._windows[path].check(self._clock())
