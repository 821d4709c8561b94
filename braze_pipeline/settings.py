"""What a run needs to know, resolved: plain values that the pure core works with.

``braze_pipeline.config`` reads and checks the YAML that a brand writes and turns it into these.
Nothing here reads files or the environment, and nothing here holds the API key: only the *name*
of the environment variable that does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

FIRST_DAY: Final = date(2020, 1, 1)
"""The first day that can be materialized, unless the brand says otherwise."""


CUSTOMER: Final = "customer_id"
"""The column of the customer attributes table that says who a row is about."""


class ValueType(StrEnum):
    """The types a value can have in Braze, and the DuckDB type that carries each.

    Source: Braze docs, "Custom attribute data types".
    """

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    ARRAY = "array"
    OBJECT = "object"
    OBJECTS = "array_of_objects"

    @property
    def duckdb(self) -> str:
        """The DuckDB type of a profile column of this type.

        ``time`` is an instant in UTC. ``object`` and ``array_of_objects`` are canonical JSON text
        (keys sorted, no white space), so that equal values are equal strings.
        """
        return _DUCKDB_TYPES[self]


_DUCKDB_TYPES = {
    ValueType.STRING: "VARCHAR",
    ValueType.INTEGER: "BIGINT",
    ValueType.FLOAT: "DOUBLE",
    ValueType.BOOLEAN: "BOOLEAN",
    ValueType.DATE: "DATE",
    ValueType.TIME: "TIMESTAMP",
    ValueType.ARRAY: "VARCHAR[]",
    ValueType.OBJECT: "VARCHAR",
    ValueType.OBJECTS: "VARCHAR",
}

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """Where one source table is read from.

    Attributes:
        name: ``customers``, ``orders``, ``consents`` or ``predictions``.
        path: A Parquet file, a CSV file with a header, or a folder of Parquet files.
        shared: ``path`` is the folder of all tables, in which this one has its own file or folder.
        database: A DuckDB file to attach instead, with ``relation`` a table or view in it.
        relation: The table or view in ``database`` (``name`` or ``schema.name``).
        columns: Our column name to theirs, where they differ.
        optional: A missing optional source is an empty table.
    """

    name: str
    path: Path | None = None
    shared: bool = False
    database: Path | None = None
    relation: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class AudienceRules:
    """Who is in the audience: high value AND active AND contactable.

    Attributes:
        min_lifetime_value: Historical value at or above this amount is high value.
        top_percent: The best so many percent by historical value are high value.
        min_predicted_value: A predicted value at or above this amount is high value.
        active_within_days: The last order is at most so many days before the as-of date.
        channels: A customer is contactable by one of these: opted in *and* with an address.
    """

    min_lifetime_value: float | None = None
    top_percent: float | None = None
    min_predicted_value: float | None = None
    active_within_days: int = 365
    channels: tuple[Literal["email", "sms"], ...] = ("email", "sms")


@dataclass(frozen=True, kw_only=True)
class AttributeSettings:
    """One column that goes to Braze, under one name.

    Attributes:
        column: The column of the customer attributes table.
        name: The Braze name: a profile field, or a custom attribute under the brand's own name.
        type: Its type in Braze.
        is_field: Whether ``name`` is a profile field (else a custom attribute).
        pii: Whether values are personal data: masked wherever shown.
        pii_open: Neither the template nor a name says so: ``pii`` holds until the lineage of the
            SQL shows that it is not (``attributes.personal``).
        required: A row whose value is missing or rejected is rejected whole.
        precision: Decimal places that floats are rounded to, None for as they are.
        array_as: Whether order counts in arrays (``list``) or not (``set``: sorted, unique).
        send_null: Send null once when a value that Braze has became null.
        on_leave: What happens to it when the user leaves the audience.
        leave_value: The value to set on leave, for ``on_leave="set"``.
        region_column: For ``phone``: the column with the country that national numbers belong to.
        date_order: How to read ``03/04/1990``: ``dmy``, ``mdy``, or ``reject`` it as ambiguous.
    """

    column: str
    name: str
    type: ValueType
    is_field: bool
    pii: bool
    pii_open: bool = False
    required: bool = False
    precision: int | None = None
    array_as: Literal["list", "set"] = "list"
    send_null: bool = True
    on_leave: Literal["keep", "clear", "set"] = "keep"
    leave_value: Json = None
    region_column: str | None = None
    date_order: Literal["dmy", "mdy", "reject"] = "reject"


@dataclass(frozen=True, kw_only=True)
class RecipientGroup:
    """A part of a campaign's audience with its own attribute list.

    Attributes:
        name: The group's name.
        where: A SQL condition over the customer attributes table.
        attributes: Braze names that go out for users of this group.
    """

    name: str
    where: str
    attributes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """How fast requests may go out.

    Attributes:
        requests: Requests in any window of ``seconds``.
        seconds: The window's length.
        requests_per_hour: Requests in a clock hour, None for no hourly limit.

    Source: Braze docs, "API rate limits": 3,000 requests per 3 s where pricing has data points.
    """

    requests: int = 3000
    seconds: float = 3.0
    requests_per_hour: int | None = None


@dataclass(frozen=True, kw_only=True)
class Pricing:
    """What sending costs under the brand's contract.

    Attributes:
        model: ``data_points`` (older contracts), ``mau`` (monthly active users: the hourly
            request limit is the scarce thing), or ``none``.
        price_per_1000: Money for a thousand data points, None where unknown.
        currency: Its currency.
    """

    model: Literal["data_points", "mau", "none"] = "data_points"
    price_per_1000: float | None = None
    currency: str = "USD"


@dataclass(frozen=True, kw_only=True)
class KnownUsers:
    """How we learn which users Braze has.

    Attributes:
        source: ``assume`` (every user is taken as known), ``list`` (a file with one id a line),
            ``lookup`` (``/users/export/ids`` for users new to the ledger), or ``none``
            (nobody is known until an export is imported).
        file: The file for ``list``: CSV or Parquet with a column ``user_id``.
        resend_days: Users of unknown standing are planned again in full after so many days.
        lookups_per_minute: The limit of ``/users/export/ids`` (250 for newer customers).
    """

    source: Literal["assume", "list", "lookup", "none"] = "none"
    file: Path | None = None
    resend_days: int = 7
    lookups_per_minute: int = 250


@dataclass(frozen=True, kw_only=True)
class Guards:
    """When a plan is held back. None switches one guard off.

    Attributes:
        min_audience_share: Smallest audience, as a share of the last good run's.
        max_audience_share: Largest audience, as a share of the last good run's.
        max_changed_share: Largest share of known profiles that may change at once.
        max_null_share_rise: Largest rise, in percentage points / 100, of an attribute's nulls.
        max_rejected_share: Largest share of audience rows that may be rejected.
        max_new_attributes: How many attribute names may be created in Braze at once, beyond the
            first send of a destination.
        max_data_points: Largest forecast of billable data points.
        max_requests: Largest forecast of requests.
        min_users: Shares are not judged below so many users: small numbers swing.
    """

    min_audience_share: float | None = 0.5
    max_audience_share: float | None = 2.0
    max_changed_share: float | None = 0.8
    max_null_share_rise: float | None = 0.3
    max_rejected_share: float | None = 0.1
    max_new_attributes: int | None = 20
    max_data_points: int | None = None
    max_requests: int | None = None
    min_users: int = 100


@dataclass(frozen=True, kw_only=True)
class ScheduleSettings:
    """When a template runs by itself.

    Attributes:
        at: Local time of day, HH:MM, in the template's time zone.
        lag_days: Days to wait for late data; 0 runs yesterday's date.
        max_age_hours: The last acknowledged send may be so old before it counts as overdue.
    """

    at: str = "03:30"
    lag_days: int = 0
    max_age_hours: float = 36.0


@dataclass(frozen=True, kw_only=True)
class SourceChecks:
    """When the source tables count as late or incomplete: a warning. None switches one off.

    Attributes:
        orders_within_days: The newest order is at most so many days before the as-of date.
        consents_within_days: Likewise the newest change of consent.
        max_lost_lines_share: Largest share of order lines that lack an order, date, quantity or
            price, or belong to a customer who is not in ``customers``. A line without a customer
            is a guest's, and not lost.
    """

    orders_within_days: int | None = 3
    consents_within_days: int | None = 30
    max_lost_lines_share: float | None = 0.2


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """When a run that did not fail is still worth telling about.

    Attributes:
        max_rejected_share: Above this share of an audience held back or refused, a run that
            succeeded is told as a partial success. None: never.
        min_users: Shares are not judged below so many users: small numbers swing.
        slow_factor: A run that takes so many times as long as its last ones is told while it
            still runs. None: never.
        slow_minutes: No run is slow before so many minutes.
    """

    max_rejected_share: float | None = 0.05
    min_users: int = 100
    slow_factor: float | None = 3.0
    slow_minutes: float = 10.0


@dataclass(frozen=True, kw_only=True)
class DestinationSettings:
    """One Braze workspace. The credential is named, never held.

    Attributes:
        name: Slug; also names the ledger.
        endpoint: REST endpoint with no trailing slash.
        instance: The instance's name where one was given, for messages.
        api_key_env: The environment variable that holds the API key.
        identifier: Which primary identifier objects carry.
        update_only: Never create users (``_update_existing_only``).
        rate_limit, pricing, known_users: see there.
        objects_per_request: At most 75 (Braze docs, "Create and update users").
        max_body_bytes: At most 4 MB (Braze docs, "API limits", payload size).
        max_in_flight: Upper bound of requests in flight.
        connect_timeout, read_timeout: Seconds; ``read_timeout`` between two parts of an answer.
        answer_timeout: Seconds that a whole answer may take.
        retry_budget_seconds: How long one run may spend on a Braze that fails before it gives up.
        max_throttle_seconds: How long Braze may go on answering 429 before a run gives up: an
            hourly limit is reset on the clock hour.
        read_back_users: Users read back and compared after a send (0 for none, at most 50).
        preflight: Whether names and types are compared with what Braze has before a plan, and an
            attribute of which Braze would lose the values is held back (``stop``) or only told of.
    """

    name: str
    endpoint: str
    instance: str | None = None
    description: str = ""
    api_key_env: str = "BRAZE_API_KEY"
    identifier: Literal["external_id", "braze_id"] = "external_id"
    update_only: bool = True
    rate_limit: RateLimit = field(default_factory=RateLimit)
    pricing: Pricing = field(default_factory=Pricing)
    known_users: KnownUsers = field(default_factory=KnownUsers)
    objects_per_request: int = 75
    max_body_bytes: int = 4_000_000
    max_in_flight: int = 200
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    answer_timeout: float = 90.0
    retry_budget_seconds: float = 300.0
    max_throttle_seconds: float = 3900.0
    read_back_users: int = 0
    preflight: Literal["stop", "warn", "off"] = "stop"


@dataclass(frozen=True, kw_only=True)
class TemplateSettings:
    """One data template with its destination's settings already merged in.

    Attributes:
        schema: DuckDB schema that holds this template's tables.
        key_prefix: Prefix of its asset keys; empty for the first template.
        attributes_sql: The SQL file that defines the customer attributes table.
        folder: The folder of its ``defs.yaml``.
        identifier_column: The column that carries ``destination.identifier``.
        missing_identifier: Where and why the configuration would send no identifier; empty where it
            is whole. Every run fails with it (``profiles.identifier``).
        attributes: In order; names are unique without regard to case and spacing.
        dropped: Columns of attributes that were configured but never leave (consent).
        withheld: Names of personal attributes that `restricted_pii` keeps from leaving.
        personal_columns: Columns that some template over this SQL sends as personal data.
        groups: Recipient groups of a campaign; empty for an orchestration.
        restricted_pii: Personal attributes are neither shown nor sent.
        time_zone: IANA zone whose midnight ends the as-of date.
        first_day, last_day: The days that there are; None for no end.
        history_days: How many as-of dates the day tables keep.
        default_region: Country of national phone numbers where the customer has none.
        owners: Who answers for it (an e-mail address, or ``team:name``), shown in the UI.
        schedule: When it runs by itself; None: only when told to.
        alerts: When a run that did not fail is still worth telling about.
        source_checks: When the source tables count as late or incomplete.
    """

    name: str
    destination: DestinationSettings
    schema: str
    attributes_sql: Path
    sources: tuple[SourceSettings, ...]
    audience: AudienceRules
    attributes: tuple[AttributeSettings, ...]
    folder: Path = Path()
    identifier_column: str = "customer_id"
    missing_identifier: str = ""
    description: str = ""
    kind: Literal["orchestration", "campaign"] = "orchestration"
    key_prefix: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    personal_columns: tuple[str, ...] = ()
    groups: tuple[RecipientGroup, ...] = ()
    restricted_pii: bool = False
    guards: Guards = field(default_factory=Guards)
    time_zone: str = "UTC"
    first_day: date = FIRST_DAY
    last_day: date | None = None
    history_days: int = 35
    default_region: str | None = None
    owners: tuple[str, ...] = ()
    schedule: ScheduleSettings | None = None
    alerts: AlertSettings = field(default_factory=AlertSettings)
    source_checks: SourceChecks = field(default_factory=SourceChecks)

    def table(self, name: str) -> str:
        """The quoted, schema-qualified name of one of this template's tables."""
        return f'"{self.schema}"."{name}"'
