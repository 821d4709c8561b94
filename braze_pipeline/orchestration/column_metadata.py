"""Columns of the assets as the UI shows them: their types, and what each is made from.

What belongs here: column schemas and column lineage. Counts and charts are in ``metadata``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from braze_pipeline.audience.build import columns_read
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.settings import CUSTOMER, PREDICTIONS
from braze_pipeline.sources.typed_tables import contract_of
from braze_pipeline.storage.sql_text import name_key

if TYPE_CHECKING:
    from braze_pipeline.attributes.lineage import Origins
    from braze_pipeline.attributes.result import AttributesSummary
    from braze_pipeline.plan.stored_plans import PlanColumn
    from braze_pipeline.settings import TemplateSettings

SCHEMA = "dagster/column_schema"
LINEAGE = "dagster/column_lineage"

Metadata = dict[str, dg.TableSchema | dg.TableColumnLineage]

_AUDIENCE = (
    ("customer_id", "VARCHAR", "the customer"),
    ("left_out_by", "VARCHAR", "the first rule that excluded them; null: in the audience"),
    ("groups", "VARCHAR[]", "recipient groups of a campaign"),
)
_PLAN = (
    ("request", "INTEGER", "the request that sends it"),
    ("user_id", "VARCHAR", "the user identifier"),
    ("as_of", "DATE", "the as-of date of the new value"),
    ("attribute", "VARCHAR", "the Braze name"),
    ("type", "VARCHAR", "its type in Braze"),
    ("old", "JSON", "the value that Braze acknowledged last"),
    ("new", "JSON", "the value to send"),
    ("reason", "VARCHAR", "new user, changed, cleared, left audience, resend"),
)


def source(name: str) -> Metadata:
    """The columns that a source table has or may have; others pass through."""
    columns = contract_of(name).columns
    found = schema((c.name, c.type, "optional" if c.optional else "") for c in columns)
    return {SCHEMA: found} if columns else {}


def predictions(t: TemplateSettings) -> Metadata:
    """The columns of computed predictions, which all come from the orders."""
    orders = [c.name for c in contract_of("orders").columns if not c.name.startswith("product")]
    names = [c.name for c in contract_of(PREDICTIONS).columns]
    lineage = _from_asset(TemplateKeys.of(t).source("orders"), dict.fromkeys(names, orders))
    return {
        SCHEMA: schema((c.name, c.type) for c in contract_of(PREDICTIONS).columns),
        LINEAGE: lineage,
    }


def attributes(t: TemplateSettings, day: AttributesSummary, origins: Origins) -> Metadata:
    """The brand's own columns, from the columns of the source tables.

    The descriptions name these too, because Dagster's own UI does not draw lineage by column.
    """
    keys = TemplateKeys.of(t)
    found = {name: origins.get(name_key(name), ()) for name, _ in day.columns}
    made_from = {
        name: ", ".join(f"{table}.{column}" for table, column in sources)
        for name, sources in found.items()
    }
    return {
        SCHEMA: schema(
            (name, kind, f"from {made_from[name]}" if made_from[name] else "")
            for name, kind in day.columns
        ),
        LINEAGE: dg.TableColumnLineage(
            {
                name: [dg.TableColumnDep(keys.source(table), column) for table, column in sources]
                for name, sources in found.items()
                if sources
            }
        ),
    }


def audience(t: TemplateSettings) -> Metadata:
    """Who is in the audience and who is not, from the columns that the rules read."""
    return {
        SCHEMA: schema(_AUDIENCE),
        LINEAGE: _from_asset(
            TemplateKeys.of(t).attributes,
            {"customer_id": [CUSTOMER], "left_out_by": columns_read(t.audience)},
        ),
    }


def profiles(t: TemplateSettings) -> Metadata:
    """Each Braze name, from the columns of the customer attributes table."""
    read = {a.name: dict.fromkeys((a.column, a.region_column)) for a in t.attributes}
    return {
        SCHEMA: schema(
            (a.name, a.type.value, f"from {a.column}{', personal data' if a.pii else ''}")
            for a in t.attributes
        ),
        LINEAGE: _from_asset(
            TemplateKeys.of(t).attributes,
            {name: filter(None, columns) for name, columns in read.items()},
        ),
    }


def plan(t: TemplateSettings) -> Metadata:
    """One row per attribute that changes: new from the profiles, old from the ledger."""
    keys = TemplateKeys.of(t)
    names = [a.name for a in t.attributes]
    return {
        SCHEMA: schema(_PLAN),
        LINEAGE: dg.TableColumnLineage(
            {
                "new": [dg.TableColumnDep(keys.profiles, name) for name in names],
                "old": [dg.TableColumnDep(keys.ledger, name) for name in names],
            }
        ),
    }


def ledger(t: TemplateSettings, columns: Iterable[PlanColumn]) -> Metadata:
    """What Braze acknowledged, from the plan that was carried out."""
    types = {c.name: c.type.value for c in columns}
    return {
        SCHEMA: schema([("user_id", "VARCHAR"), *types.items()]),
        LINEAGE: _from_asset(TemplateKeys.of(t).plan, {name: ["new"] for name in types}),
    }


def _from_asset(key: dg.AssetKey, columns: Mapping[str, Iterable[str]]) -> dg.TableColumnLineage:
    """The lineage of columns that come from columns of one asset."""
    return dg.TableColumnLineage(
        {name: [dg.TableColumnDep(key, one) for one in read] for name, read in columns.items()}
    )


def schema(columns: Iterable[tuple[str, str] | tuple[str, str, str]]) -> dg.TableSchema:
    """A schema of columns: name, type, and a description where there is one."""
    return dg.TableSchema([dg.TableColumn(*column) for column in columns])
