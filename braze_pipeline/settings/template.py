"""One data template: who receives what, and the guards before a send."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from braze_pipeline.settings.destination import DestinationSettings
from braze_pipeline.settings.places import Connection
from braze_pipeline.settings.project import ProjectSettings, ScheduleSettings
from braze_pipeline.settings.section import CHOICE, Count, Expected, Ratio, Section, Share, Slug
from braze_pipeline.settings.sources import SourceSettings
from braze_pipeline.settings.values import CUSTOMER, Json, ValueType

Channel = Annotated[Literal["email", "sms"], CHOICE]


class HighValue(Section):
    """A customer is high value if any one of these applies."""

    lifetime_value: Annotated[float, Field(ge=0)] | None = None
    """Historical value of at least this amount."""
    top_percent: Annotated[float, Field(gt=0, le=100)] | None = None
    """Among the top percent by historical value."""
    predicted_value: Annotated[float, Field(ge=0)] | None = None
    """Predicted value of at least this amount."""


class Active(Section):
    """Bought recently."""

    within_days: Count = 365
    """The last order is at most this many days before the as-of date."""


class Contactable(Section):
    """Opted in, and with an address to be reached at."""

    by: Annotated[tuple[Channel, ...], Field(min_length=1)] = ("email", "sms")
    """At least one of these channels."""


_Where = Annotated[
    str,
    Field(min_length=1),
    Expected("Expected a SQL condition in quotes. For no condition, remove this key."),
]
RULES: Final = ("high_value", "active", "contactable")
"""The rules that the package knows, in the order in which they are applied."""
Rule = Annotated[Literal["high_value", "active", "contactable"], CHOICE]


class AudienceRules(Section):
    """Who is in the audience: whoever passes every rule. `all` instead of this: everybody."""

    rules: tuple[Rule, ...] = RULES
    """Which rules apply; by default high value AND active AND contactable."""
    high_value: HighValue = HighValue()
    """What makes a customer high value."""
    active: Active = Active()
    """What makes a customer active."""
    contactable: Contactable = Contactable()
    """What makes a customer contactable."""
    where: _Where | None = None
    """A rule of your own: a SQL condition over the customer attributes table."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """With the word `all`, which stands for everybody."""
        return {
            "anyOf": [super().__get_pydantic_json_schema__(core_schema, handler), {"const": "all"}]
        }

    @model_validator(mode="before")
    @classmethod
    def _everybody(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the YAML contains
        if isinstance(data, str) and data != "all":
            raise ValueError("Expected `all`, or the keys `rules` and `where`.")
        return {"rules": ()} if data == "all" else data

    @property
    def names(self) -> tuple[str, ...]:
        """The rules that apply, in order."""
        own = ("where",) if self.where else ()
        return (*(rule for rule in RULES if rule in self.rules), *own)


class AttributeOptions(Section):
    """How one column is sent to Braze."""

    column: str
    """The column of the customer attributes table."""
    required: bool = False
    """A customer whose value is missing or rejected here is not sent at all."""
    precision: Annotated[int, Field(ge=0, le=12)] | None = None
    """Decimal places to round a float to, half up: 629.925 to 629.93. Default: not rounded."""
    array_as: Annotated[Literal["list", "set"], CHOICE] = "list"
    """Whether order counts in an array (`list`) or not (`set`: sorted, without duplicates)."""
    send_null: bool = True
    """When the value becomes null, clear it in Braze (once)."""
    region_column: str | None = None
    """For `phone`: the column with the country of national numbers. Default: the column sent as
    `country`."""
    date_order: Annotated[Literal["dmy", "mdy", "reject"], CHOICE] = "reject"
    """How to read 03/04/1990: day first, month first, or `reject` it as ambiguous."""


class AttributeSettings(AttributeOptions):
    """One column that goes to Braze, under one name.

    Attributes:
        name: The Braze name: a profile field, or a custom attribute under the brand's own name.
        type: Its type in Braze.
        is_field: Whether ``name`` is a profile field (else a custom attribute).
        pii: Whether values are personal data: masked wherever shown.
        pii_undecided: Neither the template nor a name decides it: ``pii`` stays true until the
            lineage of the SQL shows that it is not personal (``attributes.personal``).
        on_leave: What happens to it when the user leaves the audience.
        leave_value: The value to set on leave, for ``on_leave="set"``.
    """

    name: str
    type: ValueType
    is_field: bool
    pii: bool
    pii_undecided: bool = False
    on_leave: Literal["keep", "clear", "set"] = "keep"
    leave_value: Json = None


class RecipientGroup(Section):
    """A part of a campaign's audience with its own attribute list."""

    name: str
    """Shown in the UI."""
    where: str
    """A SQL condition over the customer attributes table."""
    attributes: tuple[str, ...]
    """Braze names that are sent for this group, including the user identifier."""


class Guards(Section):
    """When a plan is stopped before anything is sent. `null` switches a guard off."""

    min_audience_share: Share | None = 0.5
    """Smallest audience, as a share of the last good run's."""
    max_audience_share: Ratio | None = 2.0
    """Largest audience, as a share of the last good run's; below 50."""
    max_changed_share: Share | None = 0.8
    """Largest share of profiles in the ledger that may change at once."""
    max_null_share_rise: Share | None = 0.3
    """Largest rise in an attribute's share of nulls: 0.3 is 30 percentage points."""
    max_rejected_share: Share | None = 0.1
    """Largest share of the audience that may be rejected."""
    max_new_attributes: Count | None = 20
    """Most attribute names that may be created in Braze at once, after the first send."""
    max_missing_share: Share | None = 0.5
    """Largest share of the custom attributes that Braze had before and does not have now. More
    means that the API key probably belongs to another workspace."""
    max_data_points: Count | None = None
    """Largest forecast of billable data points."""
    max_requests: Count | None = None
    """Largest forecast of requests."""
    min_users: Count = 100
    """Shares are ignored below this many users: small numbers vary too much."""


class TemplateOptions(Section):
    """What a template says in the same form in ``defs.yaml`` and at run time."""

    name: Slug
    """Lower-case letters, digits and underscores."""
    description: str = ""
    """Shown in the UI, with the daily job and the send."""
    kind: Annotated[Literal["orchestration", "campaign"], CHOICE] = "orchestration"
    """`orchestration` (one attribute list) or `campaign` (recipient groups)."""
    audience: AudienceRules = AudienceRules()
    """Which customers are sent."""
    restricted_pii: bool = False
    """Personal attributes are neither shown nor sent, whatever `pii` says."""
    default_region: str | None = None
    """Country of national phone numbers for customers without one, such as `GB`."""
    guards: Guards = Guards()
    """When a plan is stopped before anything is sent."""


class TemplateSettings(TemplateOptions, ProjectSettings):
    """One data template with its destination's settings already merged in.

    Attributes:
        db_schema: DuckDB schema that contains this template's tables.
        key_prefix: Prefix of its asset keys; empty for the first template.
        attributes_sql: The SQL file that defines the customer attributes table.
        run_in: The warehouse that runs the SQL and the audience's rules; None: DuckDB does.
        folder: The folder of its ``defs.yaml``.
        predicts: Its SQL reads ``predictions``, and these are computed (``predicted_value``),
            unless a table of the brand's own lies in the folder of the sources when it runs.
        identifier_column: The column with the value of ``destination.identifier``.
        missing_identifier: Where and why the configuration would send no identifier; empty if it
            is complete. Every run fails with it (``profiles.identifier``).
        attributes: In order; names are unique regardless of case and spacing.
        dropped: Columns of attributes that were configured but are never sent (consent).
        withheld: Names of personal attributes that `restricted_pii` keeps from being sent.
        personal_columns: Columns that some template over this SQL sends as personal data.
        groups: Recipient groups of a campaign; empty for an orchestration.
        owners: Who is responsible (an e-mail address, or ``team:name``), shown in the UI.
        schedule: When it runs by itself; None: only on request.
    """

    destination: DestinationSettings
    db_schema: str
    attributes_sql: Path
    sources: tuple[SourceSettings, ...]
    attributes: tuple[AttributeSettings, ...]
    folder: Path = Path()
    run_in: Connection | None = None
    predicts: bool = False
    identifier_column: str = CUSTOMER
    missing_identifier: str = ""
    key_prefix: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    personal_columns: tuple[str, ...] = ()
    groups: tuple[RecipientGroup, ...] = ()
    owners: tuple[str, ...] = ()
    schedule: ScheduleSettings | None = None

    def table(self, name: str) -> str:
        """The quoted, schema-qualified name of one of this template's tables."""
        return f'"{self.db_schema}"."{name}"'
