"""The schema of ``defs.yaml``: one destination, its sources and its data templates.

Most of it is ``braze_pipeline.settings``. Here is what only the file has; ``resolve`` turns it into
settings. The text under each key is what the schema, ``dg check yaml`` and editors show.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, JsonValue, model_validator
from pydantic_core import CoreSchema

from braze_pipeline.config.contract import check_contract
from braze_pipeline.config.environment import fill
from braze_pipeline.settings.destination import Identifier, SendOptions, SendsTo, WorkspaceOptions
from braze_pipeline.settings.places import ConnectionConfig
from braze_pipeline.settings.project import ProjectSettings
from braze_pipeline.settings.section import CHOICE, Choice, Expected, Section, Slug, at_key
from braze_pipeline.settings.sources import SourceConfig
from braze_pipeline.settings.template import AttributeOptions, RecipientGroup, TemplateOptions
from braze_pipeline.settings.values import ValueType

Owner = Annotated[
    str,
    Field(pattern=r"^(team:[\w.-]+|[^@\s]+@[^@\s]+\.[^@\s]+)$"),
    Expected("Expected an e-mail address, or `team:name`."),
]


TableName = Annotated[
    str,
    Field(pattern=r"^_?[A-Za-z]\w{0,62}$"),
    Expected("Expected a name that SQL needs no quotes for: letters, digits and underscores."),
]


class DestinationConfig(SendOptions, WorkspaceOptions):
    """One Braze workspace."""

    empty_is_default = frozenset(
        {*WorkspaceOptions.model_fields, *SendOptions.model_fields, "endpoint"}
        # Where these are blank, something was meant: the default would be another ledger or key.
        - {"name", "description", "api_key_env"}
    )

    owners: tuple[Owner, ...] = ()
    """Who is responsible: e-mail addresses, or `team:name`."""
    rest_endpoint: str | None = None
    """The REST endpoint itself, if the instance is not in the package's list."""
    allow_other_host: bool = False
    """Allow sending the API key to a host that is neither a known Braze instance's nor this
    machine: a newer instance, your own proxy or a test server."""
    user_identifier: Identifier | None = None
    """`external_id` (recommended) or `braze_id`. Needed here, or in each template."""
    endpoint: SendsTo = "track"
    """`track` (`/users/track`), `bulk` (`/users/track/bulk`, 1,000 users a request, permission
    users.track.bulk) or `auto`: bulk where the key may and a large plan takes less time."""

    @model_validator(mode="after")
    def _limits_of_the_contract(self) -> DestinationConfig:
        written = self.rate_limit if "rate_limit" in self.model_fields_set else None
        check_contract(self.contract, written, self.pricing)
        return self


class OnLeave(Section):
    """What an attribute is set to when a user leaves the audience."""

    set: JsonValue
    """The value to set, written like a value of the column."""


class AttributeConfig(AttributeOptions):
    """One column that goes to Braze."""

    braze_name: str | None = Field(default=None, alias="as")
    """The Braze name: a profile field, or a custom attribute under your own name."""
    custom: bool = False
    """A custom attribute, although its name is close to a profile field's (`Location`)."""
    type: Annotated[ValueType, CHOICE] | None = None
    """Required for custom attributes. Profile fields have a fixed type. An empty `array_of_objects`
    is not sent as the first value of an attribute: Braze would take the attribute for a plain
    array."""
    pii: bool | None = None
    """Personal data: masked wherever shown. By default, an attribute is personal if it is a profile
    field, if its column feeds one or is named like one, or if the SQL makes it from such a
    column."""
    on_leave: Annotated[Literal["keep", "clear"], Choice(("{set: VALUE}",))] | OnLeave = "keep"
    """When the user leaves the audience: `keep`, `clear`, or `{set: VALUE}`."""


class TemplateConfig(SendOptions, TemplateOptions):
    """One data template: what goes to the destination."""

    empty_is_default = frozenset({*SendOptions.model_fields, "endpoint"})

    attributes_sql: str = "customer_attributes.sql"
    """The SQL file that defines the customer attributes table, relative to this file."""
    run_in: str | None = None
    """A database under `connections:` that runs `attributes_sql` in its own dialect, and applies
    the rules of the audience: only the audience's rows and the numbers of the others leave it."""
    identifier_column: str | None = None
    """Column with the user identifier (default: customer_id, or braze_id)."""
    attributes: list[AttributeConfig]
    """What is sent."""
    recipient_groups: tuple[RecipientGroup, ...] = ()
    """For `kind: campaign`."""
    user_identifier: Identifier | None = None
    """Overrides the destination's."""
    endpoint: SendsTo | None = None
    """Overrides the destination's."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Without defaults of its own for what the destination decides."""
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for name in SendOptions.model_fields:
            properties[name]["description"] += " Overrides the destination's."
            for option in (properties[name], *properties[name]["anyOf"]):
                option.pop("default", None)
        return schema


class PipelineConfig(ProjectSettings):
    """A Braze destination with its data templates."""

    destination: DestinationConfig
    """The Braze workspace that is sent to."""
    connections: dict[Slug, ConnectionConfig] = Field(default_factory=dict)
    """Databases that source tables are read from, each under a name of your own."""
    sources: dict[TableName, SourceConfig] = Field(default_factory=dict)
    """The source tables, each under the name that the SQL reads it by. `customers`, `orders`,
    `consents` and `predictions` that are not named here are read from the folder
    BRAZE_PIPELINE_SOURCES."""
    templates: Annotated[list[TemplateConfig], Field(min_length=1)]
    """At least one."""

    @model_validator(mode="before")
    @classmethod
    def _environment(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the YAML contains
        return fill(data)

    @model_validator(mode="after")
    def _automation_has_sources(self) -> PipelineConfig:
        if self.automation is None:
            return self
        if not any(source.asset_key for source in self.sources.values()):
            raise at_key(
                "`automation` needs to know which of your assets write the source tables. Name "
                "each under `sources:` with `asset_key`.",
                "automation",
            )
        if self.schedule is not None and self.schedule.lag_days:
            raise at_key(
                "`lag_days` waits for late data, and with `automation` a run starts when the data "
                "has arrived. Remove one of the two.",
                "schedule",
                "lag_days",
            )
        return self
