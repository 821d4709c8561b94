"""The plan as rows: user, attribute, old value, new value, reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braze_pipeline.errors import NotBuilt
from braze_pipeline.ledger.columns import snapshot_rows
from braze_pipeline.ledger.plan_ref import unless_damaged
from braze_pipeline.plan import payload
from braze_pipeline.plan.stored_plans import snapshot_of
from braze_pipeline.storage.masking import mask
from braze_pipeline.storage.replacing import replacing
from braze_pipeline.storage.sql_text import file_literal, literal

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.plan.stored_plans import PlanColumn, PlanSummary
    from braze_pipeline.storage.warehouse import Warehouse


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """One attribute of one user; values of personal data as their shape only."""

    user_id: str
    as_of: date
    attribute: str
    old: str | None
    new: str | None
    reason: str


def rows_sql(warehouse: Warehouse, plan: PlanSummary) -> str:
    """A query over the plan's snapshot: one row per attribute that is sent.

    Columns: request, user_id, as_of, attribute, type, old, new (both JSON text; NULL is null),
    reason (``new user``, ``changed``, ``cleared``, ``left audience``, ``resend``).

    Raises:
        NotBuilt: the snapshot is gone.
    """
    return attributes_sql(plan, source_of(warehouse, plan))


def source_of(warehouse: Warehouse, plan: PlanSummary) -> str:
    """The plan's snapshot, to select from: one row per user.

    Raises:
        NotBuilt: it is gone.
    """
    file = f"read_parquet({file_literal(snapshot_of(warehouse, plan.plan_id))})"
    return snapshot_rows(file, plan.columns, version=plan.version)


def attributes_sql(plan: PlanSummary, source: str) -> str:
    """The query of ``rows_sql`` over some rows of the snapshot."""
    parts = [_attribute(c, source) for c in plan.columns]
    return " UNION ALL ".join(parts) if parts else _NO_ROWS


_NO_ROWS = """
SELECT 0 AS request, '' AS user_id, DATE '1970-01-01' AS as_of, '' AS attribute, '' AS type,
    '' AS old, '' AS new, '' AS reason
WHERE false
"""


def _attribute(c: PlanColumn, source: str) -> str:
    return f"""
        SELECT __request AS request, __user_id AS user_id, __as_of AS as_of,
            {literal(c.name)} AS attribute, {literal(c.type.value)} AS type,
            {payload.value_sql(c.type, c.old)} AS old, {payload.value_sql(c.type, c.new)} AS new,
            CASE
                WHEN __reason IN ('new user', 'left audience') THEN __reason
                WHEN {c.new} IS NOT DISTINCT FROM {c.old} THEN 'resend'
                WHEN {c.new} IS NULL THEN 'cleared'
                ELSE 'changed'
            END AS reason
        FROM {source} WHERE {c.changed}
        """


def export_plan(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, plan: PlanSummary, out: Path
) -> int:
    """Write the rows to a Parquet file, with the real values; how many rows that is.

    Raises:
        NotBuilt: the snapshot is gone or damaged.
        UsageError: the file cannot be written.
    """
    with replacing(out) as draft:
        copy = (
            f"COPY ({rows_sql(warehouse, plan)}) TO {literal(str(draft))} "
            "(FORMAT parquet, USE_TMP_FILE false)"
        )
        return int(_fetched(con, warehouse, plan, copy)[0][0])


def plan_preview(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, plan: PlanSummary, limit: int = 20
) -> list[PlanRow]:
    """The first rows, with personal data masked: for metadata and terminals.

    Raises:
        NotBuilt: the snapshot is gone or damaged.
    """
    pii = {c.name for c in plan.columns if c.pii}
    query = (
        f"SELECT user_id, as_of, attribute, old, new, reason FROM ({rows_sql(warehouse, plan)}) "
        f"ORDER BY request, user_id, attribute LIMIT {limit}"
    )
    return [
        PlanRow(
            user_id=user,
            as_of=as_of,
            attribute=name,
            old=mask(old) if name in pii else old,
            new=mask(new) if name in pii else new,
            reason=reason,
        )
        for user, as_of, name, old, new, reason in _fetched(con, warehouse, plan, query)
    ]


def _fetched(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, plan: PlanSummary, query: str
) -> list[tuple[Any, ...]]:
    snapshot = snapshot_of(warehouse, plan.plan_id)
    rows = unless_damaged(con, snapshot, lambda: con.execute(query).fetchall())
    if rows is None:
        raise NotBuilt(
            f"The snapshot {snapshot} is damaged.",
            fix="Materialize braze_plan again, and send that.",
        )
    return rows
