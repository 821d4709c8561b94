"""Attributes in doubt: what may be in Braze though no answer said so.

A request in flight when the process is killed, or one that timed out, may have been carried out.
The ledger still has the value from before. If the customer's value goes back to that one, a plain
comparison finds nothing to send, and Braze keeps the value of the lost request for good. So the
attributes of unanswered objects are in doubt, and those of objects that were refused when they may
have been sent before, by an attempt without an answer for them or an earlier send of the plan: the
next plan sends them whatever the ledger has, and is done with them once they are acknowledged. Most
of them differ anyway, so this costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.ledger.journal_tables import ANSWERED, ANSWERED_REFUSED, BEGUN
from braze_pipeline.ledger.ledger import EVERYBODY, Ledger, count
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from braze_pipeline.ledger.plan_ref import PlanRef
    from braze_pipeline.storage.journal import Send


def mark(ledger: Ledger, plan: PlanRef, *, done: bool) -> bool:
    """Put exactly the plan's objects in doubt that were begun and have no answer, or may have been
    sent before they were refused.

    Returns whether there are any. Call it only when a send has brought something new, or
    told how far it got: what a later plan has resolved must not come back.
    """
    ledger.con.execute("DELETE FROM ledger.in_doubt WHERE plan_id = ?", [plan.plan_id])
    # What was in flight when a send ended left no trace, so what a later one had refused may have
    # been. The first send is not the journal's first: that file may be a new one.
    first = (
        "SELECT arg_min(started_at, rowid) FROM ledger.applied_sends "
        f"WHERE plan_id = {literal(plan.plan_id)}"
    )
    lost = f"(SELECT * FROM {ANSWERED_REFUSED} WHERE attempt > 1 OR started_at <> ({first}))"
    if done and not count(ledger.con, f"SELECT count(*) FROM {lost}"):
        return False  # without reading the snapshot
    query = read_sql(
        "ledger", "in_doubt", sent=_sent(plan, "s"), rows=plan.rows, answered=ANSWERED, lost=lost,
        begun=BEGUN,
    )  # fmt: skip
    rows = count(ledger.con, query, {"ledger": plan.ledger, "plan": plan.plan_id})
    return rows > 0


def told_how_far(con: duckdb.DuckDBPyConnection, send: Send) -> bool:
    """Whether a send has recorded the last request that it began, as it does when it ends."""
    query = f"SELECT count(request_no) FROM {BEGUN} WHERE started_at = ?"
    return count(con, query, [send.started_at]) > 0


def resolve(ledger: Ledger, plan: PlanRef, accepted: str) -> None:
    """Attributes that were accepted now (a table of snapshot rows) are no longer in doubt."""
    if not ledger.count_in_doubt():
        return
    ledger.con.execute(
        f"""
        UPDATE ledger.in_doubt d
        SET columns = list_filter(d.columns, lambda no: NOT list_contains(n.sent, no))
        FROM (SELECT __user_id, {_sent(plan, "s")} AS sent FROM {accepted} s) n
        WHERE d.user_id = n.__user_id AND d.ledger = ?
        """,
        [plan.ledger],
    )
    ledger.con.execute("DELETE FROM ledger.in_doubt WHERE len(columns) = 0")


def mark_for_everybody(ledger: Ledger, why: str, columns: Sequence[int]) -> None:
    """Braze may have values of these attributes for users of whom the ledger has none.

    It ends for each user with the first acknowledgement of the attribute, be it a null. Who joins
    in a year may still have an old value, so for the others it does not end by itself.
    """
    new = sorted(set(columns) - ledger.in_doubt_for_everybody())
    if new:
        ledger.con.execute(
            "INSERT INTO ledger.in_doubt (ledger, plan_id, user_id, columns) VALUES (?, ?, ?, ?)",
            [ledger.name, why, EVERYBODY, new],
        )


def end_for_everybody(ledger: Ledger, columns: Sequence[int]) -> None:
    """Whatever Braze has of these attributes is in the ledger now."""
    ledger.con.execute(
        "UPDATE ledger.in_doubt SET columns = list_filter(columns, "
        "lambda no: NOT list_contains(?::INTEGER[], no)) WHERE ledger = ? AND user_id = ?",
        [columns, ledger.name, EVERYBODY],
    )
    ledger.con.execute("DELETE FROM ledger.in_doubt WHERE len(columns) = 0")


def _sent(plan: PlanRef, row: str) -> str:
    """The numbers of the attributes that a snapshot row sends."""
    numbers = ", ".join(f"CASE WHEN {row}.{a.changed} THEN {a.no} END" for a in plan.attributes)
    return f"list_filter([{numbers}]::INTEGER[], lambda no: no IS NOT NULL)"
