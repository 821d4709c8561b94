"""Columns of the assets as the UI shows them: their types, and what each is made from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg

from braze_pipeline.audience.build import columns_read
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.storage.warehouse import name_key

if TYPE_CHECKING:
    from braze_pipeline.attributes.build import AttributesSummary
    from braze_pipeline.attributes.lineage import Origins
    from braze_pipeline.plan.stored_plans import PlanColumn
    from braze_pipeline.settings import AttributeSettings, TemplateSettings

SCHEMA = "dagster/column_schema"
LINEAGE = "dagster/column_lineage"

Metadata = dict[str, dg.TableSchema | dg.TableColumnLineage]

_AUDIENCE = (
    ("customer_id", "VARCHAR", "who"),
    ("left_out_by", "VARCHAR", "the first rule that excluded them; null: in the audience"),
    ("groups", "VARCHAR[]", "recipient groups of a campaign"),
)
_PLAN = (
    ("request", "INTEGER", "the request that it goes out with"),
    ("user_id", "VARCHAR", "the user identifier"),
    ("as_of", "DATE", "the day whose value it is"),
    ("attribute", "VARCHAR", "the Braze name"),
    ("type", "VARCHAR", "its type in Braze"),
    ("old", "JSON", "what Braze acknowledged last"),
    ("new", "JSON", "what is to be sent"),
    ("reason", "VARCHAR", "new user, changed, cleared, left audience, resend"),
)


def source(name: str) -> Metadata:
    """The columns that a source table has or may have; others pass through."""
    return {
        SCHEMA: described(
            (column.name, column.type, "optional" if column.optional else "")
            for column in TABLES[name].columns
        )
    }


def attributes(t: TemplateSettings, day: AttributesSummary, origins: Origins) -> Metadata:
    """The brand's own columns, from the columns of the source tables.

    The lineage is told in the descriptions too: Dagster's own UI does not draw it by column.
    """
    keys = TemplateKeys.of(t)
    return {
        SCHEMA: described(
            (
                name,
                kind,
                _from(f"{table}.{column}" for table, column in origins.get(name_key(name), ())),
            )
            for name, kind in day.columns
        ),
        LINEAGE: dg.TableColumnLineage(
            {
                name: [dg.TableColumnDep(keys.source(table), column) for table, column in found]
                for name, _ in day.columns
                if (found := origins.get(name_key(name)))
            }
        ),
    }


def audience(t: TemplateSettings) -> Metadata:
    """Who is in and who is not, from the columns that the rules read."""
    source = TemplateKeys.of(t).attributes
    return {
        SCHEMA: described(_AUDIENCE),
        LINEAGE: dg.TableColumnLineage(
            {
                "customer_id": [dg.TableColumnDep(source, CUSTOMER)],
                "left_out_by": [
                    dg.TableColumnDep(source, column) for column in columns_read(t.audience)
                ],
            }
        ),
    }


def profiles(t: TemplateSettings) -> Metadata:
    """Each Braze name, from the columns of the customer attributes table."""
    source = TemplateKeys.of(t).attributes
    country = next((a.column for a in t.attributes if a.is_field and a.name == "country"), None)
    return {
        SCHEMA: described(
            (a.name, a.type.value, f"from {a.column}{', personal data' if a.pii else ''}")
            for a in t.attributes
        ),
        LINEAGE: dg.TableColumnLineage(
            {
                a.name: [
                    dg.TableColumnDep(source, column)
                    for column in dict.fromkeys((a.column, _region_of(a, country)))
                    if column
                ]
                for a in t.attributes
            }
        ),
    }


def _region_of(attribute: AttributeSettings, country: str | None) -> str | None:
    """A phone is read by its country: the column named for that, else the country field's."""
    if not (attribute.is_field and attribute.name == "phone"):
        return attribute.region_column
    return attribute.region_column or country


def plan(t: TemplateSettings) -> Metadata:
    """One row an attribute that changes: new from the profiles, old from the ledger."""
    keys = TemplateKeys.of(t)
    names = [a.name for a in t.attributes]
    return {
        SCHEMA: described(_PLAN),
        LINEAGE: dg.TableColumnLineage(
            {
                "new": [dg.TableColumnDep(keys.profiles, name) for name in names],
                "old": [dg.TableColumnDep(keys.ledger, name) for name in names],
            }
        ),
    }


def ledger(t: TemplateSettings, columns: Iterable[PlanColumn]) -> Metadata:
    """What Braze acknowledged, from the plan that was carried out."""
    found = list(columns)
    dep = [dg.TableColumnDep(TemplateKeys.of(t).plan, "new")]
    return {
        SCHEMA: plain([("user_id", "VARCHAR"), *((c.name, c.type.value) for c in found)]),
        LINEAGE: dg.TableColumnLineage({c.name: dep for c in found}),
    }


def _from(sources: Iterable[str]) -> str:
    named = ", ".join(sources)
    return f"from {named}" if named else ""


def plain(columns: Iterable[tuple[str, str]]) -> dg.TableSchema:
    """A schema of names and types."""
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns])


def described(columns: Iterable[tuple[str, str, str]]) -> dg.TableSchema:
    """A schema of names, types and what each means."""
    return dg.TableSchema(
        [dg.TableColumn(name, kind, description=text) for name, kind, text in columns]
    )
