"""One request of the plan, to the end: asked, waited, asked again, split, until each object has
its answer.

Used by many workers at once. What concerns all of them (the key is refused, Braze is down) halts
the whole send, once, with the first error.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze.answers import (
    ResponseAction,
    ResponseOutcome,
    remaining_requests,
    seconds_until_reset,
)
from braze_pipeline.braze.client import NoAnswer
from braze_pipeline.braze.rate_limiter import HOUR
from braze_pipeline.braze.retry_policy import RETRY_401_SECONDS, backoff
from braze_pipeline.errors import ContractBroken, PipelineError
from braze_pipeline.send.batches import Batch
from braze_pipeline.storage.journal import Acknowledgement

if TYPE_CHECKING:
    from braze_pipeline.braze.client import Answer, BrazeClient
    from braze_pipeline.braze.rate_limiter import RateLimiter
    from braze_pipeline.send.concurrency import ConcurrencyController
    from braze_pipeline.send.result import SendMetrics
    from braze_pipeline.settings import DestinationSettings

_NEVER_REACHED_SECONDS: Final = 20.0
"""An endpoint that was not reached once is given up sooner: an address does not mend itself."""

_REFUSED_IN_A_ROW: Final = 300
"""So many refusals and nothing accepted: it is not the users, it is the request."""


class Halted(Exception):
    """The send is ending; this request was not answered."""


class GivenUp(Exception):
    """This request kept failing for the whole budget, while others went through."""


class Delivery:
    """Delivers batches, and knows when all must stop.

    Attributes:
        halt: Set when no new request may begin.
        error: Why, unless somebody outside asked for it.
    """

    def __init__(
        self,
        client: BrazeClient,
        gate: RateLimiter,
        meter: SendMetrics,
        pace: ConcurrencyController,
        destination: DestinationSettings,
    ) -> None:
        self.halt = threading.Event()
        self.error: PipelineError | None = None
        self._client = client
        self._gate = gate
        self._meter = meter
        self._pace = pace
        self._budget = destination.retry_budget_seconds
        self._most_throttled = destination.max_throttle_seconds
        self._lock = threading.Lock()
        self._healthy_at: float | None = None
        self._failing_since: float | None = None
        self._throttled_since: float | None = None
        self._refused_in_a_row = 0

    def deliver(self, batch: Batch) -> Iterator[Acknowledgement]:
        """Bring a batch to its end; an acknowledgement for each part that has its answer.

        Raises:
            Halted: the send is ending.
            GivenUp: Braze failed for this one all the time.
        """
        refused: dict[int, str] = {}
        live = list(range(len(batch)))
        attempts = 0
        status = 0
        while live:
            verdict, status, tries = self._ask(batch.body_of(live), len(live))
            attempts += tries
            if verdict.action is ResponseAction.SPLIT and len(live) > 1:
                self._meter.retried(verdict.cause)
                yield from self._split(batch, live, refused, status=status, attempt=attempts)
                return
            named = verdict.refused
            if verdict.action is ResponseAction.SPLIT:
                named = {0: verdict.text or "Braze did not take it, and gave no reason."}
            refused |= {live[position]: text for position, text in named.items()}
            if verdict.action is ResponseAction.RESEND:
                self._meter.retried("others refused")
                live = [i for i in live if i not in refused]
            else:
                live = []
        yield self._answered(batch, refused, status=status, attempt=attempts)

    def break_off(self, error: PipelineError) -> None:
        """End the whole send; the first error is the one that is told."""
        with self._lock:
            self.error = self.error or error
        self.halt.set()

    def _split(
        self, batch: Batch, live: list[int], refused: dict[int, str], *, status: int, attempt: int
    ) -> Iterator[Acknowledgement]:
        """Deliver a batch in parts; what was refused by name already is not sent again."""
        if not refused:
            for half in batch.halves():
                yield from self.deliver(half)
            return
        for index, text in sorted(refused.items()):
            yield self._answered(batch.part(index, 1), {0: text}, status=status, attempt=attempt)
        for first, count in _neighbours(live):
            yield from self.deliver(batch.part(first, count))

    def _answered(
        self, batch: Batch, refused: dict[int, str], *, status: int, attempt: int
    ) -> Acknowledgement:
        if refused:
            self._meter.was_refused(refused)
            self._count_refused(len(refused), len(batch), refused)
        else:
            self._refused_in_a_row = 0
        return Acknowledgement(
            request_no=batch.request_no,
            first_index=batch.first,
            count=len(batch),
            refused={batch.first + index: text for index, text in refused.items()},
            status=status,
            attempt=attempt,
        )

    def _ask(self, body: bytes, objects: int) -> tuple[ResponseOutcome, int, int]:
        """Send a body until there is an answer about it; that, its status, and the attempts."""
        attempts = 0
        failing_since: float | None = None
        unauthorized = False
        while True:
            if not self._gate.acquire(self.halt):
                raise Halted
            attempts += 1
            verdict, status = self._once(body, objects)
            if verdict.action in (ResponseAction.DONE, ResponseAction.RESEND, ResponseAction.SPLIT):
                self._healthy()
                return verdict, status, attempts
            self._meter.retried(verdict.cause)
            if verdict.action is ResponseAction.THROTTLED:
                self._throttled(verdict, attempts)
            elif verdict.action is ResponseAction.UNAUTHORIZED and not unauthorized:
                unauthorized = True
                self._gate.pause(RETRY_401_SECONDS)
            elif verdict.action is ResponseAction.RETRY:
                failing_since = failing_since or time.monotonic()
                self._failing(verdict, failing_since, attempts)
            else:
                self.break_off(self._client.failed(verdict))
                raise Halted

    def _once(self, body: bytes, objects: int) -> tuple[ResponseOutcome, int]:
        started = time.monotonic()
        answer: Answer | None = None
        cause = ""
        try:
            answer = self._client.track(body)
        except NoAnswer as error:
            cause = error.cause
        seconds = time.monotonic() - started
        self._meter.answered(seconds=seconds, size=len(body))
        if answer is None:
            return ResponseOutcome(ResponseAction.RETRY, cause=cause), 0
        self._pace.saw(seconds)
        self._obey(answer)
        return self._client.classify(answer, objects=objects), answer.status

    def _obey(self, answer: Answer) -> None:
        """Nothing left in the window: everybody waits for the next one, before Braze has to say."""
        if remaining_requests(answer.headers) == 0 and answer.status != 429:
            wait = seconds_until_reset(answer.headers, now=datetime.now(UTC))
            if wait:
                self._gate.pause(min(wait, HOUR))

    def _healthy(self) -> None:
        with self._lock:
            self._healthy_at = time.monotonic()
            self._failing_since = None
            self._throttled_since = None

    def _throttled(self, verdict: ResponseOutcome, attempts: int) -> None:
        """Everybody waits as long as Braze says; nobody fails, unless it never ends."""
        now = time.monotonic()
        with self._lock:
            since = self._throttled_since = self._throttled_since or now
        if now - since > self._most_throttled:
            self.break_off(self._client.failed(verdict))
            raise Halted
        wait = verdict.wait if verdict.wait is not None else backoff(attempts)
        self._gate.pause(min(wait, HOUR))

    def _failing(self, verdict: ResponseOutcome, own_since: float, attempts: int) -> None:
        """Wait before the next try, or find that trying is over for this request or for all."""
        now = time.monotonic()
        with self._lock:
            since = self._failing_since = self._failing_since or now
            budget = self._budget
            if self._healthy_at is None and not verdict.cause.isdecimal():
                budget = min(budget, _NEVER_REACHED_SECONDS)
        if now - since >= budget:
            self.break_off(self._client.failed(verdict))
            raise Halted
        if now - own_since >= self._budget:
            raise GivenUp
        left = budget - (now - since)
        if self.halt.wait(min(max(backoff(attempts), verdict.wait or 0.0), left)):
            raise Halted

    def _count_refused(self, refused: int, of: int, texts: Mapping[int, str]) -> None:
        with self._lock:
            self._refused_in_a_row = 0 if refused < of else self._refused_in_a_row + refused
            too_many = self._refused_in_a_row >= _REFUSED_IN_A_ROW
        if too_many:
            self.break_off(
                ContractBroken(
                    f"Braze refused {_REFUSED_IN_A_ROW} users in a row and accepted none: "
                    f"{next(iter(texts.values()))}",
                    fix="It is hardly the users: check the template's attributes and the "
                    "identifier with `braze-pipeline rejections`, then run again.",
                )
            )


def _neighbours(positions: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive positions: first and length."""
    start = before = positions[0]
    for position in positions[1:]:
        if position != before + 1:
            yield start, before - start + 1
            start = position
        before = position
    yield start, before - start + 1
