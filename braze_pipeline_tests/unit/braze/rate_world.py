"""A clock moved by hand, and workers that ask a rate limiter by it."""

from __future__ import annotations

from bisect import bisect_left

from braze_pipeline.braze.rate_limiter import RateLimiter


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def greedy(limiter: RateLimiter, clock: Clock, seconds: float, *, tick: float = 0.0) -> list[float]:
    """When requests pass if somebody always wants to, until so many seconds are over."""
    passed: list[float] = []
    end = clock.now + seconds
    while clock.now < end:
        wait = limiter.try_acquire()
        if wait <= 0:
            passed.append(clock.now)
        else:
            clock.now += max(wait, tick, 1e-9)
    return passed


def most_in_window(moments: list[float], seconds: float) -> int:
    """Most moments in any half-open window of so many seconds."""
    most = 0
    for start, moment in enumerate(moments):
        most = max(most, bisect_left(moments, moment + seconds - 1e-6) - start)
    return most
