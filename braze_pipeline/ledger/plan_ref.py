"""What the ledger needs to know of a plan: where its snapshot lies, and what its columns are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.storage.warehouse import literal

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.storage.warehouse import Warehouse


@dataclass(frozen=True, kw_only=True)
class PlanRef:
    """A plan, as far as applying its acknowledgements needs it."""

    plan_id: str
    destination: str
    ledger: str
    template: str
    template_no: int
    run_id: str
    days: tuple[date, ...]
    evaluation: int
    columns: tuple[tuple[int, str, str], ...]
    snapshot: Path

    @property
    def rows(self) -> str:
        """The snapshot, to read from."""
        return f"read_parquet({literal(str(self.snapshot))})"


def find_plan(con: duckdb.DuckDBPyConnection, warehouse: Warehouse, plan_id: str) -> PlanRef | None:
    """A plan as ``records.plans`` has it."""
    row = con.execute(
        "SELECT destination, ledger, template, template_no, run_id, days, evaluation, "
        "summary -> 'columns' FROM records.plans WHERE plan_id = ?",
        [plan_id],
    ).fetchone()
    if not row:
        return None
    columns = tuple((c["no"], c["name"], c["type"]) for c in json.loads(row[7]))
    return PlanRef(
        plan_id=plan_id, destination=row[0], ledger=row[1], template=row[2], template_no=row[3],
        run_id=row[4], days=tuple(row[5]), evaluation=row[6], columns=columns,
        snapshot=warehouse.snapshot(plan_id),
    )  # fmt: skip
