"""How many requests are in flight follows from the pace and the latency, and is small in doubt."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import ExitStack

from braze_pipeline.send.concurrency import ConcurrencyController
from braze_pipeline_tests.unit.braze.rate_world import Clock


class Processor:
    """Processor time of this process: a share of the clock's."""

    def __init__(self, clock: Clock, share: float) -> None:
        self.share, self._clock, self._seen, self._used = share, clock, clock.now, 0.0

    def __call__(self) -> float:
        self._used += self.share * (self._clock.now - self._seen)
        self._seen = self._clock.now
        return self._used


LATENCIES = (0.03125, 0.09375)
"""The shortest needs 47 requests in flight, the mean 94."""


def controller(
    clock: Clock, processor: Processor | None = None, *, most: int = 200, core: float = 1.0
) -> ConcurrencyController:
    return ConcurrencyController(
        per_second=lambda: 1000.0, most=most, core=core, clock=clock,
        processor=processor or Processor(clock, 0.5),
    )  # fmt: skip


def after(one: ConcurrencyController, clock: Clock, latencies: Iterable[float]) -> int:
    """What is wanted half a second later, when requests have taken so long."""
    for latency in latencies:
        one.add_latency(latency)
    clock.now += 0.5
    return one.wanted()


def test_before_the_first_answer_few_requests_are_tried() -> None:
    assert controller(Clock()).wanted() == 4
    assert controller(Clock(), most=3).wanted() == 3


def test_then_the_mean_latency_counts_however_short_some_were() -> None:
    clock = Clock()
    one = controller(clock)
    assert after(one, clock, [0.01, 0.09, 0.2]) == 150
    for _ in range(4):  # Braze has become slower
        clock.now += 3.0
        one.add_latency(0.12)
    assert one.wanted() == 180
    assert controller(clock, most=100).wanted() == 4
    assert after(controller(clock, most=100), clock, [0.1]) == 100


def test_a_limit_far_above_what_is_needed_leaves_few() -> None:
    clock = Clock()
    assert after(controller(clock), clock, [0.001]) == 4


def test_where_the_processor_is_busy_no_requests_are_added() -> None:
    clock = Clock()
    processor = Processor(clock, 0.5)
    one = controller(clock, processor)
    assert after(one, clock, [0.02]) == 30
    processor.share = 1.1
    assert after(one, clock, [0.08]) == 30
    processor.share = 0.5
    assert after(one, clock, []) == 75
    processor.share = 1.1
    assert 20 < after(one, clock, [0.01] * 10) < 30


def test_a_send_that_begins_with_a_busy_processor_begins_with_few() -> None:
    clock = Clock()
    one = controller(clock, Processor(clock, 0.9))
    for latency in LATENCIES:
        one.add_latency(latency)
    # Whether it is busy is not known yet; what the shortest latency needs is wanted anyway.
    clock.now += 0.05
    assert one.wanted() == 47
    clock.now += 0.5
    assert one.wanted() == 47


def test_a_process_that_may_take_half_a_core_is_busy_with_less() -> None:
    clock = Clock()
    for core, wanted in ((1.0, 94), (0.5, 47)):
        one = controller(clock, Processor(clock, 0.45), core=core)
        assert after(one, clock, LATENCIES) == wanted


def test_a_moment_of_work_is_not_taken_for_a_busy_processor() -> None:
    clock = Clock()
    processor = Processor(clock, 0.5)
    one = controller(clock, processor)
    assert after(one, clock, LATENCIES) == 94
    processor.share = 1.0
    clock.now += 0.01
    one.add_latency(0.15625)
    assert one.wanted() == 141


def test_without_an_answer_for_a_while_few_requests_are_tried() -> None:
    clock = Clock()
    one = controller(clock)
    one.add_latency(0.1)
    clock.now += 6.0
    assert one.wanted() == 150
    clock.now += 6.0
    assert one.wanted() == 4


def in_flight(one: ConcurrencyController, number: int) -> ExitStack:
    """So many attempts; one that would have to wait gets no place."""
    stopped, stack = threading.Event(), ExitStack()
    stopped.set()
    for _ in range(number):
        stack.enter_context(one.slot(stopped))
    return stack


def test_many_timeouts_halve_the_number_and_it_grows_again_slowly() -> None:
    clock = Clock()
    one = controller(clock)
    found = [after(one, clock, [0.1] * 10)]
    with in_flight(one, 120):
        for timeouts in (3, 0, 3, 0, 0):
            for _ in range(timeouts):
                one.add_timeout()
            found.append(after(one, clock, [0.1] * 10))
            clock.now += 5.0
    assert found == [150, 60, 60, 33, 33, 37]


def test_never_more_are_wanted_than_allowed_however_few_that_are() -> None:
    one = controller(Clock(), most=2)
    with in_flight(one, 2):
        one.add_timeout()
    assert one.wanted() == 2


def test_retries_wait_too_while_fewer_are_wanted() -> None:
    one = controller(Clock())
    with in_flight(one, 20):
        one.add_timeout()
        assert not one._enter()
    with in_flight(one, 9):
        assert one._enter()
        assert not one._enter()


def test_a_timeout_among_many_answers_changes_nothing() -> None:
    clock = Clock()
    one = controller(clock)
    after(one, clock, [0.1] * 50)
    one.add_timeout()
    assert after(one, clock, [0.1] * 50) == 150
