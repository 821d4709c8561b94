"""A send has as many requests in flight as its rate limit needs at the latencies of the answers."""

from __future__ import annotations

import dataclasses
import itertools
import time
from pathlib import Path

import pytest

from braze_pipeline.send import send_plan
from braze_pipeline.settings import RateLimit
from braze_pipeline.storage import machine as limits
from braze_pipeline.storage.journal import Journal
from braze_pipeline_tests.fake_http import FakeHttp, Reply, Request, success
from braze_pipeline_tests.integration.send.plans import (
    SECRET,
    destination,
    job,
    users,
    write_snapshot,
)


def most_in_flight(folder: Path) -> int:
    """The most requests at once, where one in ten is answered at once and the others after 0.1 s.

    At 1,000 requests a second the shortest latency needs a few, and the mean more than a hundred.
    """
    numbers = itertools.count()
    now, most = [0], [0]

    def answer(request: Request) -> Reply:
        now[0] += 1
        most[0] = max(most[0], now[0])
        time.sleep(0.1 if next(numbers) % 10 else 0.002)
        now[0] -= 1
        return success(request)

    snapshot = write_snapshot(folder / "plan.parquet", users(150), size=1)
    with FakeHttp(answer=answer) as server:
        to = destination(
            server.endpoint, rate_limit=RateLimit(requests=1000, seconds=1.0), max_in_flight=30
        )
        result = send_plan(
            job(snapshot, to), secret=SECRET, journal=Journal(folder / "journal.sqlite")
        )
    assert result.accepted_users == 150
    return most[0]


def test_the_mean_latency_counts_where_answers_vary(tmp_path: Path) -> None:
    assert most_in_flight(tmp_path) > 20


def test_a_processor_that_is_always_busy_gets_only_what_the_shortest_latency_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = dataclasses.replace(limits.machine(), processor=1e-6)
    monkeypatch.setattr(limits, "machine", lambda: tiny)
    assert most_in_flight(tmp_path) < 20
