"""A template over a customer attributes table made by the test, for tests of the profiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.profiles import ProfilesSummary, build_profiles
from braze_pipeline.settings import (
    CUSTOMER,
    AttributeSettings,
    AudienceRules,
    DestinationSettings,
    TemplateSettings,
    ValueType,
)
from braze_pipeline.storage import migrations
from braze_pipeline.storage.partitions import replace_partition
from braze_pipeline.storage.sql_text import literal, quote
from braze_pipeline.storage.warehouse import prepare

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb
    import pyarrow as pa

DAY = date(2011, 11, 1)
NOW = datetime(2011, 11, 2, 3, 30)  # noqa: DTZ001 - tables hold UTC without a time zone


def field_of(name: str, *, column: str | None = None, **more: Any) -> AttributeSettings:
    """A column mapped to a profile field."""
    given: dict[str, Any] = {
        "column": column or name,
        "name": name,
        "type": FIELDS[name].type,
        "is_field": True,
        "pii": FIELDS[name].pii,
    }
    return AttributeSettings(**(given | more))


def custom(
    name: str, type_: ValueType, *, column: str | None = None, **more: Any
) -> AttributeSettings:
    """A column mapped to a custom attribute."""
    given: dict[str, Any] = {
        "column": column or name,
        "name": name,
        "type": type_,
        "is_field": False,
        "pii": False,
    }
    return AttributeSettings(**(given | more))


def template(*attributes: AttributeSettings, **more: Any) -> TemplateSettings:
    """A template of these attributes."""
    given: dict[str, Any] = {
        "name": "loyal",
        "destination": DestinationSettings(name="braze", endpoint="http://127.0.0.1:1"),
        "db_schema": "loyal",
        "attributes_sql": Path("customer_attributes.sql"),
        "sources": (),
        "audience": AudienceRules(),
        "attributes": attributes,
        "default_region": None,
    }
    return TemplateSettings(**(given | more))


@dataclass
class World:
    """A connection, and what was built on it.

    Attributes:
        con: A connection to a real DuckDB file.
        groups: Recipient groups by customer, for campaigns.
    """

    con: duckdb.DuckDBPyConnection
    groups: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        prepare(self.con)
        migrations.upgrade(self.con, "memory")

    def give(self, t: TemplateSettings, rows: pa.Table | str, day: date = DAY) -> None:
        """Make a day's customer attributes and audience from rows or a query."""
        query = rows
        if not isinstance(rows, str):
            self.con.register("__given", rows)
            query = "SELECT * FROM __given"
        self.con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(t.db_schema)}")
        attributes, audience = t.table("customer_attributes"), t.table("audience")
        self.con.execute(
            f"CREATE OR REPLACE TABLE {attributes} AS SELECT ?::DATE AS __as_of, * FROM ({query})",
            [day],
        )
        self.con.execute(
            f"CREATE OR REPLACE TABLE {audience} AS SELECT __as_of, "
            f"{CUSTOMER}::VARCHAR AS customer_id, "
            f"NULL::VARCHAR AS left_out_by, []::VARCHAR[] AS groups FROM {attributes}"
        )
        for customer, groups in self.groups.items():
            self.con.execute(
                f"UPDATE {audience} SET groups = ? WHERE customer_id = ?", [groups, customer]
            )

    def write(
        self,
        t: TemplateSettings,
        rows: pa.Table | str,
        day: date = DAY,
        *,
        members: Iterable[str] | None = None,
    ) -> None:
        """Write a day's customer attributes and audience as the steps before do."""
        if not isinstance(rows, str):
            self.con.register("__rows", rows)
            rows = "SELECT * FROM __rows"
        replace_partition(self.con, t, "customer_attributes", day, rows)
        self.write_audience(t, day, members=members)

    def write_audience(
        self, t: TemplateSettings, day: date = DAY, *, members: Iterable[str] | None = None
    ) -> None:
        """Write a day's audience: all customers, or some."""
        inside = "true" if members is None else f"{CUSTOMER} IN ({_texts(members)})"
        cases = "".join(
            f" WHEN {CUSTOMER} = {literal(customer)} THEN [{_texts(groups)}]"
            for customer, groups in self.groups.items()
        )
        groups = f"CASE {cases or 'WHEN false THEN NULL'} ELSE [] END"
        replace_partition(
            self.con,
            t,
            "audience",
            day,
            f"SELECT {CUSTOMER}::VARCHAR AS customer_id, CASE WHEN NOT ({inside}) THEN 'where' END "
            f"AS left_out_by, ({groups})::VARCHAR[] AS groups "
            f"FROM {t.table('customer_attributes')} WHERE __as_of = DATE '{day}'",
        )

    def build(self, t: TemplateSettings, day: date = DAY) -> ProfilesSummary:
        """The profiles of a day."""
        return build_profiles(self.con, t, day, run_id="run", now=NOW)

    def profiles(self, t: TemplateSettings, day: date = DAY) -> dict[str, dict[str, Any]]:
        """The day's profiles by user, as Python values."""
        result = self.con.execute(
            f"SELECT * EXCLUDE (__as_of) FROM {t.table('profiles')} WHERE __as_of = ?", [day]
        )
        names = [str(column[0]) for column in result.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        return {row["__user_id"]: row for row in rows}

    def rejections(self) -> list[tuple[str | None, str | None, str]]:
        """Customer, attribute and reason of each rejection, in order."""
        return self.con.execute(
            "SELECT customer_id, attribute, reason FROM records.rejections ORDER BY ALL"
        ).fetchall()

    def reasons(self, attribute: str) -> dict[str, str]:
        """Why each customer's value of an attribute was rejected."""
        return {
            str(customer): reason
            for customer, name, reason in self.rejections()
            if name == attribute
        }


def _texts(values: Iterable[str]) -> str:
    return ", ".join(map(literal, values)) or "NULL"
