"""What a plan would do, counted: from the staged rows, the snapshot, the profiles, the ledger."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.errors import AccountingError
from braze_pipeline.ledger.known_users import count_known_users
from braze_pipeline.ledger.ledger import count
from braze_pipeline.plan import diff, forecast
from braze_pipeline.plan.diff import STAGE
from braze_pipeline.plan.guards import Evidence
from braze_pipeline.plan.stored_plans import VERSION, PlanColumn, PlanSummary
from braze_pipeline.plan.unchanged import count_unchanged
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import days_sql, file_literal

if TYPE_CHECKING:
    from braze_pipeline.braze.track_endpoints import TrackEndpoint
    from braze_pipeline.plan.diff_request import DiffRequest, LedgerState
    from braze_pipeline.plan.forecast import AttributeCost
    from braze_pipeline.plan.preflight import Preflight


def summarise(
    q: DiffRequest,
    past: LedgerState,
    path: Path,
    made_for: TrackEndpoint,
    *,
    plan_id: str,
    run_id: str,
    now: datetime,
    preflight: Preflight,
) -> PlanSummary:
    """Count a plan whose snapshot is at ``path``; its guards and its status come later.

    ``made_for`` is the endpoint that its requests are made for.

    Raises:
        AccountingError: a user has two rows.
    """
    con, t, layout, ledger = q.ledger.con, q.t, q.layout, q.ledger
    costs = forecast.forecast(
        con, t.destination, made_for, layout.columns, snapshot=path, profiles=diff.profiles(q),
        history=forecast.past(con, ledger.name, t.name),
    )  # fmt: skip
    _check_users(q, path, planned=costs.users, plan_id=plan_id)
    reasons = con.execute(
        f"SELECT __reason, count(*) FROM {_rows(path)} GROUP BY ALL ORDER BY 2 DESC, 1"
    ).fetchall()
    superseded, suppressed, leaving = _count_staged(q)
    days = days_sql(q.days)
    profiles = count(con, f"SELECT count(*) FROM {q.profiles_table} WHERE __as_of IN ({days})")
    who = count_known_users(layout, stage=STAGE, proof=q.proof)
    return PlanSummary(
        version=VERSION,
        plan_id=plan_id,
        destination=t.destination.name,
        ledger=ledger.name,
        template=t.name,
        run_id=run_id,
        days=q.days,
        created_at=now,
        ledger_version=ledger.version(),
        audience=count(
            con,
            f"SELECT count(*) FROM {t.table('audience')} WHERE __as_of = ? AND left_out_by IS NULL",
            [q.newest],
        ),
        profiles=profiles,
        planned_users=costs.users,
        planned_attributes=costs.attributes,
        unchanged_users=count_unchanged(q, past),
        # In a range, also the rows of users who have a newer one in it.
        superseded_users=superseded + profiles - costs.full_users,
        held_back_users=suppressed,
        leaving_users=leaving,
        known_users=who.known,
        unknown_users=who.unknown,
        not_in_braze_users=who.not_in_braze,
        unconfirmed_users=who.unconfirmed,
        resent_users=dict(reasons).get("resend", 0),
        reasons=dict(reasons),
        new_attributes=tuple(
            cost.name for cost in costs.by_attribute if cost.users and _is_new(cost, preflight)
        ),
        stopped_attributes=tuple(f"{one.name} ({one.brief})" for one in layout.blocked),
        preflight=preflight,
        retired_attributes=layout.retired,
        partial=q.user is not None,
        first_send=not ledger.has_acknowledgements(),
        forecast=costs,
        endpoint=made_for.name,
        columns=tuple(PlanColumn.of(column) for column in layout.columns),
    )


def guard_evidence(
    q: DiffRequest, path: Path, plan: PlanSummary, last: PlanSummary | None
) -> Evidence:
    """What the guards compare: the plan, and the template's last sent plan.

    On the first day of a fit everybody's predicted value changes, as it must: the share of changed
    users is then that of the attributes that are made from anything else.
    """
    con = q.ledger.con
    refit = plan.predicted.wholly if plan.predicted and plan.predicted.first_day else ()
    known = [c.changed for c in q.layout.columns if not c.first_time and c.name not in refit]
    changed = count(
        con,
        f"SELECT count(*) FROM {_rows(path)} "
        f"WHERE __reason IN ('changed', 'cleared') AND ({' OR '.join(known) or 'false'})",
    )
    profiles = count(
        con, f"SELECT count(*) FROM {q.t.table('profiles')} WHERE __as_of = ?", [q.newest]
    )
    nulls = {
        cost.name: 1 - cost.full_users / last.forecast.full_users
        for cost in (last.by_attribute if last else ())
        if last and last.forecast.full_users
    }
    return Evidence(
        audience=plan.audience,
        profiles=profiles,
        last_audience=last.audience if last else None,
        last_nulls=nulls,
        in_ledger=max(0, plan.forecast.full_users - plan.reasons.get("new user", 0)),
        changed=changed,
        new_attributes=plan.new_attributes,
        missing=len(plan.preflight.missing),
        in_braze=len(plan.preflight.missing) + plan.preflight.present,
        first_send=plan.first_send,
        forecast=plan.forecast,
    )


def _rows(path: Path) -> str:
    return f"read_parquet({file_literal(path)})"


def _check_users(q: DiffRequest, path: Path, *, planned: int, plan_id: str) -> None:
    users = count(q.ledger.con, f"SELECT count(DISTINCT __user_id) FROM {_rows(path)}")
    if users != planned:
        raise AccountingError(
            f"Plan {plan_id} has {planned} rows for {users} users.",
            fix="A user has two profiles on one day: see the contract of braze_profiles.",
        )


def _count_staged(q: DiffRequest) -> tuple[int, int, int]:
    """Users superseded, suppressed, and leaving."""
    query = read_sql("plan", "staged_counts", stage=STAGE)
    superseded, suppressed, leaving = q.ledger.con.execute(query).fetchone() or (0, 0, 0)
    return superseded, suppressed, leaving


def _is_new(cost: AttributeCost, preflight: Preflight) -> bool:
    """Whether Braze creates the custom attribute: by its own list, or else by the ledger."""
    if FIELDS.get(cost.name):
        return False
    if preflight.compared_at is None:
        return cost.new
    if not preflight.note:
        return cost.name in preflight.new
    # Braze was asked some time ago: only what it had then is certainly not new.
    return cost.new and not (preflight.listed and preflight.listed.has(cost.name))
