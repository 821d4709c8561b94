"""Delivers one request of the plan: sends it, waits, retries, and splits it until each object has
its answer.

Used by many workers at once. What concerns all of them (the key is refused, Braze is down) stops
the whole send, once, with the first error.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn

from braze_pipeline.braze.answers import (
    ACCEPTED,
    ResponseAction,
    ResponseOutcome,
    limit_of_requests,
    remaining_requests,
    seconds_until_reset,
)
from braze_pipeline.braze.client import TIMEOUT, UNTRUSTED, NoAnswer
from braze_pipeline.braze.rate_limiter import HOUR
from braze_pipeline.braze.retry_policy import RETRY_401_SECONDS, backoff
from braze_pipeline.errors import ContractBroken, PipelineError
from braze_pipeline.send.batches import Batch
from braze_pipeline.storage.journal import Acknowledgement

if TYPE_CHECKING:
    from braze_pipeline.braze.client import BrazeClient
    from braze_pipeline.braze.request import Body
    from braze_pipeline.send.concurrency import ConcurrencyController
    from braze_pipeline.send.result import SendMetrics
    from braze_pipeline.send.route import Leg, Route
    from braze_pipeline.settings import DestinationSettings

_NEVER_REACHED_SECONDS: Final = 20.0
"""The retry budget of an endpoint that was never reached: a wrong address does not fix itself."""

_MAX_REFUSED_IN_A_ROW: Final = 300
"""After this many refusals and nothing accepted, the fault is in the requests, not the users."""


class Halted(Exception):
    """The send is ending; this request got no answer."""


class _FellBack(Exception):
    """This request must be sent again, to another endpoint."""


class GivenUp(Exception):
    """This request failed for the whole retry budget, while others went through."""


@dataclass(eq=False, repr=False)
class Delivery:
    """Delivers batches, and knows when all must stop.

    Attributes:
        halt: Set when no new request may begin.
        error: Why; None if the stop was requested from outside.
    """

    _client: BrazeClient
    _route: Route
    _metrics: SendMetrics
    _concurrency: ConcurrencyController
    _destination: DestinationSettings
    halt: threading.Event = field(default_factory=threading.Event)
    error: PipelineError | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    # By request: its attempts that did not tell what Braze took, with an answer or without.
    _uncertain: Counter[int] = field(default_factory=Counter)
    _healthy_at: float | None = None
    _failing_since: float | None = None
    _resumed_at: float = 0.0
    _throttled_since: float | None = None
    _refused_in_a_row: int = 0

    def deliver(self, batch: Batch) -> Iterator[Acknowledgement]:
        """Deliver a batch; an acknowledgement for each part as soon as it has its answer.

        Raises:
            Halted: the send is ending.
            GivenUp: Braze kept failing for this batch.
        """
        most = self._route.leg.endpoint.objects
        if len(batch) > most:
            for part in batch.parts(most):
                yield from self.deliver(part)
            return
        refused: dict[int, str] = {}
        remaining: Sequence[int] = range(len(batch))
        status = 0
        while remaining:
            try:
                outcome, status = self._send(batch, remaining)
            except _FellBack:
                if refused:
                    yield from self._split(batch, remaining, refused, status=status)
                else:
                    yield from self.deliver(batch)
                return
            if outcome.action is ResponseAction.SPLIT and status in ACCEPTED:
                self._uncertain[batch.request_no] += 1  # some of these objects may have been taken
            if outcome.action is ResponseAction.SPLIT and len(remaining) > 1:
                self._metrics.add_retry(outcome.cause)
                yield from self._split(batch, remaining, refused, status=status)
                return
            named = outcome.refused
            if outcome.action is ResponseAction.SPLIT:
                named = {0: outcome.text or "Braze rejected it and gave no reason."}
            refused |= {remaining[position]: text for position, text in named.items()}
            if outcome.action is ResponseAction.RESEND:
                self._metrics.add_retry("others refused")
                remaining = [index for index in remaining if index not in refused]
            else:
                remaining = []
        yield self._acknowledge(batch, refused, status=status)

    def stop(self, error: PipelineError) -> None:
        """Stop the whole send; the first error is the one reported."""
        with self._lock:
            self.error = self.error or error
        self.halt.set()

    def _split(
        self,
        batch: Batch,
        remaining: Sequence[int],
        refused: dict[int, str],
        *,
        status: int,
    ) -> Iterator[Acknowledgement]:
        """Deliver a batch in parts; objects already refused by name are not sent again."""
        if not refused:
            for half in batch.halves():
                yield from self.deliver(half)
            return
        for index, text in sorted(refused.items()):
            part = batch.part(index, 1)
            yield self._acknowledge(part, {0: text}, status=status)
        for first, count in _consecutive(remaining):
            yield from self.deliver(batch.part(first, count))

    def _acknowledge(
        self, batch: Batch, refused: dict[int, str], *, status: int
    ) -> Acknowledgement:
        self._metrics.add_refused(refused)
        self._count_refused(refused, len(batch))
        return Acknowledgement(
            request_no=batch.request_no,
            first_index=batch.first,
            count=len(batch),
            refused={batch.first + index: text for index, text in refused.items()},
            status=status,
            attempt=1 + self._uncertain[batch.request_no],
        )

    def _send(self, batch: Batch, positions: Sequence[int]) -> tuple[ResponseOutcome, int]:
        """Send objects until Braze answers for them: the outcome and status."""
        body, objects = batch.body_of(positions), len(positions)
        attempts = 0
        failing_since: float | None = None
        unauthorized = False
        while True:
            leg = self._route.leg
            if objects > leg.endpoint.objects:  # another worker's request fell back
                raise _FellBack
            with self._concurrency.slot(self.halt):
                if not self._acquire(leg):
                    continue  # another worker's request fell back
                attempts += 1
                outcome, status = self._send_once(batch, positions, body, leg)
            if outcome.action in (ResponseAction.DONE, ResponseAction.RESEND, ResponseAction.SPLIT):
                self._healthy()
                return outcome, status
            self._metrics.add_retry(outcome.cause)
            if self._route.fell_back(leg.endpoint, outcome):
                raise _FellBack
            if outcome.action is ResponseAction.THROTTLED:
                self._throttled(outcome, attempts, leg)
            elif outcome.action is ResponseAction.UNAUTHORIZED and not unauthorized:
                unauthorized = True
                leg.limiter.pause(RETRY_401_SECONDS)
            elif outcome.action is ResponseAction.RETRY:
                self._uncertain[batch.request_no] += 1
                failing_since = failing_since or time.monotonic()
                self._failing(outcome, failing_since, attempts)
            else:
                self._give_up_all(outcome)

    def _acquire(self, leg: Leg) -> bool:
        """Wait until the limit lets a request pass; False if its endpoint is no longer used."""
        throttled = leg.limiter.paused
        if not leg.limiter.acquire(self.halt):
            if self.halt.is_set():
                raise Halted
            return False
        if throttled:  # what was waited for the limit is no time in which Braze failed
            with self._lock:
                self._failing_since, self._resumed_at = None, time.monotonic()
        return True

    def _send_once(
        self, batch: Batch, positions: Sequence[int], body: Body, leg: Leg
    ) -> tuple[ResponseOutcome, int]:
        started = time.monotonic()
        try:
            answer = self._client.track(body, leg.endpoint.path)
        except NoAnswer as error:
            self._metrics.add_request(seconds=time.monotonic() - started, size=len(body))
            if error.cause == TIMEOUT:
                self._concurrency.add_timeout()
            return ResponseOutcome(ResponseAction.RETRY, cause=error.cause), 0
        seconds = time.monotonic() - started
        self._metrics.add_request(seconds=seconds, size=len(body))
        self._concurrency.add_latency(seconds)
        remaining = remaining_requests(answer.headers)
        if leg.limiter.counts_hours:
            leg.limiter.note(limit=limit_of_requests(answer.headers), remaining=remaining)
        if remaining == 0 and answer.status < 500 and answer.status != 429:
            # The window is used up: everybody waits for the next one, before Braze has to refuse.
            wait = seconds_until_reset(answer.headers, now=datetime.now(UTC))
            if wait:
                leg.limiter.pause(min(wait, HOUR))
        outcome = self._client.classify(
            answer,
            objects=len(positions),
            values=lambda index: batch.texts(positions[index]),
        )
        return outcome, answer.status

    def _healthy(self) -> None:
        with self._lock:
            self._healthy_at = time.monotonic()
            self._failing_since = None
            self._throttled_since = None

    def _throttled(self, outcome: ResponseOutcome, attempts: int, leg: Leg) -> None:
        """All requests wait as long as Braze says; none fails, unless that is too long."""
        now = time.monotonic()
        with self._lock:
            since = self._throttled_since = self._throttled_since or now
        # No wait at all means that this machine's clock is ahead of the moment that Braze names.
        wait = outcome.wait or backoff(attempts)
        if now + wait > since + self._destination.max_throttle_seconds:
            self._give_up_all(outcome)
        leg.limiter.pause(min(wait, HOUR))

    def _failing(self, outcome: ResponseOutcome, own_since: float, attempts: int) -> None:
        """Wait before the next try, or give up this request or the whole send."""
        now = time.monotonic()
        with self._lock:
            since = self._failing_since = self._failing_since or now
            own_since = max(own_since, self._resumed_at)
            budget = self._destination.retry_budget_seconds
            if self._healthy_at is None and not outcome.cause.isdecimal():
                hopeless = outcome.cause.startswith(UNTRUSTED)
                budget = 0.0 if hopeless else min(budget, _NEVER_REACHED_SECONDS)
        if now - since >= budget:
            self._give_up_all(outcome)
        if now - own_since >= self._destination.retry_budget_seconds:
            raise GivenUp
        left = budget - (now - since)
        if self.halt.wait(min(max(backoff(attempts), outcome.wait or 0.0), left)):
            raise Halted

    def _give_up_all(self, outcome: ResponseOutcome) -> NoReturn:
        self.stop(self._client.failed(outcome, permission=self._route.leg.endpoint.permission))
        raise Halted

    def _count_refused(self, refused: Mapping[int, str], objects: int) -> None:
        with self._lock:
            if len(refused) < objects:
                self._refused_in_a_row = 0
            else:
                self._refused_in_a_row += objects
            too_many = self._refused_in_a_row >= _MAX_REFUSED_IN_A_ROW
        if too_many:
            self.stop(
                ContractBroken(
                    f"Braze rejected {_MAX_REFUSED_IN_A_ROW} users in a row and accepted none: "
                    f"{next(iter(refused.values()))}",
                    fix="The users are probably fine: check the template's attributes and the "
                    "identifier with `braze-pipeline rejections`, then run again.",
                )
            )


def _consecutive(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive positions: first and length."""
    start = before = positions[0]
    for position in positions[1:]:
        if position != before + 1:
            yield start, before - start + 1
            start = position
        before = position
    yield start, before - start + 1
