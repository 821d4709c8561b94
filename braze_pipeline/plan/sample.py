"""A few of a plan's changes, as anybody who can open the UI may see them.

The same plan gives the same rows. Every kind of change that the plan has is shown, however rare,
and as many attributes as have room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from braze_pipeline.plan.rows import attributes_sql, source_of
from braze_pipeline.storage.masking import mask, shortened
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.warehouse import prepare

if TYPE_CHECKING:
    from braze_pipeline.plan.stored_plans import PlanColumn, PlanSummary
    from braze_pipeline.storage.warehouse import Warehouse

SAMPLE_ROWS: Final = 10
_USERS: Final = 3
"""Users looked at for each kind of change, and for each attribute."""


@dataclass(frozen=True, kw_only=True)
class SampleRow:
    """One attribute of one user. The identifier is a mask, and so are values of personal data.

    Attributes:
        change: ``added`` (Braze acknowledged no value yet), ``changed``, ``cleared``, ``leaving``
            (the user left the audience) or ``sent again``.
        old, new: JSON text; None for no value.
    """

    user: str
    attribute: str
    change: str
    old: str | None
    new: str | None


def plan_sample(warehouse: Warehouse, plan: PlanSummary) -> list[SampleRow]:
    """At most ``SAMPLE_ROWS`` changes; none for a plan that sends nothing.

    Raises:
        NotBuilt: the plan's snapshot is gone.
    """
    if not plan.planned_users:
        return []
    import duckdb

    source = source_of(warehouse, plan)
    picked = ", ".join(
        f"min_by(__user_id, hash(__user_id), {_USERS}) FILTER ({where})" for where in _wanted(plan)
    )
    # In memory: the database may be in use by another run.
    with duckdb.connect() as con:
        prepare(con)
        con.execute(
            "CREATE TEMP TABLE picked AS SELECT s.* EXCLUDE (__object, __customer_id) "
            f"FROM {source} s SEMI JOIN (SELECT unnest(flatten([{picked}])) AS user_id "
            f"FROM {source}) u ON u.user_id = s.__user_id"
        )
        found = con.execute(
            read_sql("plan", "sample", rows=attributes_sql(plan, "picked"), limit=SAMPLE_ROWS)
        ).fetchall()
    personal = {column.name for column in plan.columns if column.pii}
    return [
        SampleRow(
            user=mask(user) or "",
            attribute=name,
            change=change,
            old=mask(old) if name in personal else shortened(old),
            new=mask(new) if name in personal else shortened(new),
        )
        for user, name, change, old, new in found
    ]


def _wanted(plan: PlanSummary) -> list[str]:
    """Conditions for users who have a kind of change, and for those who have one of an attribute.

    On a first send all values are added, and no value has to be read to know it.
    """
    if set(plan.reasons) == {"new user"}:
        return ["true"]
    by_kind = zip(*map(_kinds, plan.columns), strict=True)
    return [
        "__reason = 'left audience'",
        *map(" OR ".join, by_kind),
        *(c.changed for c in plan.columns),
    ]


def _kinds(c: PlanColumn) -> tuple[str, ...]:
    """Added, cleared, changed, sent again: as ``sample.sql`` names them."""
    return (
        f"({c.changed} AND {c.old} IS NULL AND {c.new} IS NOT NULL)",
        f"({c.changed} AND {c.old} IS NOT NULL AND {c.new} IS NULL)",
        f"({c.changed} AND {c.old} <> {c.new})",
        f"({c.changed} AND {c.old} IS NOT DISTINCT FROM {c.new})",
    )
