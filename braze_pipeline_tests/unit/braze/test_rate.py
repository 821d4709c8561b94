"""The rate limiter keeps the limits in any window, and pauses when Braze throttles."""

from __future__ import annotations

import heapq
import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_pipeline.braze.rate_limiter import HOUR, Budget, OwnBudget, RateLimiter
from braze_pipeline.settings import RateLimit

T = TypeVar("T")


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


class Counted(OwnBudget):
    """A budget that several senders share, and that counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def update(self, change: Callable[[Budget], T]) -> T:
        self.asked += 1
        return super().update(change)


def send(
    clock: Clock,
    senders: list[tuple[RateLimiter, int]],
    seconds: float,
    *,
    latency: float = 0.05,
    killed: float | None = None,
    late: Callable[[], float] = lambda: 0.0,
    events: Sequence[tuple[float, Callable[[], None]]] = (),
    passes: Callable[[int], None] = lambda _: None,
) -> list[float]:
    """When requests pass, if each sender has so many workers, and its answers so much latency.

    The last sender is killed after ``killed`` seconds: nothing is given back. Workers wake up late.
    Each event happens after so many seconds. ``passes`` is called with the sender's number.
    """
    following = deque((clock.now + moment, event) for moment, event in events)
    start, passed = clock.now, list[float]()
    turns = [(start, n, number) for n, (_, w) in enumerate(senders) for number in range(w)]
    heapq.heapify(turns)
    while turns:
        clock.now, n, number = heapq.heappop(turns)
        while following and following[0][0] <= clock.now:
            following.popleft()[1]()
        gone = killed is not None and n == len(senders) - 1 and clock.now >= start + killed
        if clock.now >= start + seconds or gone:
            continue
        wait = senders[n][0].try_acquire()
        if wait <= 0:
            passed.append(clock.now)
            passes(n)
            wait = latency
        heapq.heappush(turns, (clock.now + min(wait, 1.0) + late(), n, number))
    return passed


def sharing(clock: Clock, limit: RateLimit, count: int) -> tuple[Counted, list[RateLimiter]]:
    budget = Counted()
    return budget, [
        RateLimiter(limit, monotonic=clock, wall=clock, budget=budget) for _ in range(count)
    ]


@settings(max_examples=12, deadline=None)
@given(
    workers=st.lists(st.integers(40, 90), min_size=1, max_size=3),
    requests=st.sampled_from([1500, 900, 299, 50]),
    killed=st.none() | st.floats(0.1, 4.0),
    seed=st.integers(0, 1000),
)
def test_senders_that_take_portions_ahead_keep_every_window_and_use_it(
    workers: list[int], requests: int, killed: float | None, seed: int
) -> None:
    clock = Clock()
    _, limiters = sharing(clock, RateLimit(requests=requests, seconds=3.0), len(workers))
    senders = list(zip(limiters, workers, strict=True))
    late = partial(Random(seed).choice, [0.0, 0.001, 0.01])
    passed = send(clock, senders, 8.0, killed=killed, late=late)
    assert most_in_window(passed, 3.0) <= requests
    if killed is None or len(workers) > 1:
        since = 0.0 if killed is None else killed + 0.2
        used = sum(moment >= 1000.0 + since for moment in passed)
        assert used >= 0.97 * requests * (8.0 - since) / 3.0 - 1


@settings(max_examples=40, deadline=None)
@given(
    workers=st.lists(st.integers(5, 60), min_size=1, max_size=3),
    requests=st.sampled_from([900, 299, 50]),
    hourly=st.integers(30, 3000),
    before=st.floats(0.0, 8.0),
    happen=st.lists(
        st.tuples(
            st.floats(0.0, 8.0),
            st.sampled_from(["pause", "replace", "jump"]),
            st.integers(0, 2),
            st.floats(0.0, 2.0) | st.sampled_from([-3600.0, -5.0, 5.0, 3600.0]),
        ),
        max_size=6,
    ),
    seed=st.integers(0, 1000),
)
def test_whatever_happens_to_senders_that_take_ahead_no_window_and_no_hour_holds_too_much(
    workers: list[int],
    requests: int,
    hourly: int,
    before: float,
    happen: list[tuple[float, str, int, float]],
    seed: int,
) -> None:
    """Braze asks to wait, a sender ends and another begins, the wall clock is set."""
    clock, moved = Clock(), [HOUR * 1000 - 1000.0 - before]
    limit = RateLimit(requests=requests, seconds=3.0, requests_per_hour=hourly)
    budget = OwnBudget()

    def wall() -> float:
        return clock.now + moved[0]

    def limiter() -> RateLimiter:
        return RateLimiter(limit, monotonic=clock, wall=wall, budget=budget)

    senders = [(limiter(), count) for count in workers]
    until = dict.fromkeys(range(len(workers)), 0.0)
    ended: list[RateLimiter] = []
    of_hour: Counter[int] = Counter()

    def event(what: str, n: int, seconds: float) -> None:
        if what == "pause":
            senders[n][0].pause(seconds)
            until[n] = max(until[n], clock.now + max(0.0, seconds))
        elif what == "replace":
            senders[n][0].close()
            ended.append(senders[n][0])
            senders[n], until[n] = (limiter(), senders[n][1]), 0.0
        else:
            moved[0] += seconds

    def passes(n: int) -> None:
        assert clock.now >= until[n], "Braze asked to wait"
        of_hour[int(wall() // HOUR)] += 1

    events = [
        (moment, partial(event, what, n % len(workers), seconds))
        for moment, what, n, seconds in sorted(happen)
    ]
    late = partial(Random(seed).choice, [0.0, 0.001, 0.01])
    passed = send(clock, senders, 10.0, late=late, events=events, passes=passes)
    assert most_in_window(passed, 3.0) <= requests
    assert max(of_hour.values(), default=0) <= hourly
    assert all(one.try_acquire() > 0 for one in ended), "who has ended takes nothing any more"
    # Nobody waits for nothing: after all that, what the hour has left is used.
    left = min(hourly - of_hour[int(wall() // HOUR)], requests)
    clock.now = max(clock.now, *until.values()) + 3.0
    if left and wall() % HOUR < HOUR - 10:
        assert len(send(clock, senders, 4.0)) >= min(left, 0.9 * requests)


def test_a_limiter_that_was_closed_lets_nobody_through_and_ends_the_waiting() -> None:
    clock = Clock()
    budget, [closed, other] = sharing(clock, RateLimit(requests=30, seconds=3.0), 2)
    assert closed.try_acquire() == 0
    closed.close()
    asked = budget.asked
    assert not closed.acquire(threading.Event())
    assert budget.asked == asked
    assert len(greedy(other, clock, 2.9)) >= 27


def test_the_budget_is_asked_once_a_portion_and_not_by_each_worker_that_waits() -> None:
    clock = Clock()
    budget, [limiter] = sharing(clock, RateLimit(requests=3000, seconds=3.0), 1)
    passed = send(clock, [(limiter, 80)], 10.0)
    assert len(passed) >= 0.97 * 10_000
    assert budget.asked <= len(passed) / 10 + 20


def test_a_sender_that_ends_gives_the_portions_back_that_it_took_ahead() -> None:
    clock = Clock()
    _, [first, second] = sharing(clock, RateLimit(requests=3000, seconds=3.0), 2)
    assert [first.try_acquire() for _ in range(10)] == [0.0] * 10
    ahead = [first.try_acquire() for _ in range(90)]
    assert ahead == sorted(ahead)
    assert ahead[-1] == pytest.approx(0.07, abs=0.01)
    first.close()
    assert second.try_acquire() == pytest.approx(ahead[0])


def test_a_place_that_another_sender_follows_is_not_given_away_twice() -> None:
    clock = Clock()
    _, [first, second] = sharing(clock, RateLimit(requests=3000, seconds=3.0), 2)
    for _ in range(50):
        first.try_acquire()
    taken = [second.try_acquire() for _ in range(10)]
    first.close()
    assert taken == taken[:1] * 10
    assert second.try_acquire() > taken[0]


def test_a_portion_whose_workers_wake_up_too_late_is_lost() -> None:
    clock = Clock()
    _, [limiter] = sharing(clock, RateLimit(requests=3000, seconds=3.0), 1)
    for _ in range(100):
        limiter.try_acquire()
    clock.now += 0.1
    assert 15 <= len(greedy(limiter, clock, 1e-6)) <= 25


def test_requests_that_were_taken_ahead_for_an_hour_count_in_that_hour() -> None:
    clock = Clock(HOUR * 1000 - 1e-4)
    limit = RateLimit(requests=3000, seconds=3.0, requests_per_hour=20)
    _, [limiter] = sharing(clock, limit, 1)
    passed = send(clock, [(limiter, 40)], 60.0)
    assert len(passed) == 40
    assert passed[19] < HOUR * 1000 <= passed[20] < HOUR * 1000 + 0.02


def test_while_one_worker_waits_for_the_budget_others_pass() -> None:
    clock, reached, go = Clock(), threading.Event(), threading.Event()

    class Slow(Counted):
        def update(self, change: Callable[[Budget], T]) -> T:
            if self.asked == 3:
                reached.set()
                assert go.wait(30)
            return super().update(change)

    limit = RateLimit(requests=3000, seconds=3.0)
    limiter = RateLimiter(limit, monotonic=clock, wall=clock, budget=Slow())
    waits = [limiter.try_acquire() for _ in range(30)]
    waiting = threading.Thread(target=limiter.try_acquire)
    waiting.start()
    assert reached.wait(30)
    clock.now += max(waits)
    assert [limiter.try_acquire() for _ in range(10)] == [0.0] * 10
    go.set()
    waiting.join(30)
    assert not waiting.is_alive()
