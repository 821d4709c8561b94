"""What the workers of a send count together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from braze_pipeline.braze.answers import ResponseAction, ResponseOutcome
from braze_pipeline.braze.client import BrazeClient
from braze_pipeline.send.concurrency import ConcurrencyController
from braze_pipeline.send.delivery import Delivery
from braze_pipeline.send.result import SendMetrics
from braze_pipeline.send.route import Route
from braze_pipeline_tests.integration.send.plans import SECRET, destination


@pytest.fixture
def delivery() -> Iterator[Delivery]:
    settings = destination("http://127.0.0.1:1")
    route = Route(settings, "track", limits=None, log=lambda _: None)
    client = BrazeClient(settings, SECRET, pool=1)
    concurrency = ConcurrencyController(per_second=lambda: 1.0, most=1)
    yield Delivery(client, route, SendMetrics(), concurrency, settings)
    client.close()


class _Interleaved(int):
    """A number that lets another thread run in the middle of an addition."""

    other: threading.Thread

    def __radd__(self, before: int) -> int:
        self.other.start()
        self.other.join(0.2)  # it cannot end where it waits for the lock
        return before + int(self)


def test_an_acceptance_ends_a_row_of_refusals_though_a_refusal_is_counted_at_that_moment(
    delivery: Delivery,
) -> None:
    refused = _Interleaved(1)
    refused.other = threading.Thread(target=delivery._count_refused, args=({}, 1))
    delivery._count_refused({0: "no"}, refused)
    refused.other.join()
    assert delivery._refused_in_a_row == 0


def test_an_answer_ends_the_time_in_which_braze_failed_or_throttled(delivery: Delivery) -> None:
    delivery._failing_since = delivery._throttled_since = time.monotonic() - 1_000_000
    delivery._healthy()
    throttled = ResponseOutcome(ResponseAction.THROTTLED, wait=0.01)
    delivery._throttled(throttled, 1, delivery._route.leg)
    delivery._failing(ResponseOutcome(ResponseAction.RETRY, cause="503"), time.monotonic(), 1)
    assert delivery.error is None


def test_a_429_whose_wait_is_over_before_it_began_is_no_reason_to_ask_at_once(
    delivery: Delivery,
) -> None:
    leg = delivery._route.leg
    delivery._throttled(ResponseOutcome(ResponseAction.THROTTLED, wait=0.0), 9, leg)
    assert leg.limiter.throttled_seconds > 0
