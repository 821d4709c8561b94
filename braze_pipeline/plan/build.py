"""The plan of a day, or of a range of days, from start to end."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.attributes.lineage import last_lineage
from braze_pipeline.attributes.personal import decide_personal
from braze_pipeline.braze.existing_attributes import AttributeState
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.errors import AccountingError
from braze_pipeline.ledger import endpoint, known_users, tables, watermarks
from braze_pipeline.ledger.layout import BlockedAttribute, ensure_layout
from braze_pipeline.ledger.plan_ref import find_plan
from braze_pipeline.plan import diff, forecast, guards, snapshot, stored_plans
from braze_pipeline.plan.diff import STAGE
from braze_pipeline.plan.preflight import Preflight
from braze_pipeline.plan.stored_plans import PlanColumn, PlanSummary
from braze_pipeline.plan.unchanged import count_unchanged
from braze_pipeline.storage import journal, rejections
from braze_pipeline.storage.warehouse import literal

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.layout import Layout
    from braze_pipeline.plan.forecast import AttributeCost
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

BARRED = "__plan_barred"
_BRIEF = {
    AttributeState.BLOCKLISTED: "on Braze's blocklist",
    AttributeState.OTHER_TYPE: "of another type in Braze",
    AttributeState.OTHER_CASE: "spelt otherwise in Braze",
}
KEEP_SNAPSHOTS = 3


def build_plan(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    run_id: str,
    now: datetime,
    force_stale: str | None = None,
    let_through: Sequence[str] = (),
    reason: str | None = None,
    preflight: Preflight | None = None,
) -> PlanSummary:
    """Compare the days' profiles with the ledger, and store what would have to be sent.

    The journal is folded first. Of a user with profiles of several days only the newest counts.
    ``now`` is the wall clock: what "unconfirmed for a week" goes by. ``force_stale`` is the reason
    for sending values older than what Braze has, which is recorded. ``let_through`` names guards
    that this one plan may pass, for ``reason``. ``preflight`` is what Braze has under our names.

    Raises:
        AccountingError: the counts do not add up, or the profiles name a user twice.
        EndpointMismatch: the ledger is about another Braze endpoint.
        LedgerError: the ledger or its journal cannot be used.
    """
    now = now.astimezone(UTC).replace(tzinfo=None) if now.tzinfo else now
    endpoint.claim(con, warehouse, t)
    t = decide_personal(t, last_lineage(con, t))
    preflight = preflight or Preflight(note="Braze was not asked.")
    layout = ensure_layout(con, t, _stopped(preflight))
    if t.destination.known_users.source == "list" and not known_users.trusted(t):
        known_users.mark_listed(con, t, days, now=now)
    question = diff.DiffRequest(
        t=t,
        layout=layout,
        days=tuple(sorted(set(days))),
        resend_before=now - timedelta(days=t.destination.known_users.resend_days),
        trusted=known_users.trusted(t),
        forced=force_stale is not None,
    )
    past = diff.history(con, question)
    diff.stage(con, question, past)
    plan_id = f"{t.name}-{question.newest}-{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    path = warehouse.snapshot(plan_id)
    barred = _bar(con, t, layout)
    where = f"__send AND __user_id NOT IN (SELECT user_id FROM {BARRED})" if barred else "__send"
    snapshot.write(con, path, t.destination, layout.columns, where=where)
    plan = _summarise(
        con, question, path, plan_id=plan_id, run_id=run_id, now=now, preflight=preflight,
        unchanged=count_unchanged(con, question, past),
    )  # fmt: skip
    plan = replace(plan, force_stale=force_stale, guards=_judge(con, question, path, plan))
    plan = replace(plan, guards=guards.let_pass(plan.guards, let_through, reason))
    plan = replace(plan, status="held" if plan.stopped_by else "ready")
    with tables.transaction(con):
        stored_plans.store(con, plan, template_no=layout.template_no)
        stored_plans.record_let_through(con, plan, now=now)
        _unsettled(con, question, past, plan_id=plan_id)
        _reject(con, question, plan, now=now)
    if not plan.planned_users and plan.status == "ready":
        plan = _carry_out_nothing(con, warehouse, plan)
    con.execute(f"DROP TABLE {STAGE}")
    _prune(con, warehouse, plan)
    return plan


def _stopped(preflight: Preflight) -> dict[str, BlockedAttribute]:
    return {
        name: BlockedAttribute(
            name=name, reason=finding.state, brief=_BRIEF[finding.state], text=finding.text
        )
        for name, finding in preflight.stopped.items()
    }


def _is_new(cost: AttributeCost, preflight: Preflight) -> bool:
    """Whether Braze creates the attribute: as it says itself, or else as the ledger says."""
    if preflight.compared_at is not None and not FIELDS.get(cost.name):
        return cost.name in preflight.new
    return cost.new


def _bar(con: duckdb.DuckDBPyConnection, t: TemplateSettings, layout: Layout) -> int:
    """Find planned objects that cannot go: refused before just as they are, or too large.

    Refusals with 408, 429 or 5xx are Braze's trouble and not the value's: these go again.
    """
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {BARRED} AS "
        f"SELECT s.__user_id AS user_id, 'refused_before' AS why FROM {STAGE} s "
        "JOIN ledger.refused r ON r.user_id = s.__user_id AND r.object_md5 = md5(s.__object) "
        "WHERE s.__send AND r.ledger = ? AND r.template = ? "
        "AND coalesce(r.status, 400) NOT IN (408, 429) AND coalesce(r.status, 400) < 500 "
        f"UNION SELECT __user_id, 'too_large' FROM {STAGE} "
        f"WHERE __send AND strlen(__object) + 1 > {snapshot.usable_bytes(t.destination)}",
        [layout.ledger, t.name],
    )
    return tables.count(con, f"SELECT count(*) FROM {BARRED}")


@dataclass(frozen=True)
class _Staged:
    """Counts of the staged rows."""

    superseded: int
    held_back: int
    held_profiles: int
    leaving: int
    resent: int
    reasons: dict[str, int]


def _staged(con: duckdb.DuckDBPyConnection, path: Path) -> _Staged:
    row = con.execute(
        f"SELECT (SELECT count(*) FROM {STAGE} WHERE __stale AND NOT __send AND __present), "
        f"(SELECT count(DISTINCT user_id) FROM {BARRED}), "
        f"(SELECT count(*) FROM {STAGE} WHERE __present AND __user_id IN "
        f"(SELECT user_id FROM {BARRED})), "
        f"(SELECT count(*) FROM {STAGE} WHERE __send AND NOT __present AND __user_id NOT IN "
        f"(SELECT user_id FROM {BARRED}))"
    ).fetchone() or (0, 0, 0, 0)
    reasons = dict(
        con.execute(
            f"SELECT __reason, count(*) FROM read_parquet({literal(str(path))}) GROUP BY ALL "
            "ORDER BY 2 DESC, 1"
        ).fetchall()
    )
    return _Staged(
        superseded=row[0],
        held_back=row[1],
        held_profiles=row[2],
        leaving=row[3],
        resent=reasons.get("resend", 0),
        reasons=reasons,
    )


def _summarise(
    con: duckdb.DuckDBPyConnection,
    q: diff.DiffRequest,
    path: Path,
    *,
    plan_id: str,
    run_id: str,
    now: datetime,
    preflight: Preflight,
    unchanged: int,
) -> PlanSummary:
    t, layout = q.t, q.layout
    staged = _staged(con, path)
    costs = forecast.forecast(
        con, t.destination, layout.columns, snapshot=path, profiles=diff.profiles(q),
        history=forecast.past(con, layout.ledger, t.name),
    )  # fmt: skip
    rows = tables.count(
        con,
        f"SELECT count(*) FROM {t.table('profiles')} WHERE __as_of IN (SELECT unnest(?::DATE[]))",
        [list(q.days)],
    )
    distinct = costs.full_users
    _check_users(con, path, costs.users, plan_id)
    who = known_users.count_known_users(
        con, layout.ledger, layout.template_no, stage=STAGE, trusted=q.trusted
    )
    first = not tables.count(
        con, "SELECT count(*) FROM ledger.acks WHERE ledger = ?", [layout.ledger]
    )
    return PlanSummary(
        plan_id=plan_id,
        destination=t.destination.name,
        ledger=layout.ledger,
        template=t.name,
        run_id=run_id,
        days=q.days,
        created_at=now,
        ledger_version=tables.version(con, layout.ledger),
        audience=tables.count(
            con,
            f"SELECT count(*) FROM {t.table('audience')} WHERE __as_of = ? AND left_out_by IS NULL",
            [q.newest],
        ),
        profiles=rows,
        planned_users=costs.users,
        planned_attributes=costs.attributes,
        unchanged_users=unchanged,
        superseded_users=staged.superseded + rows - distinct,
        held_back_users=staged.held_profiles,
        leaving_users=staged.leaving,
        known_users=who.known,
        unknown_users=who.unknown,
        not_in_braze_users=who.not_in_braze,
        unconfirmed_users=who.unconfirmed,
        resent_users=staged.resent,
        reasons=staged.reasons,
        new_attributes=tuple(
            cost.name for cost in costs.by_attribute if cost.users and _is_new(cost, preflight)
        ),
        stopped_attributes=tuple(f"{one.name} ({one.brief})" for one in layout.stopped),
        preflight=preflight,
        retired_attributes=layout.retired,
        first_send=first,
        forecast=costs,
        columns=tuple(PlanColumn.of(column) for column in layout.columns),
    )


def _check_users(con: duckdb.DuckDBPyConnection, path: Path, planned: int, plan_id: str) -> None:
    users = tables.count(
        con, f"SELECT count(DISTINCT __user_id) FROM read_parquet({literal(str(path))})"
    )
    if users != planned:
        raise AccountingError(
            f"Plan {plan_id} has {planned} rows for {users} users.",
            fix="Some user has two profiles on one day: see the contract of braze_profiles.",
        )


def _judge(
    con: duckdb.DuckDBPyConnection, q: diff.DiffRequest, path: Path, plan: PlanSummary
) -> tuple[guards.GuardResult, ...]:
    last = con.execute(
        "SELECT plan_id FROM records.plans WHERE ledger = ? AND template = ? "
        "AND status = 'sent' ORDER BY created_at DESC, rowid DESC LIMIT 1",
        [plan.ledger, plan.template],
    ).fetchone()
    then = None if last is None else stored_plans.load(con, last[0])
    nulls = {
        cost.name: 1 - cost.full_users / then.forecast.full_users
        for cost in (then.by_attribute if then else ())
        if then and then.forecast.full_users
    }
    profiles = tables.count(
        con, f"SELECT count(*) FROM {q.t.table('profiles')} WHERE __as_of = ?", [q.newest]
    )
    new = plan.reasons.get("new user", 0)
    known = [f"c{c.no}" for c in q.layout.columns if not c.new]
    changed = tables.count(
        con,
        f"SELECT count(*) FROM read_parquet({literal(str(path))}) "
        f"WHERE __reason IN ('changed', 'cleared') AND ({' OR '.join(known) or 'false'})",
    )
    evidence = guards.Evidence(
        audience=plan.audience,
        profiles=profiles,
        last_audience=then.audience if then else None,
        last_nulls=nulls,
        in_ledger=max(0, plan.forecast.full_users - new),
        changed=changed,
        new_attributes=plan.new_attributes,
        first_send=plan.first_send,
        forecast=plan.forecast,
    )
    return guards.evaluate(q.t.guards, evidence)


def _unsettled(
    con: duckdb.DuckDBPyConnection, q: diff.DiffRequest, past: diff.LedgerState, *, plan_id: str
) -> None:
    """Remember whose newest day evaluated moves when the plan is carried out."""
    latest = "true" if past.latest(q.newest) else "false"
    con.execute(
        "INSERT INTO ledger.unsettled (plan_id, user_id, as_of) SELECT ?, __user_id, "
        "CASE WHEN __present AND NOT barred THEN __as_of END FROM "
        f"(SELECT *, __user_id IN (SELECT user_id FROM {BARRED}) AS barred FROM {STAGE}) "
        f"WHERE (__moves AND __present AND NOT __send) "
        f"OR ({latest} AND __seen = {tables.CURRENT} "
        "AND (barred OR (NOT __present AND NOT __send)))",
        [plan_id],
    )


def _reject(
    con: duckdb.DuckDBPyConnection, q: diff.DiffRequest, plan: PlanSummary, *, now: datetime
) -> None:
    """Attributes that are stopped, and objects that no request is large enough for."""
    d = plan.destination
    for day in q.days:
        rejections.clear(con, destination=d, template=plan.template, stage="plan", as_of=day)
    insert = (
        "INSERT INTO records.rejections (as_of, destination, template, stage, customer_id, "
        "user_id, attribute, reason, message, row_rejected, run_id, rejected_at) "
    )
    for one in q.layout.stopped:
        con.execute(
            f"{insert} VALUES (?, ?, ?, 'plan', NULL, NULL, ?, ?, ?, false, ?, ?)",
            [q.newest, d, plan.template, one.name, one.reason, one.text, plan.run_id, now],
        )
    con.execute(
        f"{insert} SELECT s.__as_of, ?, ?, 'plan', s.__customer_id, s.__user_id, NULL, "
        "'object_too_large', 'The object is larger than a whole request may be.', true, ?, ? "
        f"FROM {STAGE} s WHERE s.__user_id IN (SELECT user_id FROM {BARRED} "
        "WHERE why = 'too_large')",
        [d, plan.template, plan.run_id, now],
    )


def _carry_out_nothing(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, plan: PlanSummary
) -> PlanSummary:
    """A plan with nothing to send is carried out as soon as it is made."""
    stored = find_plan(con, warehouse, plan.plan_id)
    if stored is None:
        return plan
    with tables.transaction(con):
        if watermarks.settle(con, stored):
            tables.bump(con, plan.ledger, "settle", plan.plan_id)
        con.execute("UPDATE records.plans SET status = 'sent' WHERE plan_id = ?", [plan.plan_id])
    return replace(plan, status="sent")


def _prune(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, plan: PlanSummary) -> None:
    """Snapshots hold customers' values: only a template's newest are kept, and resumable ones.

    So is that of a send under way: without it the acknowledgements to come would be lost.
    """
    unapplied = journal.unapplied(warehouse.journal_path, plan.destination)
    under_way = {send.plan_id for send in unapplied}
    for plan_id, version in con.execute(
        "SELECT plan_id, ledger_version FROM records.plans "
        "WHERE ledger = ? AND template = ? AND status = 'sending'",
        [plan.ledger, plan.template],
    ).fetchall():
        fresh = tables.only_changed_by(con, plan.ledger, since=version, plan_id=plan_id)
        if not fresh and plan_id not in under_way:
            con.execute("UPDATE records.plans SET status = 'outdated' WHERE plan_id = ?", [plan_id])
            con.execute("DELETE FROM ledger.unsettled WHERE plan_id = ?", [plan_id])
    rows = con.execute(
        "SELECT plan_id FROM (SELECT plan_id, status, row_number() OVER (PARTITION BY ledger, "
        "template ORDER BY created_at DESC, rowid DESC) AS age FROM records.plans) "
        f"WHERE age <= {KEEP_SNAPSHOTS} OR status = 'sending'"
    ).fetchall()
    keep = under_way | {plan_id for (plan_id,) in rows}
    for path in warehouse.snapshots.glob(f"{plan.template}-*.parquet"):
        if path.stem not in keep:
            path.unlink(missing_ok=True)
