"""Acknowledgements from the journal are applied to the ledger, from the plan's snapshot.

One transaction a send. It can be repeated and be killed at any instant: which ranges are in is
written in the same transaction, the journal is marked afterwards, and a send that is in already is
only marked. A send that still runs is applied as far as it got.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from braze_pipeline.ledger import in_doubt, journal_tables, merge, moved, watermarks
from braze_pipeline.ledger.journal_tables import ANSWERED, RANGES, REFUSED
from braze_pipeline.ledger.ledger import (
    Ledger,
    count,
    destinations,
    ledger_names,
    ledger_of,
)
from braze_pipeline.ledger.plan_ref import PlanRef, find_plan, unless_damaged
from braze_pipeline.storage import journal
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.transaction import transaction

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.journal import Send
    from braze_pipeline.storage.warehouse import Warehouse

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ApplySummary:
    """What was applied.

    Attributes:
        sends: Sends that had something to apply.
        accepted, refused: Users, over all of them.
        skipped: Sends whose plan or snapshot is gone or damaged: what they sent is sent again one
            day.
    """

    sends: int = 0
    accepted: int = 0
    refused: int = 0
    skipped: int = 0


def open_ledger(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings
) -> Ledger:
    """A template's ledger, with everything that the journal has for it.

    Raises:
        LedgerError: the journal cannot be read.
    """
    apply_acknowledgements(con, warehouse, t.destination.name)
    return ledger_of(con, t)


def open_all(con: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> list[Ledger]:
    """All ledgers of the database in the same way.

    Raises:
        LedgerError: the journal cannot be read.
    """
    for destination in destinations(con):
        apply_acknowledgements(con, warehouse, destination)
    return [Ledger(con, name) for name in ledger_names(con)]


def apply_acknowledgements(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, destination: str
) -> ApplySummary:
    """Apply every send of a destination that is not wholly in the ledger yet.

    Raises:
        LedgerError: the journal cannot be read.
    """
    sends = accepted = refused = skipped = 0
    for send in journal.unapplied(warehouse.journal_path, destination):
        if not _applied(con, send, complete=True):
            applied = _apply_readable(con, warehouse, send)
            if applied is None:
                log.warning(
                    "send %d of plan %s cannot be applied: its snapshot is gone or damaged",
                    send.send_id,
                    send.plan_id,
                )
                skipped += 1
            else:
                sends += 1
                accepted += applied[0]
                refused += applied[1]
        if send.ended:
            journal.mark_applied(warehouse.journal_path, send)
    return ApplySummary(sends=sends, accepted=accepted, refused=refused, skipped=skipped)


def _applied(con: duckdb.DuckDBPyConnection, send: Send, *, complete: bool = False) -> bool:
    """Whether a send is in the ledger, in part or wholly.

    The start tells it from a send of an earlier journal file, which had the same numbers.
    """
    return bool(
        count(
            con,
            "SELECT count(*) FROM ledger.applied_sends "
            "WHERE plan_id = ? AND send_id = ? AND started_at = ? AND complete >= ?",
            [send.plan_id, send.send_id, send.started_at, complete],
        )
    )


def _apply_readable(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, send: Send
) -> tuple[int, int] | None:
    """Apply one send as ``_apply`` does; None if its plan or snapshot is gone or damaged."""
    plan = find_plan(con, warehouse, send.plan_id)
    if plan is None:
        return None
    journal_tables.load(con, warehouse.journal_path, send)
    journal_tables.load_answered(con, warehouse.journal_path, send.plan_id)
    ledger = Ledger(con, plan.ledger)
    return unless_damaged(con, plan.snapshot, lambda: _apply(ledger, send, plan))


def _apply(ledger: Ledger, send: Send, plan: PlanRef) -> tuple[int, int]:
    """Apply one send; how many users were accepted and refused."""
    con = ledger.con
    with transaction(con):
        done = send.done or _all_answered(con, plan)
        anything_new = _keep_new_ranges(con, send)
        refused = _record_refusals(con, send, plan)
        # A plan of one user alone does not make its day the newest that was carried out.
        whole = done and not plan.partial
        accepted, sent = merge.merge(ledger, send, plan, done=whole)
        moved.outdate_other_identifier(ledger, sent)
        news = anything_new or in_doubt.told_how_far(con, send)
        doubtful = news and in_doubt.mark(ledger, plan, done=done)
        advanced = whole and not _carried_out(con, plan) and watermarks.advance(ledger, plan)
        _record_applied(con, send)
        if accepted or refused or doubtful or advanced:
            ledger.record_change("apply acknowledgements", plan.plan_id)
        con.execute(
            "UPDATE records.plans SET accepted_users = accepted_users + ?, "
            "refused_users = refused_users + ?, status = CASE WHEN ? THEN 'sent' "
            "WHEN status IN ('ready', 'held') THEN 'sending' ELSE status END WHERE plan_id = ?",
            [accepted, refused, done, plan.plan_id],
        )
    return accepted, refused


def _all_answered(con: duckdb.DuckDBPyConnection, plan: PlanRef) -> bool:
    """Whether the plan is carried out, though its send was killed before it could record so."""
    answered = count(
        con,
        f"SELECT sum(count) FROM (SELECT DISTINCT request_no, first_index, count FROM {ANSWERED})",
    )
    return answered >= count(con, f"SELECT count(*) FROM {plan.rows}")


def _carried_out(con: duckdb.DuckDBPyConnection, plan: PlanRef) -> bool:
    return bool(
        count(
            con,
            "SELECT count(*) FROM records.plans WHERE plan_id = ? AND status = 'sent'",
            [plan.plan_id],
        )
    )


def _keep_new_ranges(con: duckdb.DuckDBPyConnection, send: Send) -> bool:
    """Leave only ranges of the send that were not applied before.

    Returns whether any are left, or the send was never seen before.
    """
    con.execute(
        f"""
        DELETE FROM {RANGES} r WHERE EXISTS (
            SELECT 1 FROM ledger.applied_ranges a
            WHERE a.plan_id = ? AND a.send_id = ?
                AND a.request_no = r.request_no AND a.first_index = r.first_index
        )
        """,
        [send.plan_id, send.send_id],
    )
    con.execute(
        f"""
        DELETE FROM {REFUSED} x WHERE NOT EXISTS (
            SELECT 1 FROM {RANGES} r
            WHERE r.request_no = x.request_no
                AND x.object_index >= r.first_index AND x.object_index < r.first_index + r.count
        )
        """
    )
    if _applied(con, send):
        return count(con, f"SELECT count(*) FROM {RANGES}") > 0
    con.execute(
        "INSERT INTO ledger.applied_sends (plan_id, send_id, started_at, complete) "
        "VALUES (?, ?, ?, false)",
        [send.plan_id, send.send_id, send.started_at],
    )
    return True


def _record_applied(con: duckdb.DuckDBPyConnection, send: Send) -> None:
    """Its ranges, while it runs; once it has ended, that all of it is in."""
    key = [send.plan_id, send.send_id]
    if send.ended:
        con.execute("DELETE FROM ledger.applied_ranges WHERE plan_id = ? AND send_id = ?", key)
        con.execute(
            "UPDATE ledger.applied_sends SET complete = true "
            "WHERE plan_id = ? AND send_id = ? AND started_at = ?",
            [*key, send.started_at],
        )
        return
    con.execute(
        "INSERT INTO ledger.applied_ranges (plan_id, send_id, request_no, first_index) "
        f"SELECT ?, ?, request_no, first_index FROM {RANGES}",
        key,
    )


def _record_refusals(con: duckdb.DuckDBPyConnection, send: Send, plan: PlanRef) -> int:
    """Record what Braze refused, and remember the objects; how many there are."""
    number = count(con, f"SELECT count(*) FROM {REFUSED}")
    if not number:
        return 0
    parts = {"rows": plan.rows, "refused": REFUSED}
    values = {"template": plan.template, "plan": plan.plan_id, "now": utc_now()}
    con.execute(
        read_sql("ledger", "rejections", **parts),
        values | {"destination": plan.destination, "run": send.run_id},
    )
    con.execute(
        "DELETE FROM ledger.refused WHERE ledger = ? AND template = ? AND user_id IN "
        f"(SELECT s.__user_id FROM {REFUSED} x JOIN {plan.rows} s "
        "ON s.__request = x.request_no AND s.__index = x.object_index)",
        [plan.ledger, plan.template],
    )
    con.execute(read_sql("ledger", "refused", **parts), values | {"ledger": plan.ledger})
    return number
