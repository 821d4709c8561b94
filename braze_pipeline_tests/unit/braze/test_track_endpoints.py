"""Which endpoint a plan is made for, and how long it takes there."""

from __future__ import annotations

import pytest

from braze_pipeline.braze.track_endpoints import (
    bulk_gains,
    endpoints_for_plan,
    track_endpoint,
    usable_bytes,
)
from braze_pipeline.settings import DestinationSettings, RateLimit

HOURLY = RateLimit(requests=1500, seconds=3.0, requests_per_hour=10_000)


def destination(**more: object) -> DestinationSettings:
    return DestinationSettings(name="braze", endpoint="http://127.0.0.1:1", **more)  # type: ignore[arg-type]


def test_bulk_gains_where_the_hour_is_scarce_and_not_at_the_limit_of_data_points() -> None:
    assert not bulk_gains(destination())
    assert bulk_gains(destination(rate_limit=HOURLY))


@pytest.mark.parametrize(
    ("sends_to", "permitted", "small", "large"),
    [
        ("track", True, "track", "track"),
        ("bulk", False, "bulk", "bulk"),
        ("auto", True, "track", "bulk"),
        ("auto", False, "track", "track"),
    ],
)
def test_a_plan_is_made_for_what_the_key_may_and_what_gains(
    sends_to: str, permitted: bool, small: str, large: str
) -> None:
    d = destination(sends_to=sends_to, rate_limit=HOURLY)
    found = endpoints_for_plan(d, bulk_permitted=permitted)
    assert tuple(one.name for one in found) == (small, large)
    d = destination(sends_to=sends_to)
    assert {one.name for one in endpoints_for_plan(d, bulk_permitted=permitted)} == {
        "bulk" if sends_to == "bulk" else "track"
    }


@pytest.mark.parametrize("objects", [5, 75])
def test_the_time_of_a_plan_follows_the_objects_in_a_request(objects: int) -> None:
    track = track_endpoint(destination(objects_per_request=objects), "track")
    requests = -(-1_000_000 // track.objects)
    assert track.minutes(requests) == pytest.approx(requests / 1000 / 60, rel=0.03)
    hourly = track_endpoint(destination(objects_per_request=objects, rate_limit=HOURLY), "track")
    hours = (requests - 1) // 10_000
    assert hourly.minutes(requests) == pytest.approx(60 * hours, abs=1)


def test_an_object_must_fit_whichever_endpoint_takes_it() -> None:
    assert usable_bytes(destination()) == 4_000_000
    assert usable_bytes(destination(sends_to="bulk")) == 2_000_000
    assert usable_bytes(destination(sends_to="auto", max_body_bytes=9000)) == 9000
