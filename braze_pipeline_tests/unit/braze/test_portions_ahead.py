"""Portions of a limit that are taken ahead of their time, by workers who wait for it."""

from __future__ import annotations

import heapq
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from braze_pipeline.braze.rate_limiter import HOUR, Budget, OwnBudget, RateLimiter
from braze_pipeline.settings import RateLimit
from braze_pipeline_tests.unit.braze.rate_world import Clock, greedy, most_in_window

T = TypeVar("T")


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
@example(  # three hours, and back to the first
    workers=[5],
    requests=900,
    hourly=30,
    before=0.5,
    happen=[(1.0, "jump", 0, 3600.0), (2.0, "jump", 0, -3600.0), (3.0, "jump", 0, -3600.0)],
    seed=0,
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
    if left and wall() % HOUR < HOUR - 30:
        assert len(send(clock, senders, 20.0)) >= min(left, 0.9 * requests)


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
    assert ahead[-1] == pytest.approx(0.08, abs=0.01)
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
