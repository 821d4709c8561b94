"""Whether the configuration says what the contract with Braze allows, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.braze.track_endpoints import bulk_gains, track_endpoint
from braze_pipeline.operations.doctor.finding import Finding, ok, warning
from braze_pipeline.settings.destination import UNKNOWN_LIMIT

if TYPE_CHECKING:
    from braze_pipeline.braze.track_endpoints import TrackEndpoint
    from braze_pipeline.settings import DestinationSettings

_USERS = 1_000_000


def contract(destination: DestinationSettings) -> Finding:
    """The limits that a send keeps, and how long a million users take at them."""
    name = f"{destination.name}: contract"
    track, bulk = (track_endpoint(destination, one) for one in ("track", "bulk"))
    used = {"track": [track], "bulk": [bulk], "auto": [track, bulk]}[destination.sends_to]
    limits = "; ".join(map(_limits, used))
    limit = destination.rate_limit
    unknown = (limit.requests, limit.seconds) == (UNKNOWN_LIMIT.requests, UNKNOWN_LIMIT.seconds)
    if destination.contract is None and unknown:
        return warning(
            name,
            f"`contract` is not set, so as little is sent as any contract allows. {limits}.",
            "Set `contract` under `destination`: data_points, mau or custom (your limits: Braze, "
            "Settings > APIs and Identifiers > API Usage Dashboard).",
        )
    chosen = destination.contract or "Not set"
    if destination.sends_to == "auto" and not bulk_gains(destination):
        limits += "; bulk takes longer at these limits, so `endpoint: auto` does not use it"
    return ok(name, f"{chosen}. {limits}.")


def _limits(endpoint: TrackEndpoint) -> str:
    limit = endpoint.limit
    hourly = f" and {limit.requests_per_hour:,} an hour" if limit.requests_per_hour else ""
    share = f", of which {limit.share:.0%} is used" if limit.share < 1 else ""
    minutes = endpoint.minutes(-(-_USERS // endpoint.objects))
    return (
        f"{endpoint.path}: {limit.requests:,} requests in {limit.seconds:g} s{hourly}{share}; "
        f"{_USERS:,} users take about {minutes:,.1f} minutes"
    )
