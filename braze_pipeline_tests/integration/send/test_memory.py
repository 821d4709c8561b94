"""What a send has in memory does not grow with the plan, nor with the workers that wait."""

from __future__ import annotations

import random
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from braze_pipeline.plan.snapshot import snapshot_writer
from braze_pipeline.send import batches as pieces
from braze_pipeline.send import engine, send_plan
from braze_pipeline.send.batches import Batch, batches
from braze_pipeline.send.concurrency import ConcurrencyController
from braze_pipeline.send.delivery import Delivery
from braze_pipeline.storage.journal import Acknowledgement, Journal
from braze_pipeline_tests.fake_http import FakeHttp, Reply, Request, success
from braze_pipeline_tests.integration.send.plans import (
    SECRET,
    destination,
    job,
    users,
    write_snapshot,
)


def test_a_large_snapshot_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    drawn = random.Random(1)
    path = tmp_path / "plan.parquet"
    schema = pa.schema([("__request", pa.int32()), ("__object", pa.string())])
    rows = 60_000
    with snapshot_writer(path, schema) as writer:
        for first in range(0, rows, 10_000):
            writer.write_table(
                pa.table(
                    {
                        "__request": pa.array(
                            [n // 75 for n in range(first, first + 10_000)], pa.int32()
                        ),
                        "__object": [drawn.randbytes(250).hex() for _ in range(10_000)],
                    },
                    schema=schema,
                )
            )
    size = path.stat().st_size
    assert size > 14_000_000
    before, most, found = pa.total_allocated_bytes(), 0, 0
    for batch in batches(path, {}):
        found += len(batch)
        time.sleep(0.002)  # sending takes longer than reading
        most = max(most, pa.total_allocated_bytes() - before)
    assert found == rows
    # A few pieces of 3,000 rows, with and without the commas, and the buffers.
    assert most < size


def test_workers_that_pause_hold_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_ROWS", 75)  # each request is a piece of the file
    delivered: list[weakref.ref[pa.Array]] = []
    held: list[int] = []
    deliver, server = Delivery.deliver, FakeHttp()

    def noted(self: Delivery, batch: Batch) -> Iterator[Acknowledgement]:
        delivered.append(weakref.ref(batch.values))
        return deliver(self, batch)

    def answer(request: Request) -> Reply:
        time.sleep(0.01)
        if len(server.requests) == 80:
            held.append(sum(one() is not None for one in delivered[:60]))
        return success(request)

    server.answer = answer
    monkeypatch.setattr(Delivery, "deliver", noted)
    monkeypatch.setattr(
        ConcurrencyController, "wanted", lambda _: 8 if len(server.requests) < 20 else 1
    )
    with server:
        result = send_plan(
            job(
                write_snapshot(tmp_path / "plan.parquet", users(7500)),
                destination(server.endpoint),
            ),
            secret=SECRET,
            journal=Journal(tmp_path / "journal.sqlite"),
        )
    assert result.accepted_users == 7500
    assert held == [0]


def test_bodies_in_flight_have_a_limit_in_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = write_snapshot(tmp_path / "plan.parquet", users(6000))
    body = len(next(batches(snapshot, {})).body)
    monkeypatch.setattr(engine, "_MOST_BYTES", int(2.5 * body))
    monkeypatch.setattr(ConcurrencyController, "wanted", lambda _: 20)
    now, most = [0], [0]

    def answer(request: Request) -> Reply:
        now[0] += 1
        most[0] = max(most[0], now[0])
        time.sleep(0.01)
        now[0] -= 1
        return success(request)

    with FakeHttp(answer=answer) as server:
        result = send_plan(
            job(snapshot, destination(server.endpoint)),
            secret=SECRET,
            journal=Journal(tmp_path / "journal.sqlite"),
        )
    assert result.accepted_users == 6000
    assert most == [3]
