"""One run in figures: what ``run --json`` prints and the demo shows.

The figures come from the tables that the run wrote, not from the steps that wrote them. Plan and
send are the run's own; customers, audience and profiles are the day's, which another run of the
same day may have written since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from braze_pipeline.audience.build import RULES
from braze_pipeline.plan import stored_plans

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.settings import TemplateSettings


@dataclass(frozen=True, kw_only=True)
class Report:
    """The figures of a run, over all of its days.

    Attributes:
        left_out: Customers left out of the audience, by the first rule that excluded them.
        plan: The run's own plan; None when it ended before there was one.
        accepted_users, rejected_users: Users of that plan, by Braze's answer so far.
    """

    days: tuple[date, ...]
    customers: int
    audience: int
    left_out: dict[str, int]
    profiles: int
    rejected_values: int
    rejected_rows: int
    plan: PlanSummary | None
    accepted_users: int
    rejected_users: int

    @property
    def not_attempted_users(self) -> int:
        """Planned users that have no answer from Braze."""
        planned = self.plan.planned_users if self.plan else 0
        return planned - self.accepted_users - self.rejected_users

    def as_json(self, *, status: str) -> dict[str, object]:
        """The object that ``run --json`` prints; a contract (see the README)."""
        plan = self.plan
        return {
            "as_of": self.days[-1].isoformat(),
            "days": len(self.days),
            "customers": self.customers,
            "audience": self.audience,
            "left_out": self.left_out,
            "profiles": self.profiles,
            "rejected_values": self.rejected_values,
            "rejected_rows": self.rejected_rows,
            "plan": plan.plan_id if plan else None,
            "planned_users": plan.planned_users if plan else 0,
            "planned_attributes": plan.planned_attributes if plan else 0,
            "unchanged_users": plan.unchanged_users if plan else 0,
            "superseded_users": plan.superseded_users if plan else 0,
            "held_back_users": plan.held_back_users if plan else 0,
            "leaving_users": plan.leaving_users if plan else 0,
            "unknown_users": plan.unknown_users if plan else 0,
            "data_points": plan.data_points if plan else 0,
            "full_resend_data_points": plan.forecast.full_data_points if plan else 0,
            "requests": plan.requests if plan else 0,
            "accepted_users": self.accepted_users,
            "rejected_users": self.rejected_users,
            "not_attempted_users": self.not_attempted_users,
            "status": status,
        }


def nothing(days: Sequence[date]) -> Report:
    """The figures of a run that ended before there was a plan: those in the tables are older."""
    return Report(
        days=tuple(days),
        customers=0,
        audience=0,
        left_out={},
        profiles=0,
        rejected_values=0,
        rejected_rows=0,
        plan=None,
        accepted_users=0,
        rejected_users=0,
    )


def report(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Sequence[date], *, run_id: str
) -> Report:
    """Count what a run left in the tables; a run that ended early has zeros where it ended."""
    shown = ", ".join(f"DATE '{day.isoformat()}'" for day in days)
    funnel = _rows(
        con,
        t.db_schema,
        "audience",
        f"SELECT left_out_by, count(*) FROM {t.table('audience')} WHERE __as_of IN ({shown}) "
        "GROUP BY left_out_by",
    )
    profiles = _rows(
        con,
        t.db_schema,
        "profiles",
        f"SELECT count(*) FROM {t.table('profiles')} WHERE __as_of IN ({shown})",
    )
    rejected = _rows(
        con,
        "records",
        "rejections",
        "SELECT count(*) FILTER (NOT row_rejected), "
        "count(DISTINCT (as_of, customer_id)) FILTER (row_rejected) FROM records.rejections "
        f"WHERE stage = 'profiles' AND as_of IN ({shown}) AND destination = ? AND template = ?",
        [t.destination.name, t.name],
    )
    plan = stored_plans.latest(con, t, days, run_id=run_id)
    sent = (
        _rows(
            con,
            "records",
            "plans",
            "SELECT accepted_users, refused_users FROM records.plans WHERE plan_id = ?",
            [plan.plan_id],
        )
        if plan
        else []
    )
    counted = {rule: int(count) for rule, count in funnel}
    rules = [*RULES, *sorted(rule for rule in counted if rule and rule not in RULES)]
    left_out = {rule: counted[rule] for rule in rules if rule in counted}
    audience = counted.get(None, 0)
    return Report(
        days=tuple(days),
        customers=audience + sum(left_out.values()),
        audience=audience,
        left_out=left_out,
        profiles=int(profiles[0][0]) if profiles else 0,
        rejected_values=int(rejected[0][0]) if rejected else 0,
        rejected_rows=int(rejected[0][1]) if rejected else 0,
        plan=plan,
        accepted_users=int(sent[0][0]) if sent else 0,
        rejected_users=int(sent[0][1]) if sent else 0,
    )


def _rows(
    con: duckdb.DuckDBPyConnection,
    schema: str,
    table: str,
    query: str,
    parameters: Sequence[object] = (),
) -> list[tuple[Any, ...]]:
    """The rows of a query, none where its table is not there yet."""
    there = con.execute(
        "SELECT 1 FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?", [schema, table]
    ).fetchone()
    return con.execute(query, list(parameters)).fetchall() if there else []
