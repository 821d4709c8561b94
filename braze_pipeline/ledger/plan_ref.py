"""What the ledger needs to know of a plan: where its snapshot is, and what its columns are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, TypeVar

from braze_pipeline.ledger.columns import AttributeColumns, TemplateColumns, snapshot_rows
from braze_pipeline.storage.sql_text import file_literal
from braze_pipeline.storage.warehouse import resource_errors

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from braze_pipeline.storage.warehouse import Warehouse

T = TypeVar("T")

PARTIAL: Final = "coalesce((summary ->> 'partial')::BOOLEAN, false)"
"""Of a row of ``records.plans``: whether it is about one user alone (``try``)."""


@dataclass(frozen=True, kw_only=True)
class SentAttribute(AttributeColumns):
    """An attribute of a plan; ``type`` is its ``ValueType``."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class PlanRef(TemplateColumns):
    """A plan, as far as applying its acknowledgements needs it.

    Attributes:
        days: Its as-of dates, in order.
        evaluation: How many plans of the template were carried out before it.
        rows: The snapshot, to read from.
        partial: It is about one user alone, so it says nothing of its days for the others.
    """

    plan_id: str
    destination: str
    ledger: str
    template: str
    days: tuple[date, ...]
    evaluation: int
    attributes: tuple[SentAttribute, ...]
    snapshot: Path
    rows: str
    partial: bool

    @property
    def newest(self) -> date:
        """The last of its days."""
        return self.days[-1]


def find_plan(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, plan_id: str) -> PlanRef | None:
    """A plan of ``records.plans``; None if there is none."""
    row = con.execute(
        "SELECT destination, ledger, template, template_no, days, evaluation, "
        f"summary -> 'columns', coalesce((summary ->> 'version')::INTEGER, 1), {PARTIAL} "
        "FROM records.plans WHERE plan_id = ?",
        [plan_id],
    ).fetchone()
    if row is None:
        return None
    destination, ledger, template, template_no, days, evaluation, columns, version, partial = row
    attributes = tuple(
        SentAttribute(no=c["no"], name=c["name"], type=c["type"]) for c in json.loads(columns)
    )
    snapshot = warehouse.snapshot(plan_id)
    source = f"read_parquet({file_literal(snapshot)})"
    return PlanRef(
        plan_id=plan_id, destination=destination, ledger=ledger, template=template,
        template_no=template_no, days=tuple(days), evaluation=evaluation, attributes=attributes,
        snapshot=snapshot, rows=snapshot_rows(source, attributes, version=version),
        partial=partial,
    )  # fmt: skip


def unless_damaged(
    con: duckdb.DuckDBPyConnection, snapshot: Path, use: Callable[[], T]
) -> T | None:
    """What ``use`` makes of a snapshot; None if the snapshot is gone or damaged."""
    import duckdb

    if not snapshot.exists():
        return None
    try:
        return use()
    except duckdb.Error:
        if is_readable(con, snapshot):
            raise
        return None


def is_readable(con: duckdb.DuckDBPyConnection, snapshot: Path) -> bool:
    """Whether a snapshot is there, and all of it can be read."""
    import duckdb

    if not snapshot.exists():
        return False
    snapshot.open("rb").close()  # what the system refuses is not damaged
    try:
        with resource_errors(snapshot):
            con.execute(f"SELECT max(hash(COLUMNS(*))) FROM read_parquet({file_literal(snapshot)})")
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        return False
    return True
