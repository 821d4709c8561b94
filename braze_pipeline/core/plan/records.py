"""A plan as a row of ``records.plans``, and whether it may still be carried out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braze_pipeline.core.ledger import tables
from braze_pipeline.core.plan.forecast import AttributeCost, Forecast, History
from braze_pipeline.core.plan.guards import GuardResult
from braze_pipeline.core.preflight import Preflight
from braze_pipeline.errors import GuardStopped, NotBuilt, PlanOutdated
from braze_pipeline.settings import ValueType

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.core.ledger.columns import Column
    from braze_pipeline.settings import TemplateSettings


@dataclass(frozen=True, kw_only=True)
class PlanColumn:
    """What the columns c{no}, n{no}, o{no} of a snapshot are."""

    no: int
    name: str
    type: ValueType
    stored: str
    is_field: bool
    pii: bool

    @classmethod
    def of(cls, column: Column) -> PlanColumn:
        """The same, from the ledger's column."""
        s = column.settings
        return cls(
            no=column.no, name=s.name, type=s.type, stored=column.stored, is_field=s.is_field,
            pii=s.pii,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PlanSummary:
    """What a plan would do.

    Always: profiles + leaving_users = planned_users + unchanged_users + superseded_users +
    held_back_users.

    Attributes:
        audience: Customers in the newest day's audience.
        profiles: Profile rows of all the days.
        planned_users, planned_attributes: What the snapshot holds.
        unchanged_users: Braze has acknowledged all that their profiles say.
        superseded_users: Nothing to send but what a newer day has already settled; in a range,
            also rows of a user who has a newer row in it.
        held_back_users: They differ, but Braze refused exactly this object before, or no request
            is large enough for it.
        leaving_users: Planned without a profile: they left the audience.
        known_users, unknown_users: Users of the template by whether Braze is known to have them.
        not_in_braze_users: Of the unknown, those that Braze said it has not.
        unconfirmed_users: Users whose values were acknowledged while nobody knew that.
        resent_users: Planned in full again, because unconfirmed or reset.
        new_attributes: Names that Braze does not have; where it could not be asked, that it never
            acknowledged before.
        stopped_attributes: Names held back, with the cause in a few words.
        preflight: What Braze has under the template's names.
        retired_attributes: Names of the last plan that the template no longer has.
        reasons: Planned users by reason.
        first_send: The ledger was empty: everything is new.
    """

    plan_id: str
    destination: str
    ledger: str
    template: str
    run_id: str
    days: tuple[date, ...]
    created_at: datetime
    ledger_version: int
    snapshot: Path
    status: str
    audience: int
    profiles: int
    planned_users: int
    planned_attributes: int
    unchanged_users: int
    superseded_users: int
    held_back_users: int
    leaving_users: int
    known_users: int
    unknown_users: int
    not_in_braze_users: int
    unconfirmed_users: int
    resent_users: int
    reasons: dict[str, int]
    new_attributes: tuple[str, ...]
    stopped_attributes: tuple[str, ...]
    retired_attributes: tuple[str, ...]
    first_send: bool
    forecast: Forecast
    preflight: Preflight = field(default_factory=Preflight)
    guards: tuple[GuardResult, ...] = ()
    force_stale: str | None = None
    columns: tuple[PlanColumn, ...] = field(default=(), repr=False)

    @property
    def requests(self) -> int:
        """Requests of the snapshot."""
        return self.forecast.requests

    @property
    def bytes(self) -> int:
        """Bytes of all request bodies."""
        return self.forecast.bytes

    @property
    def data_points(self) -> int:
        """Billable data points."""
        return self.forecast.data_points

    @property
    def by_attribute(self) -> tuple[AttributeCost, ...]:
        """The cost of each attribute, dearest first."""
        return self.forecast.by_attribute

    @property
    def stopped_by(self) -> tuple[GuardResult, ...]:
        """The guards that hold the plan back."""
        return tuple(guard for guard in self.guards if guard.stops)


def store(con: duckdb.DuckDBPyConnection, s: PlanSummary, *, template_no: int) -> None:
    """Record a plan; earlier plans of the template that nobody carried out are outdated now."""
    old = [s.ledger, s.template]
    con.execute(
        "DELETE FROM ledger.unsettled WHERE plan_id IN (SELECT plan_id FROM records.plans "
        "WHERE ledger = ? AND template = ? AND status IN ('ready', 'held'))",
        old,
    )
    con.execute(
        "UPDATE records.plans SET status = 'outdated' "
        "WHERE ledger = ? AND template = ? AND status IN ('ready', 'held')",
        old,
    )
    evaluation = tables.count(
        con, "SELECT evaluations FROM ledger.templates WHERE ledger = ? AND template = ?", old
    )
    row = {
        "plan_id": s.plan_id, "destination": s.destination, "ledger": s.ledger,
        "template": s.template, "template_no": template_no, "run_id": s.run_id,
        "days": list(s.days), "created_at": s.created_at, "ledger_version": s.ledger_version,
        "evaluation": evaluation, "status": s.status, "audience": s.audience,
        "profiles": s.profiles, "planned_users": s.planned_users,
        "planned_attributes": s.planned_attributes, "unchanged_users": s.unchanged_users,
        "superseded_users": s.superseded_users, "held_back_users": s.held_back_users,
        "leaving_users": s.leaving_users, "requests": s.requests, "data_points": s.data_points,
        "accepted_users": 0, "refused_users": 0, "force_stale": s.force_stale,
        "columns": json.dumps([asdict(c) for c in s.columns]),
        "summary": json.dumps(asdict(s), default=str), "snapshot": str(s.snapshot),
    }  # fmt: skip
    names = ", ".join(row)
    marks = ", ".join("?" for _ in row)
    con.execute(f"INSERT INTO records.plans ({names}) VALUES ({marks})", list(row.values()))


def load(con: duckdb.DuckDBPyConnection, plan_id: str) -> PlanSummary:
    """A stored plan, with its status and its guards as they are now.

    Raises:
        NotBuilt: there is no such plan.
    """
    row = con.execute(
        "SELECT summary, status FROM records.plans WHERE plan_id = ?", [plan_id]
    ).fetchone()
    if row is None:
        raise NotBuilt(
            f"There is no plan {plan_id} in records.plans.", fix="Materialize braze_plan again."
        )
    return replace(_summary(json.loads(row[0])), status=row[1])


def latest(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    days: Sequence[date] | None = None,
    *,
    run_id: str | None = None,
) -> PlanSummary | None:
    """The newest plan of a template, of the given days and run or of any; None if there is none."""
    row = con.execute(
        "SELECT plan_id FROM records.plans WHERE ledger = ? AND template = ? "
        "AND (? IS NULL OR days = ?::DATE[]) AND run_id = coalesce(?, run_id) "
        "ORDER BY created_at DESC, rowid DESC LIMIT 1",
        [
            tables.ledger_name(t), t.name,
            *([None, None] if days is None else [1, sorted(days)]), run_id,
        ],
    ).fetchone()  # fmt: skip
    return None if row is None else load(con, row[0])


def _summary(raw: dict[str, Any]) -> PlanSummary:
    forecast = raw["forecast"]
    forecast["by_attribute"] = tuple(AttributeCost(**cost) for cost in forecast["by_attribute"])
    forecast["history"] = History(**forecast["history"])
    raw["forecast"] = Forecast(**forecast)
    raw["guards"] = tuple(GuardResult(**guard) for guard in raw["guards"])
    raw["days"] = tuple(date.fromisoformat(day) for day in raw["days"])
    raw["created_at"] = datetime.fromisoformat(raw["created_at"])
    raw["snapshot"] = Path(raw["snapshot"])
    raw["preflight"] = Preflight.load(raw.get("preflight"))
    raw["columns"] = tuple(
        PlanColumn(**{**c, "type": ValueType(c["type"])}) for c in raw["columns"]
    )
    for name in ("new_attributes", "stopped_attributes", "retired_attributes"):
        raw[name] = tuple(raw[name])
    return PlanSummary(**raw)


def check_sendable(con: duckdb.DuckDBPyConnection, t: TemplateSettings, plan_id: str) -> None:
    """Make sure that carrying out the plan now does what it says.

    Call it after ``fold`` and before the first request, also when a send is resumed.

    Raises:
        PlanOutdated: the ledger changed since, other than by this plan's own send.
        NotBuilt: the plan's snapshot is gone.
        GuardStopped: a guard holds it back.
    """
    plan = load(con, plan_id)
    same = plan.ledger == tables.ledger_name(t) and plan.template == t.name
    fresh = tables.only_changed_by(con, plan.ledger, since=plan.ledger_version, plan_id=plan_id)
    if not same or not fresh or plan.status in ("outdated", "forgotten"):
        raise PlanOutdated(
            f"Plan {plan_id} was made at version {plan.ledger_version} of the ledger "
            f"{plan.ledger}, which has changed since.",
            fix="Materialize braze_plan again, and send that.",
        )
    if not plan.snapshot.exists():
        raise NotBuilt(
            f"The snapshot {plan.snapshot.name} of the plan is gone.",
            fix="Materialize braze_plan again, and send that.",
        )
    if plan.status == "held":
        raise guard_stopped(plan.stopped_by)


def guard_stopped(guards: Iterable[GuardResult]) -> GuardStopped:
    """The error that tells which guards hold a plan back, and how to let it through once."""
    stopping = list(guards)
    saw = "; ".join(f"{g.name}: {g.saw}, allowed {g.allowed}" for g in stopping)
    names = " ".join(f"--let-through {g.name}" for g in stopping)
    return GuardStopped(
        f"Nothing was sent. A guard stopped the plan: {saw}.",
        fix=f'If that is right, run again with {names} --reason "…"; it counts for one run.',
    )


def record_let_through(con: duckdb.DuckDBPyConnection, plan: PlanSummary, *, now: datetime) -> None:
    """Note which guards a plan passed by somebody's word."""
    con.execute("DELETE FROM records.guards_let_through WHERE plan_id = ?", [plan.plan_id])
    for guard in plan.guards:
        if guard.let_through is not None:
            con.execute(
                "INSERT INTO records.guards_let_through (plan_id, guard, reason, let_through_at) "
                "VALUES (?, ?, ?, ?)",
                [plan.plan_id, guard.name, guard.let_through, now],
            )
