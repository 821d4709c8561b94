"""The sandbox's request limits, with a clock of our own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.sandbox.throttle import Limits, Throttle, Window

TRACK = "/users/track"


class Clock:
    def __init__(self, now: float = 1_000_000.25) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_a_burst_limit_holds_in_every_window() -> None:
    clock = Clock()
    throttle = Throttle(Limits(requests=2, seconds=3.0), clock)
    assert throttle.check(TRACK) == (
        True,
        {
            "X-RateLimit-Limit": "2",
            "X-RateLimit-Remaining": "1",
            "X-RateLimit-Reset": "1000004",
        },
    )
    clock.now += 1
    assert throttle.check(TRACK)[0]
    assert throttle.check(TRACK) == (False, {"X-Ratelimit-Retry-After": "2"})
    clock.now += 2
    assert throttle.check(TRACK)[0]
    assert not throttle.check(TRACK)[0]


def test_each_endpoint_has_limits_of_its_own() -> None:
    throttle = Throttle(Limits(requests=1, exports_per_minute=1), Clock())
    assert throttle.check(TRACK)[0]
    assert throttle.check("/users/export/ids")[0]
    assert not throttle.check("/users/export/ids")[0]
    assert throttle.check("/custom_attributes")[0]


def test_the_hourly_limit_is_what_the_headers_are_about_and_ends_with_the_hour() -> None:
    clock = Clock(3600 * 1000 + 3590.0)
    limits = Limits(requests=9, requests_per_hour=2, reset="seconds")
    throttle = Throttle(limits, clock)
    told = {"X-RateLimit-Limit": "2", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "10"}
    assert throttle.check(TRACK) == (True, told)
    assert throttle.check(TRACK)[0]
    assert throttle.check(TRACK) == (False, {"X-Ratelimit-Retry-After": "10"})
    clock.now += 10
    assert throttle.check(TRACK)[0]


def test_keys_share_a_companys_limit_and_each_has_its_own_by_workspace() -> None:
    for by_key in (False, True):
        throttle = Throttle(Limits(requests=1, by_key=by_key), Clock())
        assert throttle.check(TRACK, "one")[0]
        assert throttle.check(TRACK, "another")[0] is by_key
        assert not throttle.check(TRACK, "one")[0]


def test_bulk_has_a_limit_of_its_own_and_headers_can_lack_the_reset() -> None:
    throttle = Throttle(Limits(requests=1, bulk_requests=2, reset="absent"), Clock())
    assert throttle.check(TRACK)[0]
    for remaining in ("1", "0"):
        headers = {"X-RateLimit-Limit": "2", "X-RateLimit-Remaining": remaining}
        assert throttle.check("/users/track/bulk") == (True, headers)
    assert not throttle.check("/users/track/bulk")[0]


@given(st.lists(st.floats(0, 2), max_size=60), st.integers(1, 5))
def test_no_window_ever_holds_more_than_the_limit(steps: list[float], limit: int) -> None:
    window, now, passed = Window(limit, 3.0), 1_000.0, []
    for step in steps:
        now += step
        if not window.wait(now):
            window.count(now)
            passed.append(now)
    for start in passed:
        assert sum(start <= at < start + 3.0 for at in passed) <= limit
