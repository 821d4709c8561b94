"""The two endpoints that take attributes, as a destination uses them: path, limits, permission.

Source: Braze docs, "Create and update users" and "Create and update users in bulk" (1,000 objects
and 2 MB a request, 50 requests a second, permission ``users.track.bulk``; ``/users/track`` comes
first when Braze is busy; limited beta).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from braze_pipeline.braze.client import BULK, TRACK
from braze_pipeline.braze.rate_limiter import Pace
from braze_pipeline.settings import DestinationSettings, RateLimit
from braze_pipeline.settings.destination import TrackName

LARGE_PLAN: Final = 10_000
"""Users from which ``endpoint: auto`` sends a plan in bulk: ten full requests."""


@dataclass(frozen=True, kw_only=True)
class TrackEndpoint:
    """One of the two endpoints.

    Attributes:
        path, permission: Braze's names.
        objects, body_bytes: The most that one request may have.
        limit: How fast requests may be sent.
    """

    name: TrackName
    path: str
    permission: str
    objects: int
    body_bytes: int
    limit: RateLimit

    def minutes(self, requests: int) -> float:
        """How many minutes a number of requests takes at the rate limits, from a full hour on."""
        return Pace.of(self.limit).seconds(requests) / 60


def track_endpoint(destination: DestinationSettings, name: TrackName) -> TrackEndpoint:
    """The endpoint of this name."""
    if name == "bulk":
        bulk = destination.bulk
        return TrackEndpoint(
            name="bulk",
            path=BULK,
            permission="users.track.bulk",
            objects=bulk.objects_per_request,
            body_bytes=bulk.max_body_bytes,
            limit=bulk.rate_limit,
        )
    return TrackEndpoint(
        name="track",
        path=TRACK,
        permission="users.track",
        objects=destination.objects_per_request,
        body_bytes=destination.max_body_bytes,
        limit=destination.rate_limit,
    )


def bulk_gains(destination: DestinationSettings) -> bool:
    """Whether a large plan takes less time in bulk."""
    track, bulk = (track_endpoint(destination, name) for name in ("track", "bulk"))
    users = 1_000_000
    return bulk.minutes(-(-users // bulk.objects)) < track.minutes(-(-users // track.objects))


def endpoints_for_plan(
    destination: DestinationSettings, *, bulk_permitted: bool
) -> tuple[TrackEndpoint, TrackEndpoint]:
    """The endpoint of a small plan, and of one with at least ``LARGE_PLAN`` users."""
    track, bulk = (track_endpoint(destination, name) for name in ("track", "bulk"))
    match destination.sends_to:
        case "track":
            return track, track
        case "bulk":
            return bulk, bulk
        case "auto":
            return track, bulk if bulk_permitted and bulk_gains(destination) else track


def usable_bytes(destination: DestinationSettings) -> int:
    """The most bytes of a request that fits whichever endpoint is used."""
    track, bulk = destination.max_body_bytes, destination.bulk.max_body_bytes
    return {"track": track, "bulk": bulk, "auto": min(track, bulk)}[destination.sends_to]
