"""Small plans to send: a snapshot as the plan writes it, and a journal beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from braze_pipeline.braze.redaction import Secret
from braze_pipeline.sandbox import SANDBOX_API_KEY
from braze_pipeline.send import SendJob, SendResult
from braze_pipeline.settings import DestinationSettings, RateLimit

SECRET = Secret(SANDBOX_API_KEY)


def users(count: int) -> list[str]:
    return [f"u{n:05d}" for n in range(count)]


def write_snapshot(path: Path, ids: Sequence[str], *, value: int = 1, size: int = 75) -> Path:
    """One object a user, ``{"Visits": value}``, in requests of ``size``."""
    objects = [
        json.dumps({"external_id": user, "_update_existing_only": True, "Visits": value})
        for user in ids
    ]
    table = pa.table(
        {
            "__request": pa.array([n // size for n in range(len(ids))], pa.int32()),
            "__index": pa.array([n % size for n in range(len(ids))], pa.int32()),
            "__user_id": list(ids),
            "__object": objects,
        }
    )
    pq.write_table(table, path, row_group_size=1000)
    return path


def destination(endpoint: str, **changes: object) -> DestinationSettings:
    """A destination that does not wait for long."""
    settings: dict[str, object] = {
        "name": "braze",
        "endpoint": endpoint,
        "rate_limit": RateLimit(requests=100_000, seconds=1.0),
        "retry_budget_seconds": 5.0,
        "read_timeout": 5.0,
        **changes,
    }
    return DestinationSettings(**settings)  # type: ignore[arg-type]


def outcome(result: SendResult) -> tuple[int, int, int]:
    """Users accepted, rejected and not attempted."""
    return result.accepted_users, result.rejected_users, result.not_attempted_users


def job(snapshot: Path, to: DestinationSettings, **more: Any) -> SendJob:
    """The send of a snapshot; the plan has the file's name."""
    return SendJob(
        snapshot=snapshot, plan_id=snapshot.stem, template="t", run_id="run", destination=to, **more
    )
