"""The schema of ``defs.yaml``: one destination, its sources and its data templates.

A brand writes this; ``resolve`` turns it into settings. The docstring under each key is what the
schema, ``dg check yaml`` and the editor show.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue

from braze_pipeline.config.base import Part, one_of
from braze_pipeline.settings import FIRST_DAY

Identifier = Annotated[Literal["external_id", "braze_id"], one_of("external_id", "braze_id")]
Channel = Annotated[Literal["email", "sms"], one_of("email", "sms")]
Owner = Annotated[str, Field(pattern=r"^(team:[\w.-]+|[^@\s]+@[^@\s]+\.[^@\s]+)$")]
Share = Annotated[float, Field(ge=0)]
TypeName = Annotated[
    Literal[
        "string", "integer", "float", "boolean", "date", "time",
        "array", "object", "array_of_objects",
    ],
    one_of(
        "string", "integer", "float", "boolean", "date", "time",
        "array", "object", "array_of_objects",
    ),
]  # fmt: skip


class RateLimitPart(Part):
    """How fast requests may go out."""

    requests: Annotated[int, Field(gt=0)] = 3000
    """Requests in any window of `seconds`."""
    seconds: Annotated[float, Field(gt=0)] = 3.0
    """Length of the window."""
    requests_per_hour: Annotated[int, Field(gt=0)] | None = None
    """Requests in a clock hour, for contracts by monthly active users."""


class PricingPart(Part):
    """What sending costs under the contract with Braze."""

    model: Annotated[
        Literal["data_points", "mau", "none"], one_of("data_points", "mau", "none")
    ] = "data_points"
    """`data_points` (older contracts), `mau` (monthly active users) or `none`."""
    price_per_1000: Annotated[float, Field(ge=0)] | None = None
    """Money for a thousand data points."""
    currency: str = "USD"
    """Its currency."""


class KnownUsersPart(Part):
    """How we learn which users Braze has; the others are sent in full again by rhythm."""

    source: Annotated[
        Literal["assume", "list", "lookup", "none"], one_of("assume", "list", "lookup", "none")
    ] = "none"
    """`lookup` asks Braze for users new to the ledger, `list` reads a file, `assume` takes every
    user as known, `none` knows nobody until an export is imported."""
    file: str | None = None
    """For `list`: a CSV or Parquet file with a column `user_id`, beside this file."""
    resend_days: Annotated[int, Field(ge=1)] = 7
    """Users of unknown standing are planned in full again after so many days."""
    lookups_per_minute: Annotated[int, Field(gt=0)] = 250
    """The limit of `/users/export/ids` (250 for newer customers of Braze)."""


class DestinationPart(Part):
    """One Braze workspace."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = "braze"
    """Lower-case letters, digits and underscores; the ledger goes by it."""
    description: str = ""
    """Shown in the UI."""
    owners: tuple[Owner, ...] = ()
    """Who answers for it: e-mail addresses, or `team:name`."""
    instance: str | None = None
    """The Braze instance, such as `US-01` or `EU-02`."""
    rest_endpoint: str | None = None
    """The REST endpoint itself, where the instance is not in our list."""
    allow_other_host: bool = False
    """The API key may go to a host that is neither Braze's (`*.braze.com`, `*.braze.eu`) nor this
    machine: a proxy or a test server of yours."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "BRAZE_API_KEY"
    """The NAME of the environment variable that holds the API key."""
    user_identifier: Identifier | None = None
    """`external_id` (recommended) or `braze_id`."""
    update_only: bool | None = None
    """Only update users that Braze already has (default true)."""
    rate_limit: RateLimitPart | None = None
    """Defaults to 3,000 requests in 3 seconds."""
    pricing: PricingPart | None = None
    """Defaults to data points."""
    known_users: KnownUsersPart | None = None
    """How we learn which users Braze has."""
    objects_per_request: Annotated[int, Field(ge=1, le=75)] | None = None
    """Users in a request, at most 75."""
    max_body_bytes: Annotated[int, Field(ge=1000, le=4_000_000)] | None = None
    """Bytes in a request, at most 4 MB."""
    max_in_flight: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Upper bound of requests in flight."""
    connect_timeout: Annotated[float, Field(gt=0)] | None = None
    """Seconds to wait for a connection (default 5)."""
    read_timeout: Annotated[float, Field(gt=0)] | None = None
    """Seconds to wait for the next part of an answer (default 30)."""
    answer_timeout: Annotated[float, Field(gt=0)] | None = None
    """Seconds that a whole answer may take (default 90)."""
    retry_budget_seconds: Annotated[float, Field(ge=0)] | None = None
    """How long a send may go on trying while Braze fails."""
    max_throttle_seconds: Annotated[float, Field(ge=0)] | None = None
    """How long a run may wait while Braze answers that the rate limit is used up (default 3,900:
    an hourly limit is reset on the clock hour)."""
    read_back_users: Annotated[int, Field(ge=0, le=50)] | None = None
    """Users read back and compared after a send (needs the permission users.export.ids)."""
    preflight: Literal["stop", "warn", "off"] | None = None
    """Names and types that Braze has (permission custom_attributes.get): hold back what it would
    lose (default), only tell, or do not ask."""


class SourcePart(Part):
    """Where one source table is read from, when it is not `NAME.parquet` and so on."""

    path: str | None = None
    """A Parquet file, a CSV file with a header, or a folder of Parquet files."""
    database: str | None = None
    """A DuckDB file to read from instead, with `relation`."""
    relation: str | None = None
    """The table or view in `database`."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our column name: their column name, where they differ."""


class SourcesPart(Part):
    """The source tables. By default they are found in the folder BRAZE_PIPELINE_SOURCES."""

    customers: SourcePart = SourcePart()
    """One row a customer."""
    orders: SourcePart = SourcePart()
    """One row an order line."""
    consents: SourcePart = SourcePart()
    """One row a change of consent."""
    predictions: SourcePart = SourcePart()
    """Predicted customer lifetime value; optional."""


class HighValuePart(Part):
    """Any one of these makes a customer high value."""

    lifetime_value: Annotated[float, Field(ge=0)] | None = None
    """Historical value at or above this amount."""
    top_percent: Annotated[float, Field(gt=0, le=100)] | None = None
    """Among the best so many percent by historical value."""
    predicted_value: Annotated[float, Field(ge=0)] | None = None
    """Predicted value at or above this amount."""


class ActivePart(Part):
    """Bought recently."""

    within_days: Annotated[int, Field(ge=0)] = 365
    """The last order is at most so many days before the as-of date."""


class ContactablePart(Part):
    """Opted in, and with an address to be reached at."""

    by: Annotated[tuple[Channel, ...], Field(min_length=1)] = ("email", "sms")
    """Any of these channels will do."""


class AudiencePart(Part):
    """High value AND active AND contactable."""

    high_value: HighValuePart = HighValuePart()
    active: ActivePart = ActivePart()
    contactable: ContactablePart = ContactablePart()


def _as_text(value: object) -> object:
    """YAML makes dates of what looks like one; a value is text until its attribute is known."""
    return value.isoformat() if isinstance(value, date) else value


class OnLeavePart(Part):
    """What happens to an attribute when a user leaves the audience."""

    set: Annotated[JsonValue, BeforeValidator(_as_text)]
    """The value to set, written like a value of the column."""


class AttributePart(Part):
    """One column that goes to Braze."""

    column: str
    """The column of the customer attributes table."""
    braze_name: str | None = Field(default=None, alias="as")
    """The Braze name: a profile field, or a custom attribute under your own name."""
    custom: bool = False
    """A custom attribute although its name is close to a profile field's (`Location`, `Avatar`)."""
    type: TypeName | None = None
    """Required for custom attributes; profile fields have their own."""
    pii: bool | None = None
    """Personal data: masked wherever shown. By default what is a profile field, comes from a column
    that feeds one or is named like one, or is made from one in the SQL."""
    required: bool = False
    """A customer without a good value here is not sent at all."""
    precision: Annotated[int, Field(ge=0, le=12)] | None = None
    """Decimal places that a float is rounded to, half up: 629.925 to 629.93."""
    array_as: Annotated[Literal["list", "set"], one_of("list", "set")] = "list"
    """Whether order counts in an array."""
    send_null: bool = True
    """Clear it in Braze (once) when the value became null."""
    on_leave: Annotated[Literal["keep", "clear"], one_of("keep", "clear")] | OnLeavePart = "keep"
    """`keep`, `clear`, or `{set: VALUE}` when the user leaves the audience."""
    region_column: str | None = None
    """For `phone`: the column with the country of national numbers (default `country`)."""
    date_order: Annotated[Literal["dmy", "mdy", "reject"], one_of("dmy", "mdy", "reject")] = (
        "reject"
    )
    """How to read 03/04/1990."""


class GroupPart(Part):
    """A recipient group of a campaign."""

    name: str
    """Shown in the UI."""
    where: str
    """A SQL condition over the customer attributes table."""
    attributes: list[str]
    """Braze names that go out for this group, the user identifier among them."""


class GuardsPart(Part):
    """When a plan is held back before anything is sent; `null` switches one off."""

    min_audience_share: Share | None = 0.5
    """Smallest audience, as a share of the last good run's."""
    max_audience_share: Share | None = 2.0
    """Largest audience, as a share of the last good run's."""
    max_changed_share: Share | None = 0.8
    """Largest share of known profiles that may change at once."""
    max_null_share_rise: Share | None = 0.3
    """Largest rise in an attribute's share of nulls."""
    max_rejected_share: Share | None = 0.1
    """Largest share of the audience that may be rejected."""
    max_new_attributes: Annotated[int, Field(ge=0)] | None = 20
    """How many attribute names may be created at once after the first send."""
    max_data_points: Annotated[int, Field(ge=0)] | None = None
    """Largest forecast of billable data points."""
    max_requests: Annotated[int, Field(ge=0)] | None = None
    """Largest forecast of requests."""
    min_users: Annotated[int, Field(ge=0)] = 100
    """Below so many users, shares are not judged."""


class SchedulePart(Part):
    """The daily materialization."""

    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "03:30"
    """Local time of day, HH:MM."""
    lag_days: Annotated[int, Field(ge=0, le=30)] = 0
    """How many more days to wait for late data: 0 runs yesterday's date."""
    max_age_hours: Annotated[float, Field(gt=0)] = 36.0
    """The last acknowledged send may be so old before a check warns."""


class SourceChecksPart(Part):
    """When the source tables count as late or incomplete; `null` switches one off."""

    orders_within_days: Annotated[int, Field(ge=0)] | None = 3
    """The newest order is at most so many days before the as-of date."""
    consents_within_days: Annotated[int, Field(ge=0)] | None = 30
    """The newest change of consent is at most so many days before the as-of date."""
    max_lost_lines_share: Annotated[float, Field(ge=0, le=1)] | None = 0.2
    """Largest share of order lines that are incomplete or belong to an unknown customer."""


class AlertsPart(Part):
    """When a run that did not fail is still worth telling about; `null` switches one off."""

    max_rejected_share: Share | None = 0.05
    """Above this share of the audience held back or refused, a run is a partial success."""
    min_users: Annotated[int, Field(ge=0)] = 100
    """Below so many users, shares are not judged."""
    slow_factor: Annotated[float, Field(gt=1)] | None = 3.0
    """A run that takes so many times as long as its last ones is told while it still runs."""
    slow_minutes: Annotated[float, Field(ge=0)] = 10.0
    """No run is slow before so many minutes."""


class TemplatePart(Part):
    """One data template: what goes to the destination."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    """Lower-case letters, digits and underscores."""
    description: str = ""
    """Shown in the UI."""
    kind: Annotated[Literal["orchestration", "campaign"], one_of("orchestration", "campaign")] = (
        "orchestration"
    )
    """`orchestration` (one attribute list) or `campaign` (recipient groups)."""
    attributes_sql: str = "customer_attributes.sql"
    """The SQL file beside this one that defines the customer attributes table."""
    identifier_column: str | None = None
    """Column with the user identifier (default: customer_id, or braze_id)."""
    audience: AudiencePart = AudiencePart()
    attributes: list[AttributePart]
    """What goes out."""
    recipient_groups: tuple[GroupPart, ...] = ()
    """For `kind: campaign`."""
    restricted_pii: bool = False
    """Personal attributes are neither shown nor sent, whatever `pii` says."""
    default_region: str | None = None
    """Country of national phone numbers where the customer has none, such as `GB`."""
    guards: GuardsPart = GuardsPart()
    # What the destination may leave open, or the template overrides:
    user_identifier: Identifier | None = None
    """Overrides the destination's."""
    update_only: bool | None = None
    """Overrides the destination's."""
    rate_limit: RateLimitPart | None = None
    """Overrides the destination's."""
    objects_per_request: Annotated[int, Field(ge=1, le=75)] | None = None
    """Overrides the destination's."""
    max_body_bytes: Annotated[int, Field(ge=1000, le=4_000_000)] | None = None
    """Overrides the destination's."""
    read_back_users: Annotated[int, Field(ge=0, le=50)] | None = None
    """Overrides the destination's."""


class PipelineConfig(Part):
    """A Braze destination with its data templates."""

    destination: DestinationPart
    sources: SourcesPart = SourcesPart()
    time_zone: str = "UTC"
    """IANA zone whose midnight ends the as-of date."""
    history_days: Annotated[int, Field(ge=1, le=1000)] = 35
    """How many as-of dates the day tables keep."""
    start_date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = FIRST_DAY.isoformat()
    """The first day that can be materialized."""
    end_date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    """The last day that the UI offers and the schedule sends. Default: no end."""
    schedule: SchedulePart | None = SchedulePart()
    """`null` for no schedule."""
    alerts: AlertsPart = AlertsPart()
    """When a run that did not fail is still worth telling about."""
    source_checks: SourceChecksPart = SourceChecksPart()
    """When the source tables count as late or incomplete: a warning."""
    templates: Annotated[list[TemplatePart], Field(min_length=1)]
