"""``records.send_outcomes``: one row per send, for the UI, the command line and SQL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from braze_pipeline.storage.clock import utc_now

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.send import SendResult
    from braze_pipeline.settings import TemplateSettings

TABLE = "records.send_outcomes"


def record(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    plan: PlanSummary,
    result: SendResult,
    *,
    run_id: str,
) -> None:
    """Add the outcome of one send."""
    row = {
        "plan_id": plan.plan_id,
        "run_id": run_id,
        "destination": t.destination.name,
        "template": t.name,
        "newest_day": plan.days[-1],
        "ended_at": utc_now(),
        "status": result.stopped_by.action if result.stopped_by else "sent",
        "planned_users": plan.planned_users,
        **result.figures(),
        "retries": json.dumps(result.retries),
        "refused": json.dumps(result.refused, ensure_ascii=False),
    }
    con.execute(
        f"INSERT INTO {TABLE} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
        list(row.values()),
    )
