"""The rate limiter keeps the limits in any window, and pauses when Braze throttles."""

from __future__ import annotations

import threading
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_pipeline.braze.rate_limiter import HOUR, Budget, OwnBudget, RateLimiter
from braze_pipeline.settings import RateLimit
from braze_pipeline_tests.unit.braze.rate_world import Clock, greedy, most_in_window

T = TypeVar("T")


def limiter_of(clock: Clock, **limit: object) -> RateLimiter:
    return RateLimiter(RateLimit(**limit), monotonic=clock, wall=clock)  # type: ignore[arg-type]


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


def test_what_is_kept_for_other_systems_is_not_rounded_away() -> None:
    clock = Clock()
    limiter = limiter_of(clock, requests=9, seconds=1.0, requests_per_hour=3, use_at_most=0.5)
    assert len(greedy(limiter, clock, 2000.0)) == 1


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


class Hosts:
    """Braze's side of an hourly limit: our requests and those of others, by clock hour."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used: dict[int, int] = {}

    def take(self, moment: float, count: int = 1) -> int:
        """Some requests; returns what remains, as the header says it."""
        hour = int(moment // HOUR)
        self.used[hour] = self.used.get(hour, 0) + count
        return max(0, self.limit - self.used[hour])


@settings(max_examples=60)
@given(
    senders=st.integers(1, 3),
    requests=st.integers(1, 300),
    steps=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=30),
    share=st.sampled_from([0.5, 0.8, 1.0]),
    data=st.data(),
)
def test_senders_with_one_budget_keep_one_limit_between_them(
    senders: int, requests: int, steps: list[float], share: float, data: st.DataObject
) -> None:
    clock, budget, passed = Clock(), OwnBudget(), []
    limit = RateLimit(requests=requests, seconds=3.0, use_at_most=share)
    limiters = [
        RateLimiter(limit, monotonic=clock, wall=clock, budget=budget) for _ in range(senders)
    ]
    for step in steps:
        clock.now += step
        for _ in range(data.draw(st.integers(1, 40))):
            if limiters[data.draw(st.integers(0, senders - 1))].try_acquire() <= 0:
                passed.append(clock.now)
    assert most_in_window(passed, 3.0) <= max(1, int(requests * share))


@settings(max_examples=60)
@given(
    hourly=st.integers(20, 400),
    share=st.sampled_from([0.5, 0.8, 1.0]),
    others=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    jumps=st.lists(st.floats(-4000.0, 4000.0), max_size=3),
)
def test_the_hours_limit_holds_whatever_others_use_and_however_the_clock_jumps(
    hourly: int, share: float, others: list[int], jumps: list[float]
) -> None:
    wall, monotonic = Clock(HOUR * 1000), Clock()
    limiter = RateLimiter(
        RateLimit(requests=5, seconds=1.0, requests_per_hour=hourly, use_at_most=share),
        monotonic=monotonic,
        wall=wall,
    )
    braze, ours = Hosts(hourly), dict[int, int]()
    for turn, count in enumerate(others):
        braze.take(wall.now, count)
        for _ in range(30):
            if limiter.try_acquire() <= 0:
                hour = int(wall.now // HOUR)
                ours[hour] = ours.get(hour, 0) + 1
                limiter.note(limit=hourly, remaining=braze.take(wall.now))
            wall.now += 1.0
            monotonic.now += 1.0
        if turn < len(jumps):
            wall.now += jumps[turn]
    assert all(count <= max(1, int(hourly * share)) for count in ours.values())


def test_what_others_used_of_the_hour_is_left_out_of_ours_and_the_reserve_stays() -> None:
    clock, braze = Clock(HOUR * 1000 + 61), Hosts(1000)
    limit = RateLimit(requests=10, seconds=1.0, requests_per_hour=1000, use_at_most=0.8)
    limiter = RateLimiter(limit, monotonic=clock, wall=clock)
    braze.take(clock.now, 500)
    sent = 0
    while clock.now < HOUR * 1000 + 661:
        if limiter.try_acquire() <= 0:
            sent += 1
            limiter.note(limit=1000, remaining=braze.take(clock.now))
        clock.now += 0.1
    assert 1000 * 0.8 - 5 <= sent + 500 <= 1000 * 0.8


def test_a_lower_limit_in_brazes_answer_is_kept() -> None:
    clock = Clock(HOUR * 1000 + 61)
    limiter = limiter_of(clock, requests=10, seconds=1.0, requests_per_hour=1000)
    assert limiter.try_acquire() == 0
    limiter.note(limit=300, remaining=299)
    clock.now += 1
    assert len(greedy(limiter, clock, 600.0)) == 299


def test_an_answer_about_the_hour_before_takes_nothing_from_the_new_hour() -> None:
    """Braze answers with its own clock, which may be a little behind ours."""
    clock = Clock(HOUR * 1000 + 2)
    limiter = limiter_of(clock, requests=10, seconds=1.0, requests_per_hour=1000)
    assert limiter.try_acquire() == 0
    limiter.note(limit=1000, remaining=3)
    assert len(greedy(limiter, clock, 600.0)) == 999


def test_an_answer_that_comes_late_gives_nothing_back() -> None:
    budget = Budget()
    for remaining in (40, 90):
        budget.note(limit=100, remaining=remaining, unsent=0, wall=HOUR * 1000)
    assert budget.hours[1000].others == 60


def test_the_headers_of_a_burst_limit_are_not_taken_for_the_hours() -> None:
    clock = Clock(HOUR * 1000 + 61)
    limiter = limiter_of(clock, requests=100, seconds=1.0, requests_per_hour=1000)
    assert limiter.try_acquire() == 0
    for burst in (90, 100, 120):
        limiter.note(limit=burst, remaining=0)
    limiter.note(limit=None, remaining=None)
    assert len(greedy(limiter, clock, 600.0)) == 999


def test_a_rerun_in_the_same_hour_goes_on_with_what_is_left_of_it() -> None:
    clock, budget = Clock(HOUR * 1000), OwnBudget()
    limit = RateLimit(requests=1000, seconds=1.0, requests_per_hour=300)
    first = RateLimiter(limit, monotonic=clock, wall=clock, budget=budget)
    for _ in range(101):
        while (wait := first.try_acquire()) > 0:
            clock.now += wait
    first.close()
    clock.now += 5
    rerun = RateLimiter(limit, monotonic=clock, wall=clock, budget=budget)
    passed = 0
    while (wait := rerun.try_acquire()) < 60:
        passed += wait <= 0
        clock.now += max(wait, 0.0)
    assert passed == 199
    assert rerun.paused, "a wait for the next hour must be shown"


def test_after_a_restart_of_the_machine_one_window_is_waited_for() -> None:
    clock, budget = Clock(9_000_000.0), OwnBudget()
    limit = RateLimit(requests=100, seconds=3.0)
    assert RateLimiter(limit, monotonic=clock, wall=clock, budget=budget).try_acquire() == 0
    clock.now = 5.0
    again = RateLimiter(limit, monotonic=clock, wall=clock, budget=budget)
    assert greedy(again, clock, 4.0)[0] == pytest.approx(8.0)


@pytest.mark.parametrize("requests", [1, 7, 99, 100, 101, 1000, 3000])
def test_with_work_and_room_at_least_97_percent_of_a_window_is_used(requests: int) -> None:
    clock = Clock()
    limiter = limiter_of(clock, requests=requests, seconds=3.0)
    passed = greedy(limiter, clock, 300.0, tick=0.001)
    assert len(passed) >= 0.97 * requests * 100 - 1
    assert most_in_window(passed, 3.0) <= requests
