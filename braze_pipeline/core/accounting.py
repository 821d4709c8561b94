"""Every row of a run is accounted for, by counts that were made independently of each other.

    customers = audience + left out by a rule
    audience  = profiles + rejected rows
    profiles + leaving users = planned + unchanged + superseded + held back
    planned   = accepted + rejected + not attempted

The left sides come from the tables, the right sides from the steps that did the work; what the
send counted is compared with what the fold put into the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.core.plan.records import PlanSummary
    from braze_pipeline.settings import TemplateSettings


@dataclass(frozen=True, kw_only=True)
class Account:
    """The counts of one run, over all of its days.

    Attributes:
        customers, audience, left_out: Rows of the audience table.
        profiles, rejected_rows: Rows of the profiles table, and rows rejected whole.
        leaving, planned, unchanged, superseded, held_back: Users, as the plan counts them.
        accepted, rejected, not_attempted: Users, as the send counts them.
        folded_accepted, folded_refused: Users, as the fold put them into the ledger.
    """

    customers: int
    audience: int
    left_out: int
    profiles: int
    rejected_rows: int
    leaving: int
    planned: int
    unchanged: int
    superseded: int
    held_back: int
    accepted: int
    rejected: int
    not_attempted: int
    folded_accepted: int
    folded_refused: int

    def problems(self) -> list[str]:
        """What does not add up, in words; empty when everything does."""
        planned = self.planned + self.unchanged + self.superseded + self.held_back
        sums = (
            ("customers", self.customers, "audience + left out", self.audience + self.left_out),
            ("audience", self.audience, "profiles + rejected", self.profiles + self.rejected_rows),
            (
                "profiles + leaving",
                self.profiles + self.leaving,
                "planned + unchanged + superseded + held back",
                planned,
            ),
            (
                "planned",
                self.planned,
                "accepted + rejected + not attempted",
                self.accepted + self.rejected + self.not_attempted,
            ),
            ("accepted by the send", self.accepted, "in the ledger", self.folded_accepted),
            ("rejected by the send", self.rejected, "in the rejections", self.folded_refused),
        )
        return [
            f"{left:,} {left_name}, but {right:,} {right_name}"
            for left_name, left, right_name, right in sums
            if left != right
        ]

    @property
    def holds(self) -> bool:
        """Whether everything adds up."""
        return not self.problems()

    def counts(self) -> dict[str, int]:
        """All counts by name."""
        return {name: int(count) for name, count in asdict(self).items()}

    def sentence(self) -> str:
        """The account in one line, or what is wrong with it."""
        if not self.holds:
            return "Does not add up: " + "; ".join(self.problems()) + "."
        return (
            f"{self.customers:,} customers = {self.audience:,} in the audience + "
            f"{self.left_out:,} left out; {self.audience:,} = {self.profiles:,} profiles + "
            f"{self.rejected_rows:,} rejected; {self.profiles + self.leaving:,} = "
            f"{self.planned:,} planned + {self.unchanged:,} unchanged + "
            f"{self.superseded:,} superseded + {self.held_back:,} held back; {self.planned:,} = "
            f"{self.accepted:,} accepted + {self.rejected:,} rejected + "
            f"{self.not_attempted:,} not attempted."
        )


def account(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    plan: PlanSummary,
    *,
    accepted: int,
    rejected: int,
    not_attempted: int,
) -> Account:
    """Count the tables of the plan's days, and put them beside what plan and send counted."""
    customers, audience = _row(
        con,
        f"SELECT count(*), count(*) FILTER (left_out_by IS NULL) FROM {t.table('audience')} "
        f"WHERE {_within(plan.days)}",
    )
    left_out = _row(
        con,
        f"SELECT count(*) FROM {t.table('audience')} "
        f"WHERE left_out_by IS NOT NULL AND {_within(plan.days)}",
    )[0]
    profiles = _row(con, f"SELECT count(*) FROM {t.table('profiles')} WHERE {_within(plan.days)}")
    rejected_rows = _row(
        con,
        "SELECT count(DISTINCT (as_of, customer_id)) FROM records.rejections WHERE row_rejected "
        f"AND stage = 'profiles' AND destination = ? AND template = ? AND {_within(plan.days, '')}",
        [t.destination.name, t.name],
    )[0]
    folded = _row(
        con,
        "SELECT accepted_users, refused_users FROM records.plans WHERE plan_id = ?",
        [plan.plan_id],
    )
    return Account(
        customers=customers,
        audience=audience,
        left_out=left_out,
        profiles=profiles[0],
        rejected_rows=rejected_rows,
        leaving=plan.leaving_users,
        planned=plan.planned_users,
        unchanged=plan.unchanged_users,
        superseded=plan.superseded_users,
        held_back=plan.held_back_users,
        accepted=accepted,
        rejected=rejected,
        not_attempted=not_attempted,
        folded_accepted=folded[0],
        folded_refused=folded[1],
    )


def _within(days: Sequence[date], prefix: str = "__") -> str:
    shown = ", ".join(f"DATE '{day.isoformat()}'" for day in days)
    return f"{prefix}as_of IN ({shown})"


def _row(
    con: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()
) -> tuple[int, ...]:
    row = con.execute(query, list(parameters)).fetchone()
    return tuple(int(value or 0) for value in row) if row else (0,)
