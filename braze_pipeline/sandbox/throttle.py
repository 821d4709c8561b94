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

Clock = Callable[[], float]
"""Seconds since the epoch."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the sandbox lets through.

    Attributes:
        requests: ``/users/track`` requests in any window of ``seconds``.
        seconds: That window.
        exports_per_minute: ``/users/export/ids`` requests in any minute.
        lists_per_hour: ``/custom_attributes`` requests in any hour.
    """

    requests: int = 3000
    seconds: float = 3.0
    exports_per_minute: int = 250
    lists_per_hour: int = 1000


@dataclass
class Window:
    """At most ``limit`` requests in any ``seconds``."""

    limit: int
    seconds: float
    _passed: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        """Seconds until a request may pass; 0 when one may pass now."""
        while self._passed and self._passed[0] <= now - self.seconds:
            self._passed.popleft()
        return 0.0 if len(self._passed) < self.limit else self._passed[0] + self.seconds - now

    def count(self, now: float) -> Mapping[str, str]:
        """Count a request that passes; the headers of its answer."""
        self._passed.append(now)
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.limit - len(self._passed)),
            "X-RateLimit-Reset": str(math.ceil(now + self.seconds)),
        }


class Throttle:
    """The windows of every endpoint."""

    def __init__(self, limits: Limits, clock: Clock = time.time) -> None:
        self._clock = clock
        self._windows: Mapping[str, Window] = {
            "/users/track": Window(limits.requests, limits.seconds),
            "/users/export/ids": Window(limits.exports_per_minute, 60.0),
            "/custom_attributes": Window(limits.lists_per_hour, 3600.0),
        }

    def check(self, path: str) -> tuple[bool, Mapping[str, str]]:
        """Whether a request passes, and the rate headers of its answer."""
        now, window = self._clock(), self._windows[path]
        wait = window.wait(now)
        if wait > 0:
            return False, {"X-Ratelimit-Retry-After": str(math.ceil(wait))}
        return True, window.count(now)
