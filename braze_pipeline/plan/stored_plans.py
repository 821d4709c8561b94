"""A plan as a row of ``records.plans``, and whether it may still be carried out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from braze_pipeline.braze.fields import sendable
from braze_pipeline.errors import GuardStopped, NewerVersion, NotBuilt, PlanOutdated
from braze_pipeline.ledger import watermarks
from braze_pipeline.ledger.columns import SNAPSHOT_VERSION, AttributeColumns
from braze_pipeline.ledger.ledger import Ledger, ledger_name, ledger_of
from braze_pipeline.ledger.plan_ref import PARTIAL
from braze_pipeline.plan.forecast import AttributeCost, Forecast
from braze_pipeline.plan.guards import GuardResult
from braze_pipeline.plan.predicted import PredictedCost
from braze_pipeline.plan.preflight import Preflight
from braze_pipeline.settings import ValueType
from braze_pipeline.settings.destination import TrackName

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.layout import Column
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

VERSION: Final = SNAPSHOT_VERSION
"""Of the JSON of a plan, and of its snapshot."""


@dataclass(frozen=True, kw_only=True)
class PlanColumn(AttributeColumns):
    """An attribute of a plan, and its columns in the snapshot."""

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
    """What a plan would do. This is the only model of a plan, and the JSON that is stored.

    Always: profiles + leaving_users = planned_users + unchanged_users + superseded_users +
    held_back_users.

    A field that is added later needs a default, which earlier plans get. A field can be removed.
    Raise ``VERSION`` when older packages must no longer read the JSON; where the meaning of stored
    data changes, add a migration of ``records`` as well.
    """

    version: int = 1
    """What ``VERSION`` was when the plan was made; 0.1.0 stored none."""
    plan_id: str
    destination: str
    ledger: str
    template: str
    run_id: str
    days: tuple[date, ...]
    created_at: datetime
    ledger_version: int
    status: str = "ready"
    """``ready``, ``held``, ``sending``, ``sent``, ``outdated`` or ``forgotten``."""
    audience: int
    """Customers in the newest day's audience."""
    profiles: int
    """Profile rows of all the days."""
    planned_users: int
    planned_attributes: int
    unchanged_users: int
    """Braze has acknowledged every value of their profiles."""
    superseded_users: int
    """All that differs was decided by a newer day; in a range, also rows of users who have a newer
    row in it."""
    held_back_users: int
    """Suppressed: they differ, but Braze refused exactly this object before, or it is larger than a
    request."""
    leaving_users: int
    """Planned without a profile: they left the audience."""
    known_users: int
    unknown_users: int
    """Users of the template, by whether Braze is known to have them."""
    not_in_braze_users: int
    """Of the unknown, those that Braze does not have, by its own answer."""
    unconfirmed_users: int
    """Users whose values were acknowledged while that was unknown."""
    resent_users: int
    """Planned again without a change: unconfirmed, reset or in doubt."""
    reasons: dict[str, int]
    """Planned users by reason."""
    new_attributes: tuple[str, ...]
    """Names that Braze does not have; if it could not be asked, that it never acknowledged."""
    stopped_attributes: tuple[str, ...]
    """Names of blocked attributes, with the cause in a few words."""
    retired_attributes: tuple[str, ...]
    """Names of the last plan that the template no longer has."""
    predicted: PredictedCost | None = None
    """What comes from computed predictions; None where none are, and in earlier plans."""
    partial: bool = False
    """Of one user alone (``try``): runs neither send it nor compare anything with it."""
    first_send: bool
    """The ledger was empty: everything is new."""
    forecast: Forecast
    preflight: Preflight
    """What Braze has under the template's names."""
    endpoint: TrackName = "track"
    """The endpoint that the snapshot's requests are made for."""
    bulk_permitted: bool = False
    """Braze said that the key may send in bulk; it is only asked where that would gain time."""
    guards: tuple[GuardResult, ...] = ()
    changed_share: float | None = None
    """Of the users sent before, the share that changes; None in plans that did not keep it."""
    rejected_share: float | None = None
    """Of the newest day's audience, the share without a profile; None as above."""
    force_stale: str | None = None
    """The reason given for overriding the stale guard."""
    built_from: tuple[str, ...] = field(default=(), repr=False)
    """When the days' tables were written; empty in plans that did not keep it."""
    columns: tuple[PlanColumn, ...] = field(default=(), repr=False)
    """What the columns of the snapshot are."""

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
        """The cost of each attribute, most expensive first."""
        return self.forecast.by_attribute

    @property
    def stopped_by(self) -> tuple[GuardResult, ...]:
        """The guards that stop the plan."""
        return tuple(guard for guard in self.guards if guard.stops)


def store(con: duckdb.DuckDBPyConnection, s: PlanSummary, *, template_no: int) -> None:
    """Record a plan; earlier plans of the template that were not carried out are outdated now.

    A partial plan outdates them once it changes the ledger.
    """
    if not s.partial:
        # RETURNING stores these rows again, at the end: before the plan, so rowid tells age.
        outdated = con.execute(
            "UPDATE records.plans SET status = 'outdated' "
            "WHERE ledger = ? AND template = ? AND status IN ('ready', 'held') RETURNING plan_id",
            [s.ledger, s.template],
        ).fetchall()
        watermarks.drop_pending(con, [plan_id for (plan_id,) in outdated])
    state = Ledger(con, s.ledger).template(s.template)
    row = {
        "plan_id": s.plan_id, "destination": s.destination, "ledger": s.ledger,
        "template": s.template, "template_no": template_no, "run_id": s.run_id,
        "days": list(s.days), "created_at": s.created_at, "ledger_version": s.ledger_version,
        "evaluation": state.evaluations if state else 0, "status": s.status,
        "accepted_users": 0, "refused_users": 0, "summary": _dump(s),
    }  # fmt: skip
    names = ", ".join(row)
    marks = ", ".join("?" for _ in row)
    con.execute(f"INSERT INTO records.plans ({names}) VALUES ({marks})", list(row.values()))


def load(con: duckdb.DuckDBPyConnection, plan_id: str) -> PlanSummary:
    """A stored plan, with its status and its guards as they are now.

    Raises:
        NotBuilt: there is no such plan.
        NewerVersion: a newer version of the package made it.
    """
    row = con.execute(
        "SELECT summary, status FROM records.plans WHERE plan_id = ?", [plan_id]
    ).fetchone()
    if row is None:
        raise NotBuilt(
            f"There is no plan {plan_id} in records.plans.", fix="Materialize braze_plan again."
        )
    return _load(plan_id, row[0], status=row[1])


def latest(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    days: Sequence[date] | None = None,
    *,
    run_id: str | None = None,
) -> PlanSummary | None:
    """The newest plan of a template, of the given days and run or of any; None if there is none.

    Newest by the order in which plans were stored: a clock may be set back.
    """
    of_days = None if days is None else sorted(days)
    row = con.execute(
        "SELECT plan_id FROM records.plans WHERE ledger = $ledger AND template = $template "
        "AND ($days::DATE[] IS NULL OR days = $days::DATE[]) "
        f"AND run_id = coalesce($run_id, run_id) AND NOT {PARTIAL} "
        "ORDER BY rowid DESC LIMIT 1",
        {"ledger": ledger_name(t), "template": t.name, "days": of_days, "run_id": run_id},
    ).fetchone()
    return None if row is None else load(con, row[0])


def last_sent(con: duckdb.DuckDBPyConnection, ledger: str, template: str) -> PlanSummary | None:
    """A template's newest plan that was carried out; None if there is none."""
    row = con.execute(
        "SELECT plan_id FROM records.plans WHERE ledger = ? AND template = ? "
        f"AND status = 'sent' AND NOT {PARTIAL} ORDER BY rowid DESC LIMIT 1",
        [ledger, template],
    ).fetchone()
    return None if row is None else load(con, row[0])


@cache
def _model() -> TypeAdapter[PlanSummary]:
    return TypeAdapter(PlanSummary)


def _dump(plan: PlanSummary) -> str:
    found = _model().dump_python(plan, mode="json", exclude={"status"})
    return json.dumps(found, ensure_ascii=False)


def _load(plan_id: str, text: str, *, status: str) -> PlanSummary:
    raw = json.loads(text)
    if raw.get("version", 1) > VERSION:
        raise NewerVersion(
            f"The plan {plan_id} was made by a newer version of braze_pipeline (plan version "
            f"{raw['version']}; this one knows version {VERSION}).",
            fix="Use the version of braze_pipeline that made it, or plan again.",
        )
    for finding in raw["preflight"]["findings"]:
        # Earlier plans call it ``stops``.
        if "stops" in finding:
            finding["blocked"] = finding.pop("stops")
    return _model().validate_python(raw | {"status": status})


def snapshot_of(warehouse: Warehouse, plan_id: str) -> Path:
    """The snapshot of a plan.

    Raises:
        NotBuilt: it is gone.
    """
    path = warehouse.snapshot(plan_id)
    if not path.exists():
        raise NotBuilt(
            f"The snapshot {path.name} of the plan is gone.",
            fix="Materialize braze_plan again, and send that.",
        )
    return path


def built_from(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Sequence[date]
) -> tuple[str, ...]:
    """What ``PlanSummary.built_from`` is for a plan that is made now.

    Not the versions: a change of the columns takes those of all other days away.
    """
    tables = [t.table(name) for name in ("customer_attributes", "audience", "profiles")]
    rows = con.execute(
        "SELECT written_at::VARCHAR FROM records.days WHERE "
        "list_contains(?, table_name) AND list_contains(?::DATE[], as_of) ORDER BY ALL",
        [tables, list(days)],
    ).fetchall()
    return tuple(written_at for (written_at,) in rows)


def check_sendable(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, t: TemplateSettings, plan_id: str
) -> None:
    """Make sure that the plan still fits the ledger, and that no guard stops it.

    Call it with the journal applied and before the first request, also when a send is resumed.

    Raises:
        PlanOutdated: the ledger changed since, in a way that concerns the plan
            (``Ledger.still_fits``); an attribute of the plan is no longer sent; or its days were
            built again.
        NotBuilt: the plan's snapshot is gone.
        GuardStopped: a guard stops it.
    """
    plan = load(con, plan_id)
    ledger = ledger_of(con, t)
    same = plan.ledger == ledger.name and plan.template == t.name
    fresh = ledger.still_fits(plan_id, since=plan.ledger_version)
    removed = {c.name for c in plan.columns} - {attribute.name for attribute in sendable(t)}
    rebuilt = plan.built_from and {*built_from(con, t, plan.days)} - {*plan.built_from}
    why = None
    if same and removed:
        why = f"removed from the template: {', '.join(map(repr, sorted(removed)))}"
    elif same and fresh and rebuilt:
        why = "its days were built again"
    elif not same or not fresh or plan.status in ("outdated", "forgotten"):
        why = f"another day was sent, or a command changed the ledger {plan.ledger}"
    if why:
        raise PlanOutdated(
            f"Plan {plan_id} is out of date. After it was made: {why}.",
            fix="Materialize braze_plan again, and send that.",
        )
    snapshot_of(warehouse, plan_id)
    if plan.status == "held":
        raise guard_stopped(plan.stopped_by)


def guard_stopped(guards: Iterable[GuardResult]) -> GuardStopped:
    """The error that names the guards that stop a plan, and how to let it pass once."""
    stopping = list(guards)
    saw = "; ".join(f"{g.name}: {g.saw}, allowed {g.allowed}" for g in stopping)
    names = " ".join(f"--let-through {g.name}" for g in stopping)
    return GuardStopped(
        f"Nothing was sent. A guard stopped the plan: {saw}.",
        fix=f'If this is expected, run again with {names} --reason "…"; it applies to one run.',
    )


def record_let_through(con: duckdb.DuckDBPyConnection, plan: PlanSummary, *, now: datetime) -> None:
    """Record which guards somebody let the plan pass."""
    con.execute("DELETE FROM records.guards_let_through WHERE plan_id = ?", [plan.plan_id])
    for guard in plan.guards:
        if guard.let_through is not None:
            con.execute(
                "INSERT INTO records.guards_let_through (plan_id, guard, reason, let_through_at) "
                "VALUES (?, ?, ?, ?)",
                [plan.plan_id, guard.name, guard.let_through, now],
            )
