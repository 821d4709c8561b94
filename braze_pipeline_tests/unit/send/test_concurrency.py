"""How many requests are in flight follows from the pace and the latency, and is small in doubt."""

from __future__ import annotations

from braze_pipeline.send.concurrency import ConcurrencyController
from braze_pipeline_tests.unit.braze.rate_world import Clock


def controller(clock: Clock, *, most: int = 200) -> ConcurrencyController:
    return ConcurrencyController(per_second=lambda: 1000.0, most=most, clock=clock)


def test_before_the_first_answer_few_requests_are_tried() -> None:
    assert controller(Clock()).wanted() == 8
    assert controller(Clock(), most=5).wanted() == 5


def test_then_the_shortest_recent_latency_counts() -> None:
    clock = Clock()
    one = controller(clock)
    one.add_latency(0.3)
    one.add_latency(0.1)
    assert one.wanted() == 150
    for _ in range(4):  # Braze has become slower
        clock.now += 3.0
        one.add_latency(0.12)
    assert one.wanted() == 180
    one.add_latency(0.001)
    assert one.wanted() == 4


def test_without_an_answer_for_a_while_few_requests_are_tried() -> None:
    clock = Clock()
    one = controller(clock)
    one.add_latency(0.1)
    clock.now += 6.0
    assert one.wanted() == 150
    clock.now += 6.0
    assert one.wanted() == 8
