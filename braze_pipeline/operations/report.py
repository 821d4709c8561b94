"""The figures of a run: what ``run --json`` prints and the terminal shows.

They come from the tables that the run wrote, not from its steps. Plan and send are the run's own;
customers, audience and profiles are the day's, which another run of the same day may have written
since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.audience.elsewhere import excluded_elsewhere
from braze_pipeline.plan import stored_plans
from braze_pipeline.settings.template import RULES
from braze_pipeline.storage.partitions import columns_of
from braze_pipeline.storage.sql_text import days_sql
from braze_pipeline.storage.warehouse import single_row

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.settings import TemplateSettings

_FROM_PLAN: Final = (
    "planned_users",
    "planned_attributes",
    "unchanged_users",
    "superseded_users",
    "held_back_users",
    "leaving_users",
    "unknown_users",
    "data_points",
)
"""Keys of ``run --json`` that are figures of the plan."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The figures of a run, over all of its days; zeros for what it did not get to.

    Attributes:
        left_out: Customers outside the audience, by the first rule that excluded them.
        plan: The run's own plan; None if the run ended before there was one.
        accepted_users, rejected_users: Users of that plan, by Braze's answer so far.
    """

    days: tuple[date, ...]
    customers: int = 0
    audience: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    profiles: int = 0
    rejected_values: int = 0
    rejected_rows: int = 0
    plan: PlanSummary | None = None
    accepted_users: int = 0
    rejected_users: int = 0

    @property
    def not_attempted_users(self) -> int:
        """Planned users without an answer from Braze."""
        planned = self.plan.planned_users if self.plan else 0
        return planned - self.accepted_users - self.rejected_users

    def as_json(self, *, status: str) -> dict[str, object]:
        """The object that ``run --json`` prints; its keys are a contract (see the README)."""
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
            "blocked_attributes": list(plan.stopped_attributes) if plan else [],
            "plan": plan.plan_id if plan else None,
            **{name: getattr(plan, name) if plan else 0 for name in _FROM_PLAN},
            "full_resend_data_points": plan.forecast.full_data_points if plan else 0,
            "requests": plan.requests if plan else 0,
            "accepted_users": self.accepted_users,
            "rejected_users": self.rejected_users,
            "not_attempted_users": self.not_attempted_users,
            "status": status,
        }


def report(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Sequence[date], *, run_id: str
) -> Report:
    """Count what a run left in the tables."""
    excluded = {
        rule: int(count)
        for rule, count in _of_days(con, t, "audience", "left_out_by, count(*)", days)
    }
    audience = excluded.pop(None, 0)
    for rule, count in excluded_elsewhere(con, t, days).items():
        excluded[rule] = excluded.get(rule, 0) + count
    profiles = _of_days(con, t, "profiles", "NULL, count(*)", days)
    rejected_values, rejected_rows = single_row(
        con,
        "SELECT count(*) FILTER (NOT row_rejected), "
        "count(DISTINCT (as_of, customer_id)) FILTER (row_rejected) FROM records.rejections "
        f"WHERE stage = 'profiles' AND as_of IN ({days_sql(days)}) AND destination = ? "
        "AND template = ?",
        [t.destination.name, t.name],
    )
    plan = stored_plans.latest(con, t, days, run_id=run_id)
    answered = con.execute(
        "SELECT accepted_users, refused_users FROM records.plans WHERE plan_id = ?",
        [plan and plan.plan_id],
    ).fetchone()
    return Report(
        days=tuple(days),
        customers=audience + sum(excluded.values()),
        audience=audience,
        left_out={rule: excluded[rule] for rule in sorted(excluded, key=_in_order)},
        profiles=sum(count for _, count in profiles),
        rejected_values=rejected_values,
        rejected_rows=rejected_rows,
        plan=plan,
        accepted_users=answered[0] if answered else 0,
        rejected_users=answered[1] if answered else 0,
    )


def _in_order(rule: str) -> tuple[int, str]:
    """The order in which the audience applies its rules; others follow by name."""
    return (RULES.index(rule) if rule in RULES else len(RULES)), rule


def _of_days(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    table: str,
    selected: str,
    days: Sequence[date],
) -> list[tuple[Any, ...]]:
    """An aggregate over the days of one of the template's tables, empty if it does not exist."""
    if not columns_of(con, t, table):
        return []
    return con.execute(
        f"SELECT {selected} FROM {t.table(table)} WHERE __as_of IN ({days_sql(days)}) GROUP BY ALL"
    ).fetchall()
