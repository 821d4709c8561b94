"""How many users a plan leaves as they are: counted from profiles and ledger, not from the diff.

``diff`` finds what has to be sent in one join. This asks the opposite question with its own query,
so that the account of a run compares two counts: if the diff lost a changed user, they differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.ledger.ledger import count
from braze_pipeline.plan import payload
from braze_pipeline.plan.diff import STILL_IN_AUDIENCE, sends_on_leave
from braze_pipeline.storage.sql_text import day_sql, days_sql, literal

if TYPE_CHECKING:
    from braze_pipeline.ledger.layout import Column
    from braze_pipeline.plan.diff_request import DiffRequest, LedgerState


def count_unchanged(q: DiffRequest, past: LedgerState) -> int:
    """Users with a profile in the plan's days of whom Braze has every value already.

    ``diff.stage`` must have run on the connection (who is still in the audience comes from it).
    """
    leaving = sends_on_leave(q, past)
    same = [_same(c, leaving=leaving, in_doubt=past.in_doubt) for c in q.layout.columns]
    in_doubt = (
        f"LEFT JOIN ({q.ledger.in_doubt()}) d ON d.user_id = p.__user_id" if past.in_doubt else ""
    )
    return count(
        q.ledger.con,
        f"""
        SELECT count(*)
        FROM ({_newest(q, leaving=leaving)}) p
        LEFT JOIN {q.users_table} l ON l.user_id = p.__user_id
        {in_doubt}
        WHERE {" AND ".join([*same, f"NOT {_due_in_full(q)}"])}
        """,
    )


def _newest(q: DiffRequest, *, leaving: bool) -> str:
    """Each user's newest profile in the plan's days, and whether the user has left since."""
    left = (
        f"__as_of < {day_sql(q.newest)} AND NOT EXISTS "
        f"(SELECT 1 FROM {STILL_IN_AUDIENCE} s WHERE s.user_id = __user_id)"
    )
    newest = "QUALIFY row_number() OVER (PARTITION BY __user_id ORDER BY __as_of DESC) = 1"
    return f"""
        SELECT *, {left if leaving else "false"} AS __gone
        FROM {q.profiles_table}
        WHERE __as_of IN ({days_sql(q.days)})
        {newest if q.days[1:] else ""}
        """


def _same(c: Column, *, leaving: bool, in_doubt: bool) -> str:
    """Whether Braze is proven to have what one attribute should be, or nothing may be sent of it.

    A reset attribute, and one in doubt, is proven by nothing.
    """
    proven = ""
    if in_doubt:
        proven += f" AND NOT coalesce(list_contains(d.columns, {c.no}), false)"
    if c.reset:
        proven += f" AND NOT {c.reset}"
    value = c.of_profile
    exempt = [f"list_contains(p.__held, {literal(c.name)}) IS TRUE"]
    if not c.settings.send_null:
        exempt.append(f"{value} IS NULL")
    stays = f"(({value} IS NOT DISTINCT FROM l.{c.value}{proven}) OR {' OR '.join(exempt)})"
    if not leaving or c.settings.on_leave == "keep":
        return stays
    gone = f"{payload.leave_value(c)} IS NOT DISTINCT FROM l.{c.value}{proven}"
    return f"CASE WHEN p.__gone THEN {gone} ELSE {stays} END"


def _due_in_full(q: DiffRequest) -> str:
    """Whether an unconfirmed user is due to be sent in full, and has anything to send."""
    if q.proof:
        return "false"
    unconfirmed, full_at = f"l.{q.layout.unconfirmed}", f"l.{q.layout.full_at}"
    anything = " OR ".join(
        f"({c.of_profile} IS NOT NULL AND list_contains(p.__held, {literal(c.name)}) IS NOT TRUE)"
        for c in q.layout.columns
    )
    due = f"{full_at} IS NULL OR {full_at} <= TIMESTAMP '{q.resend_before.isoformat(sep=' ')}'"
    return f"({unconfirmed} IS TRUE AND (l.known IS TRUE OR {due}) AND ({anything or 'false'}))"
