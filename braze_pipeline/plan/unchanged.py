"""How many users a plan leaves as they are: counted from profiles and ledger, not from the diff.

``diff`` finds what has to be sent in one join. This asks the opposite question with a query of its
own, so that the account of a run compares two counts: a changed user whom the diff lost makes them
differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.ledger import tables
from braze_pipeline.plan import payload
from braze_pipeline.plan.diff import STILL
from braze_pipeline.storage.warehouse import literal, quote

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.layout import Column
    from braze_pipeline.plan.diff import DiffRequest, LedgerState


def count_unchanged(con: duckdb.DuckDBPyConnection, q: DiffRequest, past: LedgerState) -> int:
    """Users with a profile in the plan's days of whom Braze has every value already.

    ``diff.stage`` must have run on the connection (who is still in the audience comes from it).
    """
    columns = q.layout.columns
    leaving = past.latest(q.newest) and any(c.settings.on_leave != "keep" for c in columns)
    same = " AND ".join(_same(c, leaving=leaving, in_doubt=past.doubts) for c in columns) or "true"
    in_doubt = (
        "LEFT JOIN (SELECT user_id, flatten(list(columns)) AS attributes FROM ledger.doubts "
        f"WHERE ledger = {literal(q.layout.ledger)} GROUP BY user_id) d "
        "ON d.user_id = p.__user_id"
        if past.doubts
        else ""
    )
    return tables.count(
        con,
        f"SELECT count(*) FROM ({_newest(q, leaving=leaving)}) p "
        f"LEFT JOIN {tables.wide(q.layout.ledger)} l ON l.user_id = p.__user_id {in_doubt} "
        f"WHERE {same} AND NOT {_due_in_full(q)}",
    )


def _newest(q: DiffRequest, *, leaving: bool) -> str:
    """Each user's newest profile in the plan's days, and whether the user has left since."""
    days = ", ".join(f"DATE '{day}'" for day in q.days)
    newest = f"DATE '{q.newest}'"
    left = (
        f"__as_of < {newest} AND NOT EXISTS (SELECT 1 FROM {STILL} s WHERE s.user_id = __user_id)"
    )
    one = " QUALIFY row_number() OVER (PARTITION BY __user_id ORDER BY __as_of DESC) = 1"
    return (
        f"SELECT *, {left if leaving else 'false'} AS __gone FROM {q.t.table('profiles')} "
        f"WHERE __as_of IN ({days}){one if q.days[1:] else ''}"
    )


def _same(c: Column, *, leaving: bool, in_doubt: bool) -> str:
    """Whether Braze is proven to have what one attribute should be, or nothing may be sent of it.

    A reset attribute, and one in doubt, is proven by nothing.
    """
    proven = ""
    if in_doubt:
        proven += f" AND NOT coalesce(list_contains(d.attributes, {c.no}), false)"
    if c.reset_ack is not None:
        proven += f" AND NOT coalesce(l.a{c.no} <= {c.reset_ack}, false)"
    value = _value(c)
    exempt = [f"list_contains(p.__held, {literal(c.name)}) IS TRUE"]
    if not c.settings.send_null:
        exempt.append(f"{value} IS NULL")
    stays = f"(({value} IS NOT DISTINCT FROM l.v{c.no}{proven}) OR {' OR '.join(exempt)})"
    if not leaving or c.settings.on_leave == "keep":
        return stays
    gone = f"{payload.leave_value(c)} IS NOT DISTINCT FROM l.v{c.no}{proven}"
    return f"CASE WHEN p.__gone THEN {gone} ELSE {stays} END"


def _due_in_full(q: DiffRequest) -> str:
    """Whether an unconfirmed user is due to be sent in full, and has anything to send."""
    if q.trusted:
        return "false"
    j = q.layout.template_no
    anything = " OR ".join(
        f"({_value(c)} IS NOT NULL AND list_contains(p.__held, {literal(c.name)}) IS NOT TRUE)"
        for c in q.layout.columns
    )
    due = f"l.f{j} IS NULL OR l.f{j} <= TIMESTAMP '{q.resend_before.isoformat(sep=' ')}'"
    return f"(l.u{j} IS TRUE AND (l.known IS TRUE OR {due}) AND ({anything or 'false'}))"


def _value(c: Column) -> str:
    return f"p.{quote(c.name)}::{c.stored}"
