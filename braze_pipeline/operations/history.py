"""What was sent to one user, when, and what Braze answered: from the kept plans and the journal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from braze_pipeline.ledger.plan_ref import unless_damaged
from braze_pipeline.plan import stored_plans
from braze_pipeline.plan.rows import source_of
from braze_pipeline.storage import journal
from braze_pipeline.storage.masking import mask

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.journal import ObjectAnswer
    from braze_pipeline.storage.warehouse import Warehouse


@dataclass(frozen=True, kw_only=True)
class SentObject:
    """What a plan had for the user.

    Attributes:
        planned_at: With a time zone, as all times here.
        values: By Braze name; ``personal`` names those that are personal data.
        answer: Braze's answer; None: it was not attempted.
    """

    template: str
    as_of: date
    planned_at: datetime
    reason: str
    tried: bool
    values: dict[str, Any]
    personal: frozenset[str]
    answer: ObjectAnswer | None

    def shown(self, *, real: bool) -> dict[str, Any]:
        """The values; of personal data the masks, unless ``real``."""
        return {
            name: mask(value) if name in self.personal and not real else value
            for name, value in self.values.items()
        }


@dataclass(frozen=True, kw_only=True)
class UserHistory:
    """What the kept plans have about a user.

    Attributes:
        sent: The objects, newest first.
        since: When the oldest plan was made; None: there are none.
        damaged: Names of snapshots that cannot be read.
    """

    sent: tuple[SentObject, ...]
    since: datetime | None
    damaged: tuple[str, ...]


def history_of(
    con: duckdb.DuckDBPyConnection,
    warehouse: Warehouse,
    templates: Sequence[TemplateSettings],
    user: str,
) -> UserHistory:
    """Look for a user in every plan of the templates whose snapshot is kept.

    Raises:
        NewerVersion: a newer version of the package made one of them.
        LedgerError: the journal cannot be read.
    """
    rows = con.execute(
        "SELECT plan_id FROM records.plans WHERE list_contains(?::VARCHAR[][], "
        "[destination, template]) ORDER BY rowid DESC",
        [[[t.destination.name, t.name] for t in templates]],
    ).fetchall()
    plans = [
        stored_plans.load(con, plan_id)
        for (plan_id,) in rows
        if warehouse.snapshot(plan_id).exists()
    ]
    sent, damaged = [], []
    for plan in plans:
        query = (
            "SELECT __request, __index, __as_of, __reason, __object "
            f"FROM {source_of(warehouse, plan)} WHERE __user_id = ?"
        )
        snapshot = warehouse.snapshot(plan.plan_id)
        found = unless_damaged(con, snapshot, partial(_fetched, con, query, user))
        if found is None:
            damaged.append(snapshot.name)
        for request, index, as_of, reason, text in found or ():
            values = json.loads(text)
            names = {column.name for column in plan.columns}
            sent.append(
                SentObject(
                    template=plan.template,
                    as_of=as_of,
                    planned_at=_utc(plan.created_at),
                    reason=reason,
                    tried=plan.partial,
                    values={name: value for name, value in values.items() if name in names},
                    personal=frozenset(column.name for column in plan.columns if column.pii),
                    answer=journal.answer_to(warehouse.journal_path, plan.plan_id, request, index),
                )
            )
    since = min((_utc(plan.created_at) for plan in plans), default=None)
    return UserHistory(sent=tuple(sent), since=since, damaged=tuple(damaged))


def _fetched(con: duckdb.DuckDBPyConnection, query: str, user: str) -> list[tuple[Any, ...]]:
    return con.execute(query, [user]).fetchall()


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
