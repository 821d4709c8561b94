"""The plan of a day, or of a range of days, from start to end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from braze_pipeline.attributes.lineage import last_lineage
from braze_pipeline.attributes.personal import decide_personal
from braze_pipeline.braze.existing_attributes import AttributeState
from braze_pipeline.braze.track_endpoints import endpoints_for_plan, usable_bytes
from braze_pipeline.ledger import endpoint, known_users, watermarks
from braze_pipeline.ledger.layout import BlockedAttribute, ensure_layout
from braze_pipeline.ledger.ledger import CURRENT, Ledger
from braze_pipeline.ledger.plan_ref import PARTIAL, find_plan
from braze_pipeline.plan import diff, guards, snapshot, stored_plans
from braze_pipeline.plan.diff import STAGE
from braze_pipeline.plan.diff_request import DiffRequest, ledger_state
from braze_pipeline.plan.overrides import NO_OVERRIDES, Overrides
from braze_pipeline.plan.payload import FRAME_BYTES
from braze_pipeline.plan.predicted import predicted_cost
from braze_pipeline.plan.preflight import Preflight
from braze_pipeline.plan.summarise import guard_evidence, summarise
from braze_pipeline.profiles import require_built_with
from braze_pipeline.storage import journal, rejections
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.transaction import transaction

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from braze_pipeline.plan.diff_request import LedgerState
    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

_BRIEF = {
    AttributeState.MISSING: "missing in Braze",
    AttributeState.BLOCKLISTED: "on Braze's blocklist",
    AttributeState.OTHER_TYPE: "has another type in Braze",
    AttributeState.OTHER_CASE: "spelled differently in Braze",
}


def build_plan(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    run_id: str,
    now: datetime,
    overrides: Overrides = NO_OVERRIDES,
    preflight: Preflight | None = None,
    bulk_permitted: bool = False,
) -> PlanSummary:
    """Compare the days' profiles with the ledger, and store what would have to be sent.

    The journal is applied first. Of a user with profiles of several days only the newest counts.
    ``now`` is the wall clock: it decides which users are unconfirmed for too long. ``preflight``
    is what Braze has under our names, ``bulk_permitted`` whether the key may send in bulk.

    Raises:
        AccountingError: the counts do not add up, or the profiles name a user twice.
        EndpointMismatch: the ledger is about another Braze endpoint.
        LedgerError: the ledger or its journal cannot be used.
        NotBuilt: the template has changed an attribute since the profiles were built.
    """
    now = now.astimezone(UTC).replace(tzinfo=None) if now.tzinfo else now
    preflight = preflight or Preflight(note="Braze was not asked.")
    ledger = endpoint.claim(con, warehouse, t)
    q = _request(ledger, t, days, now=now, overrides=overrides, preflight=preflight)
    past = ledger_state(q)
    plan = _make(
        q,
        past,
        warehouse,
        run_id=run_id,
        now=now,
        preflight=preflight,
        bulk_permitted=bulk_permitted,
    )
    last = stored_plans.last_sent(con, ledger.name, t.name)
    path = warehouse.snapshot(plan.plan_id)
    predicted = predicted_cost(
        con, t, q.layout, q.newest, path, plan.forecast, before=last.predicted if last else None
    )
    plan = replace(plan, predicted=predicted)
    evidence = guard_evidence(q, path, plan, last)
    results = guards.evaluate(t.guards, evidence)
    plan = replace(
        plan,
        bulk_permitted=bulk_permitted,
        built_from=stored_plans.built_from(con, t, q.days),
        force_stale=overrides.force_stale,
        guards=guards.let_pass(results, overrides.let_through, overrides.reason),
        changed_share=evidence.changed_share,
        rejected_share=evidence.rejected_share,
    )
    plan = replace(plan, status="held" if plan.stopped_by else "ready")
    with transaction(con):
        stored_plans.store(con, plan, template_no=q.layout.template_no)
        stored_plans.record_let_through(con, plan, now=now)
        watermarks.add_pending(con, plan.plan_id, _watermarks())
        _record_rejections(q, plan, now=now)
    if not plan.planned_users and plan.status == "ready":
        plan = _carry_out_nothing(ledger, warehouse, plan)
    con.execute(f"DROP TABLE {STAGE}")
    _prune(ledger, warehouse, plan, keep=t.keep_plans)
    return plan


def plan_user(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    t: TemplateSettings,
    day: date,
    user: str,
    *,
    run_id: str,
    now: datetime,
    preflight: Preflight,
) -> PlanSummary:
    """Plan one user alone, as ``build_plan`` would beside all others; the plan is not stored.

    Its snapshot is there. Guards judge a day, so they do not apply.

    Raises:
        PipelineError: as ``build_plan``.
    """
    ledger = endpoint.claim(con, warehouse, t)
    q = _request(ledger, t, [day], now=now, overrides=NO_OVERRIDES, preflight=preflight)
    q = replace(q, user=user)
    plan = _make(q, ledger_state(q), warehouse, run_id=run_id, now=now, preflight=preflight)
    con.execute(f"DROP TABLE {STAGE}")
    return plan


def _make(
    q: DiffRequest,
    past: LedgerState,
    warehouse: Warehouse,
    *,
    run_id: str,
    now: datetime,
    preflight: Preflight,
    bulk_permitted: bool = False,
) -> PlanSummary:
    """Compare, write the snapshot, and count; who needs anything stays in ``STAGE``."""
    query = diff.stage(q, past, usable_bytes=usable_bytes(q.t.destination) - FRAME_BYTES)
    plan_id = f"{q.t.name}-{q.newest}-{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    path = warehouse.snapshot(plan_id)
    endpoints = endpoints_for_plan(q.t.destination, bulk_permitted=bulk_permitted)
    made_for = snapshot.write(q.ledger.con, path, query, endpoints, q.layout.columns)
    return summarise(
        q, past, path, made_for, plan_id=plan_id, run_id=run_id, now=now, preflight=preflight
    )


def _request(
    ledger: Ledger,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    now: datetime,
    overrides: Overrides,
    preflight: Preflight,
) -> DiffRequest:
    """What to compare: every attribute has its column, and the brand's list of users is read."""
    t = decide_personal(t, last_lineage(ledger.con, t))
    require_built_with(ledger.con, t, days)
    layout = ensure_layout(ledger, t, _blocked(preflight))
    proof = known_users.acknowledgements_are_proof(t)
    if t.destination.known_users.source == "list" and not proof:
        known_users.mark_listed(ledger, t, days, now=now)
    return DiffRequest(
        t=t,
        layout=layout,
        days=tuple(sorted(set(days))),
        resend_before=now - timedelta(days=t.destination.known_users.resend_days),
        proof=proof,
        forced=overrides.force_stale is not None,
    )


def _blocked(preflight: Preflight) -> dict[str, BlockedAttribute]:
    return {
        name: BlockedAttribute(
            name=name, reason=finding.state, brief=_BRIEF[finding.state], text=finding.text
        )
        for name, finding in preflight.blocked.items()
    }


def _watermarks() -> str:
    """A query for the watermarks that need no acknowledgement."""
    return read_sql("plan", "pending_watermarks", stage=STAGE, current=CURRENT)


def _record_rejections(q: DiffRequest, plan: PlanSummary, *, now: datetime) -> None:
    """Attributes that are blocked, and objects that no request is large enough for."""
    con, d = q.ledger.con, plan.destination
    rejections.clear(con, destination=d, template=plan.template, stage="plan", days=q.days)
    insert = (
        f"INSERT INTO {rejections.ROWS} (as_of, destination, template, stage, customer_id, "
        "user_id, attribute, reason, message, row_rejected, run_id, rejected_at) "
    )
    for one in q.layout.blocked:
        con.execute(
            f"{insert} VALUES (?, ?, ?, 'plan', NULL, NULL, ?, ?, ?, false, ?, ?)",
            [q.newest, d, plan.template, one.name, one.reason, one.text, plan.run_id, now],
        )
    con.execute(
        f"{insert} SELECT s.__as_of, ?, ?, 'plan', s.__customer_id, s.__user_id, NULL, "
        "'object_too_large', 'The object is larger than a request to Braze may be.', true, ?, ? "
        f"FROM {STAGE} s WHERE s.__suppressed = 'too_large'",
        [d, plan.template, plan.run_id, now],
    )


def _carry_out_nothing(ledger: Ledger, warehouse: Warehouse, plan: PlanSummary) -> PlanSummary:
    """A plan with nothing to send is carried out as soon as it is made."""
    stored = find_plan(ledger.con, warehouse, plan.plan_id)
    if stored is None:
        return plan
    with transaction(ledger.con):
        if watermarks.advance(ledger, stored):
            ledger.record_change("advance watermarks", plan.plan_id)
        ledger.con.execute(
            "UPDATE records.plans SET status = 'sent' WHERE plan_id = ?", [plan.plan_id]
        )
    return replace(plan, status="sent")


def _prune(ledger: Ledger, warehouse: Warehouse, plan: PlanSummary, *, keep: int) -> None:
    """Snapshots hold customers' values: only a template's newest are kept, and resumable ones.

    So is that of a send under way: without it the acknowledgements to come would be lost. And so
    is, for a day, that of a plan that is not stored: somebody may be asked whether to send it.
    """
    con = ledger.con
    unapplied = journal.unapplied(warehouse.journal_path, plan.destination)
    under_way = {send.plan_id for send in unapplied}
    for plan_id, version in con.execute(
        "SELECT plan_id, ledger_version FROM records.plans "
        "WHERE ledger = ? AND template = ? AND status = 'sending'",
        [plan.ledger, plan.template],
    ).fetchall():
        resumable = ledger.still_fits(plan_id, since=version)
        if not resumable and plan_id not in under_way:
            con.execute("UPDATE records.plans SET status = 'outdated' WHERE plan_id = ?", [plan_id])
            watermarks.drop_pending(con, [plan_id])
    rows = con.execute(
        "SELECT plan_id FROM (SELECT plan_id, status, row_number() OVER (PARTITION BY ledger, "
        f"template, {PARTIAL} ORDER BY rowid DESC) AS age FROM records.plans) "
        "WHERE age <= ? OR status = 'sending'",
        [keep],
    ).fetchall()
    kept = under_way | {plan_id for (plan_id,) in rows}
    stored = {plan_id for (plan_id,) in con.execute("SELECT plan_id FROM records.plans").fetchall()}
    for path in warehouse.snapshots.glob(f"{plan.template}-*.parquet"):
        if path.stem not in kept and (path.stem in stored or not _is_of_today(path)):
            path.unlink(missing_ok=True)
    snapshot.remove_unfinished(warehouse.snapshots, plan.template)


def _is_of_today(path: Path) -> bool:
    """Whether a file is there and younger than a day."""
    try:
        return time.time() - path.stat().st_mtime < timedelta(days=1).total_seconds()
    except FileNotFoundError:
        return False
