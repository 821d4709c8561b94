"""One Braze workspace: its address, limits, price, and how carefully it is sent to."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from braze_pipeline.settings.section import CHOICE, Expected, PositiveInt, Seconds, Section, Slug
from braze_pipeline.settings.sources import LocalFile

VariableName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    Expected("Expected the name of an environment variable, never the API key itself."),
]
Identifier = Annotated[Literal["external_id", "braze_id"], CHOICE]
TrackName = Literal["track", "bulk"]
SendsTo = Annotated[Literal["track", "bulk", "auto"], CHOICE]
Contract = Annotated[Literal["data_points", "mau", "custom"], CHOICE]


class RateLimit(Section):
    """How fast requests may go out.

    Source: Braze docs, "API rate limits": 3,000 requests per 3 s where pricing has data points.
    """

    requests: PositiveInt = 3000
    """Requests in any window of `seconds`."""
    seconds: Seconds = 3.0
    """Length of the window."""
    requests_per_hour: PositiveInt | None = None
    """Requests in a clock hour, for contracts priced by monthly active users. Default: no limit."""
    use_at_most: Annotated[float, Field(gt=0, le=1)] | None = None
    """The share of these limits that is used; the rest is kept for your other systems. Default: 0.8
    under `contract: mau`, whose limits the whole company shares; otherwise 1."""

    @property
    def share(self) -> float:
        """The share that is used."""
        return 1.0 if self.use_at_most is None else self.use_at_most


UNKNOWN_LIMIT: Final = RateLimit(requests=150, seconds=3.0)
"""Where nobody says what the contract allows: the lowest rate that Braze documents (50 requests a
second, for ``/users/track/bulk``)."""


class BulkRateLimit(RateLimit):
    """How fast requests to `/users/track/bulk` may go out.

    Source: Braze docs, "Create and update users in bulk": 50 requests a second; newer contracts
    have limits by second and by hour.
    """

    requests: PositiveInt = 50
    """Requests in any window of `seconds`."""
    seconds: Seconds = 1.0
    """Length of the window."""


class BulkOptions(Section):
    """Requests to `/users/track/bulk`, where `endpoint` is `bulk` or `auto`."""

    objects_per_request: Annotated[int, Field(ge=1, le=1000)] = 1000
    """Users per request, at most 1,000."""
    max_body_bytes: Annotated[int, Field(ge=1000, le=2_000_000)] = 2_000_000
    """Bytes per request, at most 2 MB."""
    rate_limit: BulkRateLimit = BulkRateLimit()
    """The rate limit of `/users/track/bulk` in your contract."""


class Pricing(Section):
    """What sending costs under the contract with Braze."""

    model: Annotated[Literal["data_points", "mau", "none"], CHOICE] = "data_points"
    """`data_points` (older contracts), `mau` (monthly active users: the hourly request limit is
    what is scarce) or `none`."""
    price_per_1000: Annotated[float, Field(ge=0)] | None = None
    """Price of a thousand data points, if known."""
    currency: str = "USD"
    """Currency of the price."""


class KnownUsers(Section):
    """How the pipeline learns which users exist in Braze. Others are re-sent in full regularly."""

    source: Annotated[Literal["assume", "list", "lookup", "none"], CHOICE] = "none"
    """`lookup` asks Braze (`/users/export/ids`) for users new to the ledger, `list` reads a file,
    `assume` treats every user as known, `none` treats nobody as known until you import an
    export."""
    file: LocalFile = None
    """For `list`: a CSV or Parquet file with a column `user_id`, relative to this file."""
    resend_days: Annotated[int, Field(ge=1)] = 7
    """Users not confirmed in Braze are re-sent in full after this many days."""
    lookups_per_minute: PositiveInt = 250
    """Your rate limit for `/users/export/ids` (250 for newer Braze customers)."""


class SendOptions(Section):
    """How requests are built and sent. A template can override its destination."""

    update_only: bool = True
    """Only update users that Braze already has; never create any."""
    rate_limit: RateLimit = RateLimit()
    """The rate limit of `/users/track` in your contract."""
    objects_per_request: Annotated[int, Field(ge=1, le=75)] = 75
    """Users per request, at most 75 (Braze docs, "Create and update users")."""
    max_body_bytes: Annotated[int, Field(ge=1000, le=4_000_000)] = 4_000_000
    """Bytes per request, at most 4 MB (Braze docs, "API limits")."""
    bulk: BulkOptions = BulkOptions()
    """Requests to `/users/track/bulk`, where `endpoint` is `bulk` or `auto`."""
    read_back_users: Annotated[int, Field(ge=0, le=50)] = 0
    """Users to read back from Braze and compare after a send (needs the permission
    users.export.ids). 0 for none."""


class WorkspaceOptions(Section):
    """What identifies a Braze workspace, and how patient the connection to it is."""

    name: Slug = "braze"
    """Lower-case letters, digits and underscores. It also names the ledger."""
    description: str = ""
    """Shown in the UI, with the daily jobs and the sends."""
    instance: str | None = None
    """The Braze instance, such as `US-01` or `EU-02`. This or `rest_endpoint` is needed."""
    contract: Contract | None = None
    """What your contract with Braze limits and bills: `data_points` (older contracts: 3,000
    requests in 3 seconds), `mau` (monthly active users: `rate_limit` needs `requests`, `seconds`
    and `requests_per_hour` from the dashboard) or `custom` (give `rate_limit` and `pricing`).
    Without it and without `rate_limit`, a real Braze gets at most 50 requests a second."""
    company: Slug | None = None
    """Destinations with the same name here share one rate limit. Default: under `contract: mau`
    all destinations of this database share one, as Braze counts by company; otherwise each has its
    own."""
    api_key_env: VariableName = "BRAZE_API_KEY"
    """The NAME of the environment variable that contains the API key."""
    pricing: Pricing = Pricing()
    """What sending costs under your contract."""
    known_users: KnownUsers = KnownUsers()
    """How the pipeline learns which users exist in Braze."""
    preflight: Annotated[Literal["stop", "warn", "off"], CHOICE] = "stop"
    """Before each plan, compare names and types with those in Braze (permission
    custom_attributes.get). `stop` blocks an attribute whose values Braze would lose, `warn` only
    reports it, `off` does not ask Braze."""
    max_in_flight: Annotated[int, Field(ge=1, le=1000)] = 200
    """Most requests in flight at the same time."""
    connect_timeout: Seconds = 5.0
    """Seconds to wait for a connection, and for a whole request to be written."""
    read_timeout: Seconds = 30.0
    """Seconds to wait for the next part of a response."""
    answer_timeout: Seconds = 90.0
    """Seconds a whole response may take."""
    retry_budget_seconds: Annotated[float, Field(ge=0)] = 300.0
    """Seconds a send keeps retrying while Braze fails, before it gives up."""
    max_throttle_seconds: Annotated[float, Field(ge=0)] = 3900.0
    """Seconds a run waits while Braze answers that the rate limit is used up (429). The default
    covers an hourly limit, which resets on the clock hour."""


class DestinationSettings(SendOptions, WorkspaceOptions):
    """One Braze workspace at run time. The API key is named here, never stored.

    Attributes:
        endpoint: REST endpoint with no trailing slash.
        identifier: The primary identifier that every object carries.
        sends_to: The endpoint that takes the requests; ``auto`` lets each plan decide.
    """

    endpoint: str
    identifier: Identifier = "external_id"
    sends_to: SendsTo = "track"

    @property
    def limited_by_company(self) -> bool:
        """Whether other destinations share the limits."""
        return self.company is not None or self.contract == "mau"

    @property
    def limited_with(self) -> str:
        """The name under which requests count: who has the same name shares the limits."""
        if self.limited_by_company:
            return f"company {self.company or 'of this database'}"
        return f"workspace {self.name}"
