"""One Braze workspace: its address, limits, price, and how carefully it is sent to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from braze_pipeline.settings.section import CHOICE, Expected, PositiveInt, Seconds, Section, Slug
from braze_pipeline.settings.sources import LocalFile

VariableName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    Expected("Expected the name of an environment variable, never the API key itself."),
]
Identifier = Annotated[Literal["external_id", "braze_id"], CHOICE]


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
    read_back_users: Annotated[int, Field(ge=0, le=50)] = 0
    """Users to read back from Braze and compare after a send (needs the permission
    users.export.ids). 0 for none."""


class WorkspaceOptions(Section):
    """What identifies a Braze workspace, and how patient the connection to it is."""

    name: Slug = "braze"
    """Lower-case letters, digits and underscores. It also names the ledger."""
    description: str = ""
    """Shown in the UI."""
    instance: str | None = None
    """The Braze instance, such as `US-01` or `EU-02`."""
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
    """Seconds to wait for a connection."""
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
    """

    endpoint: str
    identifier: Identifier = "external_id"
