"""How long a retry waits."""

from __future__ import annotations

from braze_pipeline.braze.retry_policy import backoff


def test_a_retry_waits_at_most_twenty_seconds_however_many_there_were() -> None:
    assert all(0 <= backoff(attempts) <= 20 for attempts in (1, 7, 10, 1024, 100_000))
