"""The sandbox's request limits, with a clock of our own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.sandbox.throttle import HOUR, Limits, SlidingWindow, Throttle

TRACK = "/users/track"


class Clock:
    def __init__(self, now: float = 1_000_000.25) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_a_burst_limit_holds_in_every_window() -> None:
    clock = Clock()
    throttle = Throttle(Limits(requests=2, seconds=3.0), clock)
    assert throttle.judge(TRACK).passes
    clock.now += 1
    assert throttle.judge(TRACK).passes
    refused = throttle.judge(TRACK)
    assert not refused.passes
    assert refused.headers == {"X-Ratelimit-Retry-After": "2"}
    clock.now += 2
    assert throttle.judge(TRACK).passes
    assert not throttle.judge(TRACK).passes


def test_an_hourly_limit_starts_anew_on_the_clock_hour() -> None:
    clock = Clock(10 * HOUR + 3500)
    throttle = Throttle(Limits(per_hour=1), clock)
    assert throttle.judge(TRACK).passes
    assert throttle.judge(TRACK).headers == {"X-Ratelimit-Retry-After": "100"}
    clock.now = 11 * HOUR
    assert throttle.judge(TRACK).passes


def test_headers_tell_of_the_window_as_epoch_or_as_seconds_to_go() -> None:
    clock = Clock(10 * HOUR + 3500)
    epoch = Throttle(Limits(per_hour=5), clock).judge(TRACK).headers
    delta = Throttle(Limits(per_hour=5, reset="delta"), clock).judge(TRACK).headers
    assert epoch == {
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "4",
        "X-RateLimit-Reset": str(11 * 3600),
    }
    assert delta["X-RateLimit-Reset"] == "100"


def test_headers_may_be_empty_or_absent() -> None:
    empty = Throttle(Limits(reset="empty"), Clock()).judge(TRACK).headers
    assert set(empty.values()) == {""}
    assert Throttle(Limits(reset="absent"), Clock()).judge(TRACK).headers == {}


def test_each_endpoint_has_limits_of_its_own() -> None:
    throttle = Throttle(Limits(requests=1, exports_per_minute=1), Clock())
    assert throttle.judge(TRACK).passes
    assert throttle.judge("/users/export/ids").passes
    assert not throttle.judge("/users/export/ids").passes
    assert throttle.judge("/custom_attributes").passes


@given(st.lists(st.floats(0, 2), max_size=60), st.integers(1, 5))
def test_no_window_ever_holds_more_than_the_limit(steps: list[float], limit: int) -> None:
    window, now, passed = SlidingWindow(limit, 3.0), 1_000.0, []
    for step in steps:
        now += step
        if window.wait(now) == 0:
            window.count(now)
            passed.append(now)
    for start in passed:
        assert sum(start <= at < start + 3.0 for at in passed) <= limit
