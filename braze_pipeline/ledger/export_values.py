"""Values of a Braze export into the ledger; reading the file is the matter of ``operations``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from braze_pipeline.ledger import in_doubt
from braze_pipeline.ledger.ledger import count
from braze_pipeline.ledger.moved import columns_of_no_template

if TYPE_CHECKING:
    from datetime import datetime

    from braze_pipeline.ledger.layout import Layout


MISFITS: Final = "misfits"
"""Of a user of the export, the numbers of the attributes that Braze has in another type."""


def count_differing(layout: Layout, export: str) -> int:
    """Values of the export that the ledger, which keeps its own, has otherwise.

    ``export`` is a table with ``user_id`` and the ``new`` column of each attribute.
    """
    ledger = layout.ledger
    differing = " + ".join(
        f"count(*) FILTER (l.{layout.unconfirmed} IS NOT TRUE AND l.{c.ack} IS NOT NULL "
        f"AND l.{c.value} IS DISTINCT FROM e.{c.new})"
        for c in layout.columns
    )
    return count(
        ledger.con,
        f"SELECT {differing or '0'} FROM {ledger.users_table} l JOIN {export} e USING (user_id)",
    )


def merge_export(layout: Layout, export: str, *, now: datetime, all_users: bool = False) -> None:
    """Its users become known, and its values acknowledged where the ledger has none that count.

    ``MISFITS`` are in doubt there: the ledger cannot have them, and they must not stay in Braze.
    With ``all_users``, Braze has no values of anybody else.
    """
    ledger, con = layout.ledger, layout.ledger.con
    ack = 1 + ledger.last_ack_no()
    con.execute(
        "INSERT INTO ledger.acks (ledger, ack_no, how, acknowledged_at) VALUES (?, ?, 'export', ?)",
        [ledger.name, ack, now],
    )
    moment = f"TIMESTAMP '{now.isoformat(sep=' ')}'"
    insert = {
        "user_id": "e.user_id", "known": "true", "known_how": "'export'", "known_at": moment,
        layout.full_at: moment, layout.unconfirmed: "false",
    }  # fmt: skip
    update = {
        "known": "true",
        "known_how": "CASE WHEN l.known IS TRUE THEN l.known_how ELSE 'export' END",
        "known_at": f"CASE WHEN l.known IS TRUE THEN l.known_at ELSE {moment} END",
        layout.full_at: f"coalesce(l.{layout.full_at}, {moment})",
        layout.unconfirmed: "false",
    }
    for c in layout.columns:
        # Where Braze may have a value that the ledger does not know, the export proves its absence.
        none = f"NOT list_contains(e.{MISFITS}, {c.no})" if c.doubtful else "false"
        number = f"CASE WHEN e.{c.new} IS NOT NULL OR {none} THEN {ack} END"
        insert |= {c.value: f"e.{c.new}", c.ack: number}
        replaced = f"l.{c.ack} IS NULL OR l.{layout.unconfirmed} IS TRUE"
        update |= {
            c.value: f"CASE WHEN {replaced} THEN e.{c.new} ELSE l.{c.value} END",
            c.ack: f"CASE WHEN {replaced} THEN {number} ELSE l.{c.ack} END",
        }
    # Not in the export, and not proved by it: to be sent when a template has it again.
    names = {c.name for c in layout.columns}
    for unproved in columns_of_no_template(ledger, layout.template_no, names):
        for name in (unproved.value, unproved.ack):
            update[name] = f"CASE WHEN l.{layout.unconfirmed} THEN NULL ELSE l.{name} END"
    con.execute(
        f"""
        MERGE INTO {ledger.users_table} l USING {export} e ON l.user_id = e.user_id
        WHEN MATCHED THEN UPDATE SET {", ".join(f"{name} = {v}" for name, v in update.items())}
        WHEN NOT MATCHED THEN INSERT ({", ".join(insert)}) VALUES ({", ".join(insert.values())})
        """
    )
    unknown = ", ".join(f"CASE WHEN l.{c.ack} IS NULL THEN {c.no} END" for c in layout.columns)
    con.execute(
        f"DELETE FROM ledger.in_doubt WHERE ledger = ? AND plan_id = 'export' "
        f"AND user_id IN (SELECT user_id FROM {export})",
        [ledger.name],
    )
    con.execute(
        "INSERT INTO ledger.in_doubt (ledger, plan_id, user_id, columns) "
        f"SELECT ?, 'export', user_id, list_intersect({MISFITS}, [{unknown}]::INTEGER[]) AS found "
        f"FROM {export} JOIN {ledger.users_table} l USING (user_id) WHERE len(found) > 0",
        [ledger.name],
    )
    for c in layout.columns:
        con.execute(
            "UPDATE ledger.attributes SET first_sent_at = coalesce(first_sent_at, ?), type = ? "
            f"WHERE ledger = ? AND column_no = ? AND EXISTS (FROM {export} WHERE {c.new} NOT NULL)",
            [now, c.settings.type.value, ledger.name, c.no],
        )
    if all_users:
        in_doubt.end_for_everybody(ledger, [c.no for c in layout.columns])
    ledger.record_change("import", None)
