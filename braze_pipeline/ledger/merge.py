"""Accepted rows of a snapshot into the wide table, set-based."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from braze_pipeline.ledger import in_doubt, tables, watermarks
from braze_pipeline.ledger.journal_tables import RANGES, REFUSED

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.plan_ref import PlanRef
    from braze_pipeline.storage.journal import Send

ACCEPTED = "__fold_accepted"
_NUMBERS = "__fold_acks"
REBUILD_SHARE = 0.3
"""Above this share of the ledger's users, writing it anew is quicker than updating it."""


def merge(con: duckdb.DuckDBPyConnection, send: Send, plan: PlanRef, *, done: bool) -> int:
    """Take over what is in acknowledged ranges and was not refused; how many users that is.

    ``done``: with these, every object of the plan has its answer.
    """
    if not tables.count(con, f"SELECT count(*) FROM {RANGES}"):
        return 0
    _number_acks(con, send, plan)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {ACCEPTED} AS "
        f"SELECT s.* EXCLUDE (__object, __reason, __customer_id), a.ack_no, a.acknowledged_at "
        f"FROM {plan.rows} s JOIN {RANGES} r ON s.__request = r.request_no "
        "AND s.__index >= r.first_index AND s.__index < r.first_index + r.count "
        f"JOIN {_NUMBERS} a ON a.as_of = s.__as_of AND a.acknowledged_at = r.acknowledged_at "
        f"ANTI JOIN {REFUSED} x ON x.request_no = s.__request AND x.object_index = s.__index"
    )
    accepted = tables.count(con, f"SELECT count(*) FROM {ACCEPTED}")
    if accepted:
        _merge(con, plan, _first_sent(con, plan), done=done)
        in_doubt.resolve(con, plan, ACCEPTED)
        con.execute(
            "DELETE FROM ledger.refused WHERE ledger = ? AND template = ? "
            f"AND user_id IN (SELECT __user_id FROM {ACCEPTED})",
            [plan.ledger, plan.template],
        )
    con.execute(f"DROP TABLE {ACCEPTED}")
    return accepted


def _number_acks(con: duckdb.DuckDBPyConnection, send: Send, plan: PlanRef) -> None:
    """A number for each as-of date and second of the send; repeated folds find theirs again."""
    con.execute(
        "INSERT INTO ledger.acks (ledger, ack_no, how, as_of, acknowledged_at, template, plan_id, "
        "run_id, send_id) SELECT ?, coalesce((SELECT max(ack_no) FROM ledger.acks "
        "WHERE ledger = ?), 0) + row_number() OVER (ORDER BY moment, day), 'send', day, moment, "
        "?, ?, ?, ? FROM (SELECT DISTINCT acknowledged_at AS moment FROM "
        f"{RANGES}) CROSS JOIN (SELECT unnest(?::DATE[]) AS day) "
        "WHERE NOT EXISTS (SELECT 1 FROM ledger.acks k WHERE k.ledger = ? AND k.plan_id = ? "
        "AND k.send_id = ? AND k.as_of = day AND k.acknowledged_at = moment)",
        [plan.ledger, plan.ledger, plan.template, plan.plan_id, send.run_id, send.send_id,
         list(plan.days), plan.ledger, plan.plan_id, send.send_id],
    )  # fmt: skip
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_NUMBERS} AS SELECT as_of, acknowledged_at, "
        "max(ack_no) AS ack_no FROM ledger.acks WHERE ledger = ? AND plan_id = ? AND send_id = ? "
        "GROUP BY as_of, acknowledged_at",
        [plan.ledger, plan.plan_id, send.send_id],
    )


def _merge(
    con: duckdb.DuckDBPyConnection, plan: PlanRef, touched: list[int], *, done: bool
) -> None:
    """Update and insert, or, when a good part of the ledger changes, write it anew.

    Measured with 2 million users of 20 attributes: all changed, 7.0 s to merge and 3.9 s to write
    anew; 1 % changed in two attributes, 0.04 s to merge those and 0.4 s to merge all columns.
    """
    seen = watermarks.seen_sql(con, plan, member="n.__member", day="n.__as_of", done=done)
    confirmed = tables.count(
        con,
        f"SELECT count(*) FROM {ACCEPTED} n JOIN {tables.wide(plan.ledger)} l "
        f"ON l.user_id = n.__user_id WHERE {_CONFIRMED.format(j=plan.template_no)}",
    )
    changes = _changes(plan, touched, seen, confirmed=confirmed > 0)
    users = tables.count(con, f"SELECT count(*) FROM {tables.wide(plan.ledger)}")
    accepted = tables.count(con, f"SELECT count(*) FROM {ACCEPTED}")
    if accepted > users * REBUILD_SHARE:
        _rebuild(con, plan, changes)
        return
    names = ", ".join(["user_id", *changes])
    matched = ", ".join(f"{name} = {change}" for name, change in changes.items())
    fresh = ", ".join(["n.__user_id", *_inserted(changes)])
    con.execute(
        f"MERGE INTO {tables.wide(plan.ledger)} l USING {ACCEPTED} n ON l.user_id = n.__user_id "
        f"WHEN MATCHED THEN UPDATE SET {matched} "
        f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({fresh})"
    )


_CONFIRMED = "(l.u{j} IS TRUE AND n.__known AND n.__full)"
"""Everything of the user was unconfirmed, and has now been sent in full to a known user."""


def _changes(plan: PlanRef, touched: list[int], seen: str, *, confirmed: bool) -> dict[str, str]:
    """The new value of each column, from the ledger's row ``l`` and the accepted row ``n``.

    Where an unconfirmed user is confirmed, what was not sent along (a value held back that day) is
    forgotten: nothing has proved it, and it must go out when it is there again.
    """
    j = plan.template_no
    changes = {
        f"s{j}": seen.format(old=f"l.s{j}"),
        f"f{j}": f"CASE WHEN n.__full OR l.f{j} IS NULL THEN n.acknowledged_at ELSE l.f{j} END",
        f"u{j}": f"CASE WHEN NOT n.__known THEN true WHEN n.__full THEN false ELSE l.u{j} END",
    }
    forget = f"WHEN {_CONFIRMED.format(j=j)} THEN NULL " if confirmed else ""
    for k in [k for k, _, _ in plan.columns] if confirmed else touched:
        changes[f"v{k}"] = f"CASE WHEN n.c{k} THEN n.n{k} {forget}ELSE l.v{k} END"
        changes[f"a{k}"] = f"CASE WHEN n.c{k} THEN n.ack_no {forget}ELSE l.a{k} END"
    return changes


def _inserted(changes: dict[str, str]) -> list[str]:
    """The same for a user that the ledger does not have yet: all of ``l`` is null."""
    return [re.sub(r"\bl\.\w+", "NULL", change) for change in changes.values()]


def _rebuild(con: duckdb.DuckDBPyConnection, plan: PlanRef, changes: dict[str, str]) -> None:
    wide = tables.wide(plan.ledger)
    names = con.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'ledger' "
        "AND table_name = ? ORDER BY column_index",
        [f"{plan.ledger}_users"],
    ).fetchall()
    columns = ", ".join(
        f"CASE WHEN n.__user_id IS NULL THEN l.{name} ELSE {changes[name]} END AS {name}"
        if name in changes
        else f"l.{name}"
        for (name,) in names
        if name != "user_id"
    )
    con.execute(
        f"CREATE OR REPLACE TABLE {wide} AS SELECT coalesce(l.user_id, n.__user_id) AS user_id, "
        f"{columns} FROM {wide} l FULL JOIN {ACCEPTED} n ON l.user_id = n.__user_id"
    )


def _first_sent(con: duckdb.DuckDBPyConnection, plan: PlanRef) -> list[int]:
    """Note the names that Braze has now; returns the columns that anything was sent of."""
    sent = ", ".join(f"bool_or(c{k})" for k, _, _ in plan.columns)
    row = con.execute(f"SELECT max(acknowledged_at), {sent} FROM {ACCEPTED}").fetchone()
    moment, *flags = row or (None,)
    touched = []
    for (k, name, type_), flag in zip(plan.columns, flags, strict=True):
        if flag:
            touched.append(k)
            con.execute(
                "UPDATE ledger.attributes SET first_sent_at = coalesce(first_sent_at, ?), type = ? "
                "WHERE ledger = ? AND attribute = ?",
                [moment, type_, plan.ledger, name],
            )
    return touched
