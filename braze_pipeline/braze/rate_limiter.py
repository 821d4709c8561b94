"""How fast requests may be sent: the destination's limits, and Braze's own requests to wait.

One limiter for all workers. When Braze throttles, all of them wait and none fails.

Source: Braze docs, "API rate limits": 3,000 requests in 3 s where pricing has data points; others
by contract, with an hourly limit that is reset on the clock hour.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from braze_pipeline.settings import RateLimit

_BURST_SHARE: Final = 50
"""The bucket holds one fiftieth of the window's requests, so that the rate stays smooth."""

HOUR: Final = 3600.0


@dataclass
class RateLimiter:
    """Lets requests pass one at a time, as fast as the limits allow.

    At most ``limit.requests`` pass in any window of ``limit.seconds``, and at most
    ``limit.requests_per_hour`` in any clock hour.

    Attributes:
        monotonic: The clock for the rate, in seconds.
        wall: The clock for the clock hours, in seconds since the epoch.
        throttled_seconds: Seconds that Braze asked to wait, in total.
    """

    limit: RateLimit
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    throttled_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _tokens: float = field(init=False)
    _filled_at: float = field(init=False)
    _paused_until: float = 0.0
    _hour: int = -1
    _in_hour: int = 0

    def __post_init__(self) -> None:
        self._capacity = float(max(1, self.limit.requests // _BURST_SHARE))
        # The tokens in the bucket at the start of a window come on top of those added in it.
        self._per_second = (self.limit.requests - self._capacity + 1) / self.limit.seconds
        self._tokens = self._capacity
        self._filled_at = self.monotonic()

    @property
    def per_second(self) -> float:
        """The long-term rate, in requests per second."""
        hourly = self.limit.requests_per_hour
        return min(self._per_second, hourly / HOUR) if hourly else self._per_second

    def try_acquire(self) -> float:
        """Pass if possible: 0.0, or else the seconds until the next attempt makes sense."""
        with self._lock:
            now = self.monotonic()
            if now < self._paused_until:
                return self._paused_until - now
            hourly = self._hour_wait()
            if hourly > 0:
                return hourly
            self._tokens = min(
                self._capacity, self._tokens + (now - self._filled_at) * self._per_second
            )
            self._filled_at = now
            if self._tokens < 1:
                return (1 - self._tokens) / self._per_second
            self._tokens -= 1
            self._in_hour += 1
            return 0.0

    def acquire(self, stop: threading.Event) -> bool:
        """Wait until a request may pass; False if ``stop`` was set first."""
        while not stop.is_set():
            wait = self.try_acquire()
            if wait <= 0:
                return True
            if stop.wait(min(wait, 1.0)):
                break
        return False

    def pause(self, seconds: float) -> None:
        """Let no request pass for some seconds, because Braze asked to wait."""
        with self._lock:
            now = self.monotonic()
            until = now + max(0.0, seconds)
            if until > self._paused_until:
                self.throttled_seconds += until - max(now, self._paused_until)
                self._paused_until = until

    @property
    def paused(self) -> bool:
        """Whether requests are paused right now."""
        return self.monotonic() < self._paused_until

    def _hour_wait(self) -> float:
        hourly = self.limit.requests_per_hour
        if hourly is None:
            return 0.0
        now = self.wall()
        hour = int(now // HOUR)
        if hour != self._hour:
            self._hour, self._in_hour = hour, 0
        return 0.0 if self._in_hour < hourly else (hour + 1) * HOUR - now
