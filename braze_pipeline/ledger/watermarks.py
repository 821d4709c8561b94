"""Watermarks: the newest day that a template evaluated for each user. The stale guard uses them.

A day that found a user unchanged sends nothing, and still an older day must not overwrite what it
found right. So once a plan is carried out, the watermark of every user it looked at advances to
its day. Users of the newest day all carry the same mark (``ledger.CURRENT``); only those who join
or leave are written. Watermarks of users for whom nothing is sent are pending until then.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.ledger.ledger import CURRENT, Ledger, TemplateState, count
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import day_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from braze_pipeline.ledger.plan_ref import PlanRef


def add_pending(con: duckdb.DuckDBPyConnection, plan_id: str, query: str) -> None:
    """Keep the watermarks of a plan that need no acknowledgement, until it is carried out.

    ``query`` gives ``user_id`` and ``as_of``: the day evaluated, or NULL for a user who is no
    longer up to date for the newest day.
    """
    con.execute(
        "INSERT INTO ledger.pending_watermarks (plan_id, user_id, as_of) "
        f"SELECT ?, user_id, as_of FROM ({query})",
        [plan_id],
    )


def drop_pending(con: duckdb.DuckDBPyConnection, plan_ids: Sequence[str]) -> None:
    """These plans are carried out, or never will be."""
    con.execute(
        "DELETE FROM ledger.pending_watermarks WHERE list_contains(?::VARCHAR[], plan_id)",
        [list(plan_ids)],
    )


def evaluated_sql(
    ledger: Ledger, plan: PlanRef, *, old: str, day: str, member: str = "true", done: bool = True
) -> str:
    """The new watermark of a user that the plan evaluated.

    Args:
        ledger: The plan's ledger.
        plan: The plan.
        old: SQL of the watermark before.
        day: SQL of the day evaluated.
        member: SQL: whether the user is in that day's audience.
        done: Every object of the plan has its answer. Before that its day is not the newest yet,
            and the user's own day is written out.
    """
    before = newest_before(ledger, plan)
    if before is not None and plan.newest < before:
        return f"greatest({old}, {day})"
    if before is not None:
        old = f"CASE WHEN {old} = {CURRENT} THEN {day_sql(before)} ELSE {old} END"
    if not done:
        return f"greatest({old}, {day})"
    return (
        f"CASE WHEN {member} AND {day} = {day_sql(plan.newest)} THEN {CURRENT} "
        f"ELSE greatest({old}, {day}) END"
    )


def newest_before(ledger: Ledger, plan: PlanRef) -> date | None:
    """The newest day of the plan's template that was carried out."""
    state = ledger.template(plan.template)
    return state.as_of if state else None


def advance(ledger: Ledger, plan: PlanRef) -> bool:
    """Count the plan's days as evaluated, also for users for whom nothing was sent.

    Call it once every object of the plan has its final answer. Returns whether anything changed.
    """
    before = newest_before(ledger, plan)
    state = ledger.template(plan.template)
    latest = before is None or plan.newest >= before
    moved = 0
    # A plan of the template that was carried out in between has written these marks itself.
    if latest and before is not None and state and state.evaluations == plan.evaluation:
        moved += _keep_day_before(ledger, plan, before)
    moved += _advance_pending(ledger, plan)
    names = [a.name for a in plan.attributes]
    if latest and state:
        _keep_removed(ledger, state, names)
    ledger.con.execute(
        "UPDATE ledger.templates SET evaluations = evaluations + 1, as_of = greatest(as_of, ?), "
        "attributes = CASE WHEN ? THEN ?::VARCHAR[] ELSE attributes END "
        "WHERE ledger = ? AND template = ?",
        [plan.newest, latest, names, plan.ledger, plan.template],
    )
    drop_pending(ledger.con, [plan.plan_id])
    return bool(moved) or before is None or plan.newest > before


def _keep_removed(ledger: Ledger, state: TemplateState, names: Sequence[str]) -> None:
    """Remember until when a template had the attributes that a newer plan does not have."""
    ledger.con.execute(
        "DELETE FROM ledger.removed_attributes WHERE ledger = ? AND template = ? "
        "AND list_contains(?::VARCHAR[], attribute)",
        [ledger.name, state.template, names],
    )
    if state.as_of is not None:
        removed = sorted(set(state.attributes) - set(names))
        ledger.con.execute(
            "INSERT INTO ledger.removed_attributes SELECT ?, ?, unnest(?::VARCHAR[]), ?",
            [ledger.name, state.template, removed, state.as_of],
        )


def _keep_day_before(ledger: Ledger, plan: PlanRef, before: date) -> int:
    """Users who left or were refused; how many there are."""
    query = read_sql(
        "ledger", "left_watermarks", users=ledger.users_table, evaluated=plan.evaluated,
        before=day_sql(before), current=CURRENT,
    )  # fmt: skip
    return count(ledger.con, query, {"plan": plan.plan_id})


def _advance_pending(ledger: Ledger, plan: PlanRef) -> int:
    """Users who are up to date though nothing was sent; how many there are."""
    query = read_sql(
        "ledger",
        "pending_watermarks",
        users=ledger.users_table,
        evaluated=plan.evaluated,
        of_known=evaluated_sql(ledger, plan, old=f"l.{plan.evaluated}", day="m.as_of"),
        of_unknown=evaluated_sql(ledger, plan, old="NULL::DATE", day="m.as_of"),
    )
    return count(ledger.con, query, {"plan": plan.plan_id})
