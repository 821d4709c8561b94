"""``records.send_outcomes``: one row a send, for the UI, the command line and SQL."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.core.plan.records import PlanSummary
    from braze_pipeline.core.send import SendResult
    from braze_pipeline.settings import TemplateSettings

TABLE = "records.send_outcomes"

_DDL = """
CREATE SCHEMA IF NOT EXISTS records;
CREATE TABLE IF NOT EXISTS records.send_outcomes (
    plan_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    destination VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    newest_day DATE NOT NULL,
    ended_at TIMESTAMP NOT NULL,
    status VARCHAR NOT NULL,            -- sent, or the class of what stopped it
    planned_users BIGINT NOT NULL,
    accepted_users BIGINT NOT NULL,     -- over all sends of the plan
    rejected_users BIGINT NOT NULL,
    not_attempted_users BIGINT NOT NULL,
    requests BIGINT NOT NULL,           -- of this send alone, retries included
    bytes BIGINT NOT NULL,
    seconds DOUBLE NOT NULL,
    throttled_seconds DOUBLE NOT NULL,
    latency_p50 DOUBLE NOT NULL,        -- seconds
    latency_p95 DOUBLE NOT NULL,
    latency_p99 DOUBLE NOT NULL,
    retries VARCHAR NOT NULL,           -- JSON: cause to count
    refused VARCHAR NOT NULL            -- JSON: Braze's sentence to users
);
"""


def ensure(con: duckdb.DuckDBPyConnection) -> None:
    """Create the table where it is not there yet."""
    con.execute(_DDL)


def record(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    plan: PlanSummary,
    result: SendResult,
    *,
    run_id: str,
) -> None:
    """Add the outcome of one send."""
    ensure(con)
    con.execute(
        f"INSERT INTO {TABLE} VALUES ({', '.join('?' * 20)})",
        [
            plan.plan_id,
            run_id,
            t.destination.name,
            t.name,
            plan.days[-1],
            datetime.now(UTC).replace(tzinfo=None),
            result.stopped_by.action if result.stopped_by else "sent",
            plan.planned_users,
            result.accepted_users,
            result.rejected_users,
            result.not_attempted_users,
            result.requests,
            result.bytes,
            result.seconds,
            result.throttled_seconds,
            result.latency_p50,
            result.latency_p95,
            result.latency_p99,
            json.dumps(dict(result.retries)),
            json.dumps(dict(result.refused), ensure_ascii=False),
        ],
    )
