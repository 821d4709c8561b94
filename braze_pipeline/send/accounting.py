"""Every user and attribute of a run is accounted for, by counts from sources of their own.

customers (customer attributes table) = audience + excluded by a rule (audience table)
audience (audience table)  = profiles (profiles table) + rejected rows (rejections)
profiles + leaving users (plan) = planned + superseded + held back (diff) + unchanged (a query
of profiles and ledger, ``plan.unchanged``)
planned users (plan) = accepted + rejected (send) + not attempted (snapshot less journal)
planned attributes (plan) = attributes of the objects accepted, rejected and not attempted
(the JSON in the snapshot, by the journal)
accepted, rejected (send) = in the ledger, in the rejections (fold)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.ledger.journal_tables import ANSWERED, ANSWERED_REFUSED, load_answered
from braze_pipeline.storage.warehouse import literal

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse


@dataclass(frozen=True, kw_only=True)
class Account:
    """The counts of one run, over all of its days.

    Attributes:
        customers: Rows of the customer attributes table.
        audience, left_out: Rows of the audience table.
        profiles, rejected_rows: Rows of the profiles table, and rows rejected whole.
        leaving, planned, unchanged, superseded, held_back: Users, as the plan counts them.
        accepted, rejected: Users, as the send counts them.
        not_attempted: Users of the snapshot that the journal has no answer for.
        planned_attributes: As the plan counts them.
        accepted_attributes, rejected_attributes, not_attempted_attributes: In the objects of the
            snapshot, by what the journal says of each.
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
    planned_attributes: int
    accepted_attributes: int
    rejected_attributes: int
    not_attempted_attributes: int
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
            (
                "planned attributes",
                self.planned_attributes,
                "in objects accepted, rejected and not attempted",
                self.accepted_attributes + self.rejected_attributes + self.not_attempted_attributes,
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
            f"{self.not_attempted:,} not attempted, with {self.planned_attributes:,} attributes = "
            f"{self.accepted_attributes:,} + {self.rejected_attributes:,} + "
            f"{self.not_attempted_attributes:,}."
        )


def account(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    t: TemplateSettings,
    plan: PlanSummary,
    *,
    accepted: int,
    rejected: int,
) -> Account:
    """Count tables, snapshot and journal, and put them beside what plan and send counted."""
    days = _within(plan.days)
    (customers,) = _row(con, f"SELECT count(*) FROM {t.table('customer_attributes')} WHERE {days}")
    audience, left_out = _row(
        con,
        "SELECT count(*) FILTER (left_out_by IS NULL), count(*) FILTER (left_out_by IS NOT NULL) "
        f"FROM {t.table('audience')} WHERE {days}",
    )
    (profiles,) = _row(con, f"SELECT count(*) FROM {t.table('profiles')} WHERE {days}")
    (rejected_rows,) = _row(
        con,
        "SELECT count(DISTINCT (as_of, customer_id)) FROM records.rejections WHERE row_rejected "
        f"AND stage = 'profiles' AND destination = ? AND template = ? AND {_within(plan.days, '')}",
        [t.destination.name, t.name],
    )
    folded = _row(
        con,
        "SELECT accepted_users, refused_users FROM records.plans WHERE plan_id = ?",
        [plan.plan_id],
    )
    objects = _objects(con, warehouse, plan)
    return Account(
        customers=customers,
        audience=audience,
        left_out=left_out,
        profiles=profiles,
        rejected_rows=rejected_rows,
        leaving=plan.leaving_users,
        planned=plan.planned_users,
        unchanged=plan.unchanged_users,
        superseded=plan.superseded_users,
        held_back=plan.held_back_users,
        accepted=accepted,
        rejected=rejected,
        not_attempted=objects.get("not attempted", (0, 0))[0],
        planned_attributes=plan.planned_attributes,
        accepted_attributes=objects.get("accepted", (0, 0))[1],
        rejected_attributes=objects.get("rejected", (0, 0))[1],
        not_attempted_attributes=objects.get("not attempted", (0, 0))[1],
        folded_accepted=folded[0],
        folded_refused=folded[1],
    )


def _objects(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, plan: PlanSummary
) -> dict[str, tuple[int, int]]:
    """Users and attributes of the snapshot by what the journal says of their object.

    Attributes are counted in the JSON that goes out, less the identifier and the update switch.
    """
    load_answered(con, warehouse.journal_path, plan.plan_id)
    rows = con.execute(
        "SELECT CASE WHEN x.request_no IS NOT NULL THEN 'rejected' WHEN a.request_no IS NOT NULL "
        "THEN 'accepted' ELSE 'not attempted' END AS outcome, count(*), "
        "sum(len(json_keys(s.__object)) - 2) "
        f"FROM read_parquet({literal(str(warehouse.snapshot(plan.plan_id)))}) s "
        f"LEFT JOIN (SELECT DISTINCT request_no, first_index, count FROM {ANSWERED}) a "
        "ON s.__request = a.request_no AND s.__index >= a.first_index "
        "AND s.__index < a.first_index + a.count "
        f"LEFT JOIN (SELECT DISTINCT request_no, object_index FROM {ANSWERED_REFUSED}) x "
        "ON x.request_no = s.__request AND x.object_index = s.__index GROUP BY outcome"
    ).fetchall()
    return {outcome: (int(users), int(attributes)) for outcome, users, attributes in rows}


def _within(days: Sequence[date], prefix: str = "__") -> str:
    shown = ", ".join(f"DATE '{day.isoformat()}'" for day in days)
    return f"{prefix}as_of IN ({shown})"


def _row(
    con: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()
) -> tuple[int, ...]:
    row = con.execute(query, list(parameters)).fetchone()
    return tuple(int(value or 0) for value in row) if row else (0,)
