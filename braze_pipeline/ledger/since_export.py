"""What a restored ledger does not know: what Braze acknowledged after the export.

A value that was sent after the export and has changed back since equals the restored ledger's: a
comparison alone would never send it again. So where the ledger before the import has something
else, that attribute is in doubt (see ``in_doubt``), and the days that it had carried out still
count for the stale guard. Attributes and templates that are newer than the export stay, and what
was reset since is reset. For sends that only the journal knows, or a ledger that was emptied since,
everything is sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from braze_pipeline.ledger import in_doubt
from braze_pipeline.ledger.columns import AttributeColumns, TemplateColumns
from braze_pipeline.ledger.layout import add_attribute, add_template
from braze_pipeline.ledger.ledger import CURRENT, Ledger, TemplateState
from braze_pipeline.storage import journal, warehouse
from braze_pipeline.storage.sql_files import read_sql

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import duckdb

    from braze_pipeline.settings import AttributeSettings

_BEFORE = "__before"
_PAIRS = "__before_columns"


def remember(ledger: Ledger) -> list[TemplateState]:
    """Keep a ledger as it is, for ``carry_over``; how far its templates got."""
    ledger.con.execute(f"CREATE OR REPLACE TEMP TABLE {_BEFORE} AS FROM {ledger.users_table}")
    for name in ("attributes", "in_doubt"):
        ledger.con.execute(
            f"CREATE OR REPLACE TEMP TABLE {_BEFORE}_{name} AS FROM ledger.{name} WHERE ledger = ?",
            [ledger.name],
        )
    return ledger.templates()


def carry_over(ledger: Ledger, before: list[TemplateState], *, forgotten: bool) -> None:
    """Put into the restored ledger what the one before knows better.

    If users were forgotten since the export, what they were sent since is not known.
    """
    con = ledger.con
    _add_newer(ledger, before)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_PAIRS} AS SELECT b.column_no AS was, n.column_no AS now "
        f"FROM {_BEFORE}_attributes b JOIN ledger.attributes n USING (attribute) "
        "WHERE n.ledger = ?",
        [ledger.name],
    )
    con.execute(
        "UPDATE ledger.attributes n SET type = NULL, reset_ack = $last "
        f"FROM {_BEFORE}_attributes b JOIN {_PAIRS} p ON p.was = b.column_no "
        "WHERE n.ledger = $ledger AND n.column_no = p.now "
        "AND b.reset_ack IS NOT NULL AND b.reset_ack IS DISTINCT FROM n.reset_ack",
        {"ledger": ledger.name, "last": ledger.last_ack_no()},
    )
    _mark_in_doubt(ledger)
    if forgotten:
        con.execute(
            "INSERT INTO ledger.in_doubt (ledger, plan_id, user_id, columns) "
            "SELECT $ledger, 'import', user_id, (SELECT list(column_no ORDER BY column_no) "
            f"FROM ledger.attributes WHERE ledger = $ledger) FROM {ledger.users_table} "
            f"WHERE user_id NOT IN (SELECT user_id FROM {_BEFORE})",
            {"ledger": ledger.name},
        )
    for was in before:
        now = ledger.template(was.template)
        if now and was.as_of and (now.as_of is None or was.as_of >= now.as_of):
            _keep_watermarks(ledger, was, now)
    for name in ("", "_attributes", "_in_doubt", "_columns"):
        con.execute(f"DROP TABLE {_BEFORE}{name}")


def _add_newer(ledger: Ledger, before: list[TemplateState]) -> None:
    """Attributes and templates that the export does not know: Braze has values of them."""
    con = ledger.con
    stored = dict(warehouse.columns(con, _BEFORE))
    newer = con.execute(
        f"SELECT attribute, column_no, type, first_sent_at FROM {_BEFORE}_attributes "
        "WHERE attribute NOT IN (SELECT attribute FROM ledger.attributes WHERE ledger = ?) "
        "ORDER BY column_no",
        [ledger.name],
    ).fetchall()
    for name, was, type_, first_sent_at in newer:
        no = add_attribute(ledger, name, type_, stored[AttributeColumns(no=was).value])
        con.execute(
            "UPDATE ledger.attributes SET first_sent_at = ? WHERE ledger = ? AND column_no = ?",
            [first_sent_at, ledger.name, no],
        )
    for state in before:
        if ledger.template(state.template) is None:
            add_template(ledger, state.template)


def only_in_journal(
    con: duckdb.DuckDBPyConnection, path: Path, destination: str, applied: list[dict[str, Any]]
) -> list[tuple[str, int, str]]:
    """Sends (plan, number, start) that neither the file's ``applied`` nor this database knows.

    Call it before the import, and after ``apply_acknowledgements``.
    """
    known = {(r["plan_id"], r["send_id"], r["started_at"]) for r in applied if r["complete"]}
    known |= set(
        con.execute("SELECT plan_id, send_id, started_at FROM ledger.applied_sends").fetchall()
    )
    return [send for send in journal.acknowledged(path, destination) if send not in known]


def send_all_again(
    ledger: Ledger,
    lost: list[tuple[str, int, str]],
    *,
    attributes: Iterable[AttributeSettings],
    snapshots: list[str],
) -> None:
    """The next run sends every value, so whatever these sends brought no longer matters.

    It sends nulls as well, to everybody: where the ledger has no value, Braze may have one. Who
    is not in the audience any more is known by the ``snapshots`` of these sends alone.
    """
    con = ledger.con
    known = con.execute(
        "SELECT attribute, column_no FROM ledger.attributes WHERE ledger = ?", [ledger.name]
    ).fetchall()
    columns = dict(known)
    for one in attributes:
        if one.name not in columns:
            columns[one.name] = add_attribute(ledger, one.name, one.type, one.type.duckdb)
    con.execute(
        "UPDATE ledger.attributes SET reset_ack = ? WHERE ledger = ?",
        [ledger.last_ack_no(), ledger.name],
    )
    in_doubt.mark_for_everybody(ledger, "import", sorted(columns.values()))
    if snapshots:
        con.execute(
            read_sql("ledger", "sent_after_export"),
            {"ledger": ledger.name, "snapshots": snapshots},
        )
    for send in lost:
        con.execute(
            "INSERT INTO ledger.applied_sends (plan_id, send_id, started_at, complete) "
            "VALUES (?, ?, ?, true)",
            send,
        )


def _mark_in_doubt(ledger: Ledger) -> None:
    """What was in doubt before, and every value that differs from the restored one."""
    pairs = [
        (AttributeColumns(no=was), AttributeColumns(no=now))
        for was, now in ledger.con.execute(f"SELECT was, now FROM {_PAIRS}").fetchall()
    ]
    differs = ", ".join(
        f"CASE WHEN b.{was.ack} IS NOT NULL AND b.{was.value}::VARCHAR IS DISTINCT FROM "
        f"l.{now.value}::VARCHAR THEN {now.no} END"
        for was, now in pairs
    )
    query = read_sql(
        "ledger", "carried_over_in_doubt", before=_BEFORE, pairs=_PAIRS, differs=differs,
        users=ledger.users_table,
    )  # fmt: skip
    ledger.con.execute(query, {"ledger": ledger.name})


def _keep_watermarks(ledger: Ledger, was: TemplateState, now: TemplateState) -> None:
    """The newest day evaluated of each user, as the ledger before the import has it."""
    con, table = ledger.con, ledger.users_table
    b = TemplateColumns(template_no=was.template_no)
    n = TemplateColumns(template_no=now.template_no)
    con.execute(
        f"UPDATE {table} SET {n.evaluated} = ?::DATE WHERE {n.evaluated} = {CURRENT}", [now.as_of]
    )
    con.execute(
        read_sql("ledger", "carried_over_watermarks", users=table, before=_BEFORE, b=b, n=n)
    )
    con.execute(
        "UPDATE ledger.templates SET as_of = ?, evaluations = greatest(evaluations, ?), "
        "attributes = ? WHERE ledger = ? AND template_no = ?",
        [was.as_of, was.evaluations, was.attributes, ledger.name, now.template_no],
    )
