"""Sends a plan's requests: many at a time, each object to its own end, and stoppable at any time.

Each worker takes the next request of the plan and owns it until all of its objects have an answer,
so that no user is ever in two requests in flight. The thread that called decides how many workers
there are, reports progress, and is the only one that ends a send.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze.client import BrazeClient
from braze_pipeline.braze.rate_limiter import RateLimiter
from braze_pipeline.errors import PipelineError, SendInterrupted
from braze_pipeline.send.batches import Batch, batches, users_in
from braze_pipeline.send.concurrency import ConcurrencyController
from braze_pipeline.send.delivery import Delivery, GivenUp, Halted
from braze_pipeline.send.result import SendMetrics, SendProgress, SendResult
from braze_pipeline.storage.journal import Journal, Status, Writer
from braze_pipeline.storage.journal import JournalProgress as Earlier

if TYPE_CHECKING:
    from braze_pipeline.braze.redaction import Secret
    from braze_pipeline.settings import DestinationSettings

DRAIN_SECONDS: Final = 10.0
"""How long requests in flight may take to end after a stop."""

_TICK: Final = 0.05
"""How often, in seconds, the number of workers is looked at."""

_JOURNAL_WAIT: Final = 0.002


def send_plan(
    *,
    snapshot: Path,
    plan_id: str,
    template: str,
    run_id: str,
    destination: DestinationSettings,
    secret: Secret | None,
    journal: Journal,
    stop: threading.Event | None = None,
    on_progress: Callable[[SendProgress], None] | None = None,
    every: float = 5.0,
) -> SendResult:
    """Send what of a plan has no answer yet. Hold the destination's lock (``sending``) meanwhile.

    Args:
        snapshot: The plan's Parquet file.
        secret: The API key; may be None where nothing is left to send.
        stop: Set it to stop cleanly within seconds.
        on_progress: Called in this thread about every ``every`` seconds, and at the end.

    Returns:
        What became of every user. ``stopped_by`` tells what ended the send early, if anything
        did: a typed error is returned and not raised, because what was acknowledged counts.

    Raises:
        NotBuilt: the snapshot cannot be read.
        LedgerError: the journal cannot be read.
        BaseException: an interrupt is passed on, after what is in flight was drained and noted.
    """
    earlier = journal.progress(plan_id)
    total = users_in(snapshot)
    send_id = journal.start(
        destination=destination.name, template=template, plan_id=plan_id, run_id=run_id
    )
    if earlier.accepted + earlier.refused >= total or secret is None:
        result = _result(
            SendMetrics(), earlier, total=total, seconds=0.0, throttled=0.0, stopped=None
        )
        journal.end(send_id, "done" if not result.not_attempted_users else "stopped", {})
        return result
    run = _Run(
        client=BrazeClient(destination, secret, pool=destination.max_in_flight),
        gate=RateLimiter(destination.rate_limit),
        writer=journal.writer(send_id),
        destination=destination,
        earlier=earlier,
        total=total,
        stop=stop or threading.Event(),
        on_progress=on_progress,
        every=every,
    )
    status: Status = "stopped"
    summary: dict[str, object] = {}
    try:
        result = run.carry_out(snapshot)
        summary = result.summary()
        status = "done" if result.stopped_by is None else "failed"
    finally:
        journal.end(send_id, status, summary)
    return result


class _Run:
    """One send under way."""

    def __init__(
        self,
        *,
        client: BrazeClient,
        gate: RateLimiter,
        writer: Writer,
        destination: DestinationSettings,
        earlier: Earlier,
        total: int,
        stop: threading.Event,
        on_progress: Callable[[SendProgress], None] | None,
        every: float,
    ) -> None:
        self._client = client
        self._gate = gate
        self._writer = writer
        self._earlier = earlier
        self._total = total
        self._stop = stop
        self._on_progress = on_progress
        self._every = every
        self._meter = SendMetrics()
        self._pace = ConcurrencyController(
            per_second=gate.per_second, most=destination.max_in_flight
        )
        self._delivery = Delivery(client, gate, self._meter, self._pace, destination)
        self._batches: Iterator[Batch] = iter(())
        self._broken: Exception | None = None
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._exhausted = threading.Event()  # no request is left, or none may begin
        self._through = threading.Event()
        self._working = 0
        self._in_flight = 0
        self._most = destination.max_in_flight
        self._wanted = 0
        self._given_up = 0
        self._started = time.monotonic()
        self._told = self._started
        writer.on_error = self._delivery.halt.set

    def carry_out(self, snapshot: Path) -> SendResult:
        """Keep as many workers as the pace wants, until the plan is through or the send ends."""
        self._batches = batches(snapshot, self._earlier.ranges)
        try:
            while not self._ending() and not self._through.is_set():
                self._staff()
                self._through.wait(_TICK)
                self._tell_in_time()
        except BaseException:
            self._delivery.halt.set()
            raise
        finally:
            self._close()
        if self._broken is not None:
            raise self._broken
        return _result(
            self._meter,
            self._earlier,
            total=self._total,
            accepted=self._writer.accepted,
            refused=self._writer.refused,
            seconds=time.monotonic() - self._started,
            throttled=self._gate.throttled_seconds,
            stopped=self._stopped_by(),
        )

    def _stopped_by(self) -> PipelineError | None:
        if self._writer.error is not None:
            return self._writer.error
        if self._delivery.error is not None:
            return self._delivery.error
        if self._given_up:
            return self._client.unavailable(f"{self._given_up:,} requests kept failing")
        answered = self._earlier.accepted + self._earlier.refused
        answered += self._writer.accepted + self._writer.refused
        if answered < self._total:
            return SendInterrupted(
                f"The send was stopped; {self._total - answered:,} users were not attempted.",
                fix="Run again: it goes on where it stopped.",
            )
        return None

    def _staff(self) -> None:
        """As many workers as the pace wants; those beyond it rest."""
        self._wanted = self._pace.wanted()
        while len(self._threads) < self._wanted and not self._through.is_set():
            number = len(self._threads)
            thread = threading.Thread(
                target=self._work, args=(number,), name=f"send-{number}", daemon=True
            )
            with self._lock:
                self._working += 1
            self._threads.append(thread)
            thread.start()

    def _ending(self) -> bool:
        if self._stop.is_set():
            self._delivery.halt.set()
        return self._delivery.halt.is_set()

    def _tell_in_time(self) -> None:
        now = time.monotonic()
        if now - self._told >= self._every:
            self._tell(now)

    def _tell(self, now: float) -> None:
        self._told = now
        sent = self._writer.accepted + self._writer.refused
        done = sent + self._earlier.accepted + self._earlier.refused
        seconds = now - self._started
        self._meter.tick(seconds, sent)
        if self._on_progress is None:
            return
        pace = sent / seconds if seconds > 0 else 0.0
        self._on_progress(
            SendProgress(
                done=done,
                total=self._total,
                users_per_second=pace,
                seconds_left=(self._total - done) / pace if pace else None,
                throttled=self._gate.paused,
                in_flight=self._in_flight,
            )
        )

    def _next(self) -> Batch | None:
        """The next request of the plan, for one worker; None at the end, or when all must stop."""
        while not self._delivery.halt.is_set() and not self._exhausted.is_set():
            with self._lock:
                # What is not in the journal yet counts as in flight: a kill would cost it too.
                if self._in_flight + self._writer.pending < self._most:
                    try:
                        batch = next(self._batches, None)
                    except Exception as error:  # noqa: BLE001 - raised by the thread that called
                        self._broken, batch = error, None
                    if batch is None:
                        break
                    self._in_flight += 1
                    return batch
            self._exhausted.wait(_JOURNAL_WAIT)
        self._exhausted.set()
        return None

    def _work(self, number: int) -> None:
        try:
            while (batch := self._next()) is not None:
                self._deliver(batch)
                while number >= self._wanted and not self._exhausted.wait(_TICK):
                    pass  # the pace wants fewer for now
        finally:
            with self._lock:
                self._working -= 1
                last = not self._working
            if last:
                self._through.set()

    def _deliver(self, batch: Batch) -> None:
        try:
            for answer in self._delivery.deliver(batch):
                self._writer.put(answer)
        except Halted:
            pass
        except GivenUp:
            with self._lock:
                self._given_up += 1
        except Exception as error:  # noqa: BLE001 - a worker must never end in silence
            self._delivery.break_off(_defect(error))
        finally:
            with self._lock:
                self._in_flight -= 1

    def _close(self) -> None:
        """End the workers; what is in flight may still bring its answer for a while."""
        deadline = time.monotonic() + DRAIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._writer.close()
        self._client.close()
        self._tell(time.monotonic())


def _defect(error: Exception) -> PipelineError:
    """A defect of ours, without its text: that could hold a customer's object."""
    return PipelineError(
        f"The sender failed with {type(error).__name__}.",
        fix="This is a defect; what Braze acknowledged is kept, and a rerun goes on from there.",
    )


def _result(
    meter: SendMetrics,
    earlier: Earlier,
    *,
    total: int,
    seconds: float,
    throttled: float,
    stopped: PipelineError | None,
    accepted: int = 0,
    refused: int = 0,
) -> SendResult:
    done = earlier.accepted + earlier.refused + accepted + refused
    return SendResult(
        accepted_users=earlier.accepted + accepted,
        rejected_users=earlier.refused + refused,
        not_attempted_users=total - done,
        requests=meter.requests,
        bytes=meter.bytes,
        users_sent=accepted + refused,
        seconds=seconds,
        throttled_seconds=throttled,
        latency_p50=meter.percentile(0.50),
        latency_p95=meter.percentile(0.95),
        latency_p99=meter.percentile(0.99),
        retries=dict(meter.retries),
        refused=dict(meter.refused),
        timeline=tuple(meter.timeline),
        stopped_by=stopped,
    )
