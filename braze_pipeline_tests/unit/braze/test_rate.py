"""The rate limiter keeps the limits in any window, and pauses when Braze throttles."""

from __future__ import annotations

import threading
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_pipeline.braze.rate_limiter import RateLimiter
from braze_pipeline.settings import RateLimit


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def limiter_of(clock: Clock, **limit: object) -> RateLimiter:
    return RateLimiter(RateLimit(**limit), monotonic=clock, wall=clock)  # type: ignore[arg-type]


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


@settings(max_examples=60)
@given(
    requests=st.integers(1, 400),
    seconds=st.sampled_from([0.5, 1.0, 3.0, 60.0]),
    gaps=st.lists(st.floats(0.0, 2.5), max_size=6),
)
def test_no_sliding_window_ever_holds_more_than_the_limit(
    requests: int, seconds: float, gaps: list[float]
) -> None:
    clock = Clock()
    limiter = limiter_of(clock, requests=requests, seconds=seconds)
    passed: list[float] = []
    for gap in [0.0, *gaps]:
        clock.now += gap * seconds
        passed += greedy(limiter, clock, seconds * 0.7)
    assert most_in_window(passed, seconds) <= requests


def test_the_documented_limit_is_nearly_used_up() -> None:
    clock = Clock()
    limiter = limiter_of(clock, requests=3000, seconds=3.0)
    passed = greedy(limiter, clock, 30.0)
    assert len(passed) >= 0.97 * 30_000
    assert most_in_window(passed, 3.0) <= 3000


def test_a_limit_of_one_request_lets_one_through_a_window() -> None:
    clock = Clock()
    assert len(greedy(limiter_of(clock, requests=1, seconds=1.0), clock, 10.0)) in (10, 11)


def test_waiting_saves_up_no_more_than_a_little() -> None:
    clock = Clock()
    limiter = limiter_of(clock, requests=3000, seconds=3.0)
    clock.now += 3600
    assert len(greedy(limiter, clock, 1e-6)) <= 60


def test_the_hourly_limit_holds_by_the_hour_of_the_clock() -> None:
    clock = Clock(now=7200.0 - 10.0)
    limiter = limiter_of(clock, requests=1000, seconds=1.0, requests_per_hour=100)
    before = greedy(limiter, clock, 10.0 - 1e-3)
    assert len(before) == 100
    clock.now = 7200.0
    assert len(greedy(limiter, clock, 3599.0)) == 100


@settings(max_examples=40)
@given(hourly=st.integers(1, 50), start=st.floats(0.0, 3599.0))
def test_no_clock_hour_ever_holds_more_than_its_limit(hourly: int, start: float) -> None:
    clock = Clock(now=start)
    limiter = limiter_of(clock, requests=30, seconds=3.0, requests_per_hour=hourly)
    by_hour: dict[int, int] = {}
    for moment in greedy(limiter, clock, 3 * 3600.0):
        hour = int(moment // 3600)
        by_hour[hour] = by_hour.get(hour, 0) + 1
    assert max(by_hour.values()) <= hourly


def test_a_closed_gate_lets_nobody_through_until_it_opens() -> None:
    clock = Clock()
    limiter = limiter_of(clock)
    limiter.pause(5.0)
    assert limiter.paused
    assert limiter.try_acquire() == pytest.approx(5.0)
    clock.now += 5.0
    assert not limiter.paused
    assert limiter.try_acquire() == 0.0


def test_many_workers_that_are_throttled_at_once_count_the_time_once() -> None:
    clock = Clock()
    limiter = limiter_of(clock)
    for _ in range(100):
        limiter.pause(4.0)
    clock.now += 2.0
    limiter.pause(3.0)
    limiter.pause(1.0)
    assert limiter.throttled_seconds == pytest.approx(5.0)
    assert limiter.try_acquire() == pytest.approx(3.0)


def test_workers_wait_at_a_closed_gate_and_none_fails() -> None:
    limiter = RateLimiter(RateLimit())
    stop = threading.Event()
    limiter.pause(0.2)
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda: results.append(limiter.acquire(stop))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [True] * 8
    assert not limiter.paused


def test_a_stop_ends_the_waiting_at_the_gate() -> None:
    limiter = RateLimiter(RateLimit())
    limiter.pause(3600.0)
    stop = threading.Event()
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(limiter.acquire(stop)))
    thread.start()
    stop.set()
    thread.join(30)
    assert results == [False]
