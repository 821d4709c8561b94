"""Faults come from a seed or a script; overlaps are detected."""

from __future__ import annotations

import pytest

from braze_pipeline.sandbox.faults import Fault, FaultKind, FaultPlan, Faults
from braze_pipeline.sandbox.traffic import Overlap, Traffic

MIX = {FaultKind.THROTTLED: 0.2, FaultKind.RESET_AFTER: 0.1}


def draws(seed: int, count: int = 300) -> list[Fault | None]:
    plan = FaultPlan(seed=seed, mix=MIX)
    return [plan.draw() for _ in range(count)]


def test_one_seed_gives_the_same_faults_in_the_same_order() -> None:
    assert draws(7) == draws(7)
    assert draws(7) != draws(8)


def test_faults_are_as_frequent_as_the_mix_says() -> None:
    kinds = [fault.kind for fault in draws(1, 5000) if fault is not None]
    assert 900 < kinds.count(FaultKind.THROTTLED) < 1100
    assert 400 < kinds.count(FaultKind.RESET_AFTER) < 600


def test_probabilities_beyond_one_are_an_error() -> None:
    with pytest.raises(ValueError, match="more than 1"):
        FaultPlan(seed=1, mix={FaultKind.THROTTLED: 0.7, FaultKind.UNAVAILABLE: 0.7})


def test_a_script_for_a_path_comes_before_the_plan() -> None:
    faults = Faults(plan=FaultPlan(seed=1, mix={FaultKind.UNAVAILABLE: 1.0}))
    faults.script([None, FaultKind.THROTTLED], "/users/track")
    assert faults.next("/users/export/ids") is None
    assert faults.next("/users/track") is None
    assert faults.next("/users/track") == Fault(kind=FaultKind.THROTTLED)
    drawn = faults.next("/users/track")
    assert drawn is not None
    assert drawn.kind is FaultKind.UNAVAILABLE
    faults.clear()
    assert faults.next("/users/track") is None


def test_a_user_in_two_requests_in_flight_is_an_overlap() -> None:
    traffic = Traffic()
    first = traffic.enter("POST", "/users/track", 10, ["1", "2"])
    second = traffic.enter("POST", "/users/track", 10, ["2", "3"])
    traffic.leave(first)
    traffic.leave(second)
    third = traffic.enter("POST", "/users/track", 10, ["1", "2", "3"])
    traffic.leave(third)
    assert traffic.overlaps == [Overlap("2", 1, 2)]


def test_a_request_that_the_client_gave_up_does_not_overlap_later_ones() -> None:
    traffic = Traffic()
    first = traffic.enter("POST", "/users/track", 10, ["1"])
    second = traffic.enter("POST", "/users/track", 10, ["1"])
    first.disconnected = True
    traffic.leave(first)
    traffic.leave(second)
    assert traffic.overlaps == []


def test_a_user_twice_in_one_request_is_an_overlap() -> None:
    traffic = Traffic()
    traffic.leave(traffic.enter("POST", "/users/track", 10, ["1", "1", "2"]))
    assert traffic.overlaps == [Overlap("1", 1, 1)]
