"""Every user and attribute of a run is accounted for, by counts from independent sources.

customers (customer attributes table) = audience + excluded by a rule (audience table)
audience (audience table) = profiles (profiles table) + rejected rows (rejections)
profiles + leaving users (plan) = planned + superseded + suppressed (diff) + unchanged (a query
of profiles and ledger, ``plan.unchanged``)
planned users (plan) = accepted + rejected (send) + not attempted (snapshot less journal)
planned attributes (plan) = attributes of the objects accepted, rejected and not attempted
(the JSON in the snapshot, by the journal)
accepted, rejected (send) = in the ledger, in the rejections (as the journal was applied)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from braze_pipeline.ledger.journal_tables import ANSWERED, ANSWERED_REFUSED, load_answered
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import days_sql, file_literal
from braze_pipeline.storage.warehouse import named_rows

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.send.result import SendResult
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse


@dataclass(frozen=True, kw_only=True)
class Account:
    """The counts of one run, over all of its days. Their names are the check's metadata keys.

    Attributes:
        customers: Rows of the customer attributes table.
        audience, left_out: Rows of the audience table, included and excluded by a rule.
        profiles, rejected_rows: Rows of the profiles table, and rows rejected as a whole.
        leaving, planned, unchanged, superseded, held_back: Users, as the plan counts them;
            ``held_back`` are those suppressed.
        accepted, rejected: Users, as the send counts them.
        not_attempted: Users of the snapshot without an answer in the journal.
        planned_attributes: As the plan counts them.
        accepted_attributes, rejected_attributes, not_attempted_attributes: In the objects of the
            snapshot, by what the journal says of each.
        folded_accepted, folded_refused: Users, as they were applied to the ledger.
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
        """What does not add up, in words; empty if everything does."""
        planned = self.planned + self.unchanged + self.superseded + self.held_back
        answered = self.accepted + self.rejected
        attributes = self.accepted_attributes + self.rejected_attributes
        sums = (
            ("customers", self.customers, "audience + excluded", self.audience + self.left_out),
            ("audience", self.audience, "profiles + rejected", self.profiles + self.rejected_rows),
            (
                "profiles + leaving",
                self.profiles + self.leaving,
                "planned + unchanged + superseded + suppressed",
                planned,
            ),
            (
                "planned",
                self.planned,
                "accepted + rejected + not attempted",
                answered + self.not_attempted,
            ),
            (
                "planned attributes",
                self.planned_attributes,
                "in objects accepted, rejected and not attempted",
                attributes + self.not_attempted_attributes,
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
        return asdict(self)

    def sentence(self) -> str:
        """The account in one line, or what is wrong with it."""
        if not self.holds:
            return "Does not add up: " + "; ".join(self.problems()) + "."
        return (
            f"{self.customers:,} customers = {self.audience:,} in the audience + "
            f"{self.left_out:,} excluded; {self.audience:,} = {self.profiles:,} profiles + "
            f"{self.rejected_rows:,} rejected; {self.profiles + self.leaving:,} = "
            f"{self.planned:,} planned + {self.unchanged:,} unchanged + "
            f"{self.superseded:,} superseded + {self.held_back:,} suppressed; {self.planned:,} = "
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
    result: SendResult,
) -> Account:
    """Count tables, snapshot and journal, beside what plan and send counted."""
    load_answered(con, warehouse.journal_path, plan.plan_id)
    query = read_sql(
        "send",
        "accounting",
        snapshot=file_literal(warehouse.snapshot(plan.plan_id)),
        answered=ANSWERED,
        refused=ANSWERED_REFUSED,
        customer_attributes=t.table("customer_attributes"),
        audience=t.table("audience"),
        profiles=t.table("profiles"),
        days=days_sql(plan.days),
    )
    run = {
        "destination": t.destination.name,
        "template": t.name,
        "attributes": t.table("customer_attributes"),
        "plan_id": plan.plan_id,
    }
    (counts,) = named_rows(con, query, run)
    return Account(
        **counts,
        leaving=plan.leaving_users,
        planned=plan.planned_users,
        unchanged=plan.unchanged_users,
        superseded=plan.superseded_users,
        held_back=plan.held_back_users,
        accepted=result.accepted_users,
        rejected=result.rejected_users,
        planned_attributes=plan.planned_attributes,
    )
