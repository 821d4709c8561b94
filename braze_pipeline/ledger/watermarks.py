"""Which day of a template each user was last evaluated for: what the stale guard goes by.

A day that found a user unchanged sends nothing, and still an older day must not overwrite what it
found right. So once a plan is carried out, every user it looked at counts as evaluated for its
day. Users of the newest day all carry the same mark (``tables.CURRENT``); only those who join or
leave are written.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.ledger import tables
from braze_pipeline.ledger.tables import CURRENT

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.plan_ref import PlanRef


def carried_out(con: duckdb.DuckDBPyConnection, plan: PlanRef) -> tuple[date | None, int]:
    """The newest day of the plan's template that was carried out, and how many were."""
    row = con.execute(
        "SELECT as_of, evaluations FROM ledger.templates WHERE ledger = ? AND template = ?",
        [plan.ledger, plan.template],
    ).fetchone()
    return (row[0], row[1]) if row else (None, 0)


def seen_sql(
    con: duckdb.DuckDBPyConnection, plan: PlanRef, *, member: str, day: str, done: bool
) -> str:
    """The new s{j} of an evaluated user, with ``{old}`` for the present one.

    While the plan is not wholly carried out, its day is not the newest yet, and the user's own
    day is written out.
    """
    before, _ = carried_out(con, plan)
    newest = _sql(plan.days[-1])
    if before is not None and plan.days[-1] < before:
        return f"greatest({{old}}, {day})"
    old = "{old}"
    if before is not None:
        old = f"CASE WHEN {{old}} = {CURRENT} THEN {_sql(before)} ELSE {{old}} END"
    if not done:
        return f"greatest({old}, {day})"
    return f"CASE WHEN {member} AND {day} = {newest} THEN {CURRENT} ELSE greatest({old}, {day}) END"


def settle(con: duckdb.DuckDBPyConnection, plan: PlanRef) -> bool:
    """Count the plan's days as evaluated, for users that needed nothing too.

    Call it once every object of the plan has its final answer. Returns whether anything changed.
    """
    before, evaluations = carried_out(con, plan)
    latest = before is None or plan.days[-1] >= before
    moved = 0
    if latest and before is not None and evaluations == plan.evaluation:
        moved += _no_longer(con, plan, before)
    moved += _evaluated(con, plan)
    names = [name for _, name, _ in plan.columns]
    con.execute(
        "UPDATE ledger.templates SET evaluations = evaluations + 1, as_of = greatest(as_of, ?), "
        "attributes = CASE WHEN ? THEN ?::VARCHAR[] ELSE attributes END "
        "WHERE ledger = ? AND template = ?",
        [plan.days[-1], latest, names, plan.ledger, plan.template],
    )
    con.execute("DELETE FROM ledger.unsettled WHERE plan_id = ?", [plan.plan_id])
    return bool(moved) or before is None or plan.days[-1] > before


def _no_longer(con: duckdb.DuckDBPyConnection, plan: PlanRef, before: date) -> int:
    """Users who left or were refused keep the day before: they are not up to date for this."""
    return tables.count(
        con,
        f"UPDATE {tables.wide(plan.ledger)} SET s{plan.template_no} = {_sql(before)} "
        f"WHERE s{plan.template_no} = {CURRENT} AND user_id IN ("
        "SELECT user_id FROM ledger.unsettled WHERE plan_id = ? AND as_of IS NULL UNION ALL "
        "SELECT user_id FROM ledger.refused WHERE plan_id = ?)",
        [plan.plan_id, plan.plan_id],
    )


def _evaluated(con: duckdb.DuckDBPyConnection, plan: PlanRef) -> int:
    j = plan.template_no
    seen = seen_sql(con, plan, member="true", day="m.as_of", done=True)
    return tables.count(
        con,
        f"MERGE INTO {tables.wide(plan.ledger)} l USING (SELECT user_id, as_of "
        "FROM ledger.unsettled WHERE plan_id = ? AND as_of IS NOT NULL) m "
        "ON l.user_id = m.user_id "
        f"WHEN MATCHED THEN UPDATE SET s{j} = {seen.format(old=f'l.s{j}')} "
        f"WHEN NOT MATCHED THEN INSERT (user_id, s{j}) VALUES (m.user_id, "
        f"{seen.format(old='NULL::DATE')})",
        [plan.plan_id],
    )


def _sql(day: date) -> str:
    return f"DATE '{day.isoformat()}'"
