"""What may be in Braze without our knowing: objects of a send that ended without their answer.

A request in flight when the process is killed, or one that timed out, may have been carried out.
The ledger then still says what was before. If the customer's value goes back to just that, a plain
comparison finds nothing to send, and Braze keeps the value of the lost request for good. So the
attributes of unanswered objects are in doubt: the next plan sends them whatever the ledger says,
and an acknowledgement of them ends the doubt. Most of them differ anyway, so this costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.ledger import tables
from braze_pipeline.ledger.journal_tables import ANSWERED

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.plan_ref import PlanRef


def doubt(con: duckdb.DuckDBPyConnection, plan: PlanRef, *, done: bool) -> bool:
    """Bring a plan's doubts up to date; none once every object has its answer.

    Returns whether there are any now. Call it when a send has brought something new: a doubt that
    a later plan ended must not come back.
    """
    con.execute("DELETE FROM ledger.doubts WHERE plan_id = ?", [plan.plan_id])
    if done:
        return False
    rows = tables.count(
        con,
        "INSERT INTO ledger.doubts (ledger, plan_id, user_id, columns) "
        f"SELECT ?, ?, s.__user_id, {_sent(plan, 's')} FROM {plan.rows} s "
        f"WHERE NOT EXISTS (SELECT 1 FROM {ANSWERED} a "
        "WHERE a.request_no = s.__request AND s.__index >= a.first_index "
        "AND s.__index < a.first_index + a.count)",
        [plan.ledger, plan.plan_id],
    )
    return rows > 0


def resolve(con: duckdb.DuckDBPyConnection, plan: PlanRef, accepted: str) -> None:
    """End the doubts about what was accepted now (a table of accepted snapshot rows)."""
    if not tables.count(con, "SELECT count(*) FROM ledger.doubts WHERE ledger = ?", [plan.ledger]):
        return
    con.execute(
        "UPDATE ledger.doubts d SET columns = list_filter(d.columns, lambda k: "
        f"NOT list_contains(n.sent, k)) FROM (SELECT __user_id, {_sent(plan, 's')} AS sent "
        f"FROM {accepted} s) n WHERE d.user_id = n.__user_id AND d.ledger = ?",
        [plan.ledger],
    )
    con.execute("DELETE FROM ledger.doubts WHERE len(columns) = 0")


def _sent(plan: PlanRef, row: str) -> str:
    numbers = ", ".join(f"CASE WHEN {row}.c{k} THEN {k} END" for k, _, _ in plan.columns)
    return f"list_filter([{numbers}]::INTEGER[], lambda k: k IS NOT NULL)"
