"""Sends a plan's requests: many at a time, each object to its final answer, and stoppable anytime.

Each worker takes the next request of the plan and owns it until all of its objects have an answer,
so that no user is ever in two requests in flight. The calling thread decides how many workers
there are, reports progress, and is the only one that ends a send.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze.client import BrazeClient
from braze_pipeline.errors import PipelineError, SendInterrupted
from braze_pipeline.send.batches import Batch, batches, users_in
from braze_pipeline.send.concurrency import ConcurrencyController
from braze_pipeline.send.delivery import Delivery, GivenUp, Halted
from braze_pipeline.send.result import SendMetrics, SendProgress, SendResult
from braze_pipeline.send.route import Route
from braze_pipeline.storage import machine
from braze_pipeline.storage.journal import JournalProgress, Status, Writer, progress

if TYPE_CHECKING:
    from braze_pipeline.braze.redaction import Secret
    from braze_pipeline.settings import DestinationSettings
    from braze_pipeline.settings.destination import TrackName
    from braze_pipeline.storage.journal import Journal

DRAIN_SECONDS: Final = 10.0
"""How long requests in flight may take to end after a stop."""

_TICK: Final = 0.01
"""How often the number of workers is adjusted, in seconds."""

_MOST_BYTES: Final = 64_000_000
"""From so many bytes in flight on, no request begins: one in bulk may have 2 MB."""

_LOOK_AGAIN: Final = 0.1
"""How often a worker that has to wait looks whether it may go on, in seconds."""


@dataclass(frozen=True, kw_only=True)
class SendJob:
    """What is sent, where to, and under which names the journal records it.

    Attributes:
        snapshot: The plan's Parquet file.
        endpoint: The endpoint that its requests are made for.
        limits: The file in which senders that share a limit count; None to count alone.
    """

    snapshot: Path
    plan_id: str
    template: str
    run_id: str
    destination: DestinationSettings
    endpoint: TrackName = "track"
    limits: Path | None = None


def send_plan(
    job: SendJob,
    *,
    secret: Secret | None,
    journal: Journal,
    stop: threading.Event | None = None,
    on_progress: Callable[[SendProgress], None] = lambda _: None,
    log: Callable[[str], None] = lambda _: None,
    every: float = 5.0,
) -> SendResult:
    """Send what has no answer yet. The caller holds the destination's lock (``sending``).

    Args:
        job: What to send.
        secret: The API key; may be None if nothing is left to send.
        journal: Where answers are recorded.
        stop: Set it to stop cleanly within seconds.
        log: Called with a sentence if the send falls back from bulk.
        on_progress: Called in this thread about every ``every`` seconds, and at the end.
        every: See ``on_progress``.

    Returns:
        The outcome of every user. A typed error that ended the send early is returned in
        ``stopped_by`` and not raised, because what Braze acknowledged counts.

    Raises:
        NotBuilt: the snapshot cannot be read.
        ConfigurationError: see ``BrazeClient`` and its ``prepare``.
        LedgerError: the journal cannot be read, or the file of rate limits cannot be used.
        BaseException: an interrupt is passed on, after requests in flight have ended.
    """
    earlier = progress(journal.path, job.plan_id)
    total = users_in(job.snapshot)
    # Before the send begins: it must not, where its limits cannot be read.
    client = route = None
    if earlier.answered < total and secret is not None:
        client = BrazeClient(job.destination, secret, pool=job.destination.max_in_flight)
        client.prepare()
        route = Route(job.destination, job.endpoint, limits=job.limits, log=log)
    send_id = journal.start(
        destination=job.destination.name,
        template=job.template,
        plan_id=job.plan_id,
        run_id=job.run_id,
    )
    if route is None or client is None:
        so_far = sent_so_far(earlier, total)
        journal.end(send_id, "stopped" if so_far.not_attempted_users else "done", {"begun": -1})
        return so_far
    run = _Run(
        job.destination, client, route, Writer(journal, send_id), earlier,
        total=total, stop=stop or threading.Event(), on_progress=on_progress, every=every,
    )  # fmt: skip
    status: Status = "stopped"
    summary: dict[str, object] = {}
    try:
        result = run.carry_out(job.snapshot)
        error = result.stopped_by
        summary = {**result.figures(), "stopped_by": error.action if error else None}
        status = "failed" if error else "done"
    finally:
        journal.end(send_id, status, summary | {"begun": run.begun})
    return result


def sent_so_far(earlier: JournalProgress, total: int) -> SendResult:
    """The result of sending nothing: what earlier sends of the plan brought, and no more."""
    return SendResult(
        accepted_users=earlier.accepted,
        rejected_users=earlier.refused,
        not_attempted_users=total - earlier.answered,
    )


@dataclass(eq=False, repr=False)
class _Run:
    """A send in progress."""

    destination: DestinationSettings
    _client: BrazeClient
    route: Route
    writer: Writer
    earlier: JournalProgress
    total: int
    stop: threading.Event
    on_progress: Callable[[SendProgress], None]
    every: float

    def __post_init__(self) -> None:
        self._max_in_flight = self.destination.max_in_flight
        self._metrics = SendMetrics()
        self._concurrency = ConcurrencyController(
            per_second=lambda: self.route.leg.limiter.per_second,
            most=self._max_in_flight,
            core=min(1.0, machine.machine().processor),
        )
        self._delivery = Delivery(
            self._client, self.route, self._metrics, self._concurrency, self.destination
        )
        self.writer.on_commit = self._committed
        self._batches: Generator[Batch, None, None]
        self._snapshot_error: Exception | None = None
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)  # for more requests in flight
        self._reading = threading.Lock()  # apart: a slow disk must hold up no answer
        self._exhausted = threading.Event()  # no request is left, or none may begin
        self._finished = threading.Event()  # no worker is left
        self._working = 0
        self._in_flight = 0
        self._bytes = 0  # of the bodies in flight
        self._wanted = 0
        self.begun = -1  # the last request; they begin in order
        self._given_up = 0
        self._started = time.monotonic()
        self._reported = self._started

    def carry_out(self, snapshot: Path) -> SendResult:
        """Keep as many workers as wanted, until the plan is sent or the send ends."""
        self._batches = batches(snapshot, self.earlier.ranges)
        try:
            while not self._ending() and not self._finished.is_set():
                self._start_workers()
                self._finished.wait(_TICK)
                if time.monotonic() - self._reported >= self.every:
                    self._report()
        except BaseException:
            self._delivery.halt.set()
            raise
        finally:
            self._close()
        if self._snapshot_error is not None:
            raise self._snapshot_error
        return SendResult(
            accepted_users=self.earlier.accepted + self.writer.accepted,
            rejected_users=self.earlier.refused + self.writer.refused,
            not_attempted_users=self.total - self._answered,
            requests=self._metrics.requests,
            bytes=self._metrics.bytes,
            users_sent=self.writer.answered,
            seconds=time.monotonic() - self._started,
            throttled_seconds=self.route.throttled_seconds,
            latency_p50=self._metrics.percentile(0.50),
            latency_p95=self._metrics.percentile(0.95),
            latency_p99=self._metrics.percentile(0.99),
            retries=dict(self._metrics.retries),
            refused=dict(self._metrics.refused),
            timeline=tuple(self._metrics.timeline),
            stopped_by=self._stopped_by(),
        )

    @property
    def _answered(self) -> int:
        """Users with a final answer, over all sends of the plan."""
        return self.earlier.answered + self.writer.answered

    def _stopped_by(self) -> PipelineError | None:
        left = self.total - self._answered
        if error := self.writer.error or self._delivery.error:
            return error if isinstance(error, PipelineError) else _defect(error)
        if self._given_up:
            return self._client.unavailable(f"{self._given_up:,} requests kept failing")
        if left:
            return SendInterrupted(
                f"The send was stopped; {left:,} users were not attempted.",
                fix="Try again: what Braze acknowledged is not sent again.",
            )
        return None

    def _start_workers(self) -> None:
        """Start the workers that are missing; surplus ones pause."""
        self._wanted = self._concurrency.wanted()
        while len(self._threads) < self._wanted and not self._finished.is_set():
            number = len(self._threads)
            thread = threading.Thread(
                target=self._work, args=(number,), name=f"send-{number}", daemon=True
            )
            with self._lock:
                self._working += 1
            self._threads.append(thread)
            thread.start()

    def _ending(self) -> bool:
        if self.stop.is_set() or self.writer.error is not None:
            self._delivery.halt.set()
        return self._delivery.halt.is_set()

    def _report(self) -> None:
        self._reported = time.monotonic()
        seconds = self._reported - self._started
        sent = self.writer.answered
        done = self.earlier.answered + sent
        pace = sent / seconds if seconds > 0 else 0.0
        self._metrics.add_point(seconds, sent)
        self.on_progress(
            SendProgress(
                done=done,
                total=self.total,
                users_per_second=pace,
                seconds_left=(self.total - done) / pace if pace else None,
                throttled=self.route.leg.limiter.paused,
            )
        )

    def _next(self) -> Batch | None:
        """The next request of the plan, for one worker; None at the end, or when all must stop."""
        with self._reading:
            while not self._delivery.halt.is_set() and not self._exhausted.is_set():
                with self._lock:
                    # What is not in the journal yet is in flight: a crash would lose it too.
                    full = self._in_flight + self.writer.pending >= self._max_in_flight
                    if full or self._bytes >= _MOST_BYTES:
                        self._room.wait(_LOOK_AGAIN)
                        continue
                try:
                    batch = next(self._batches, None)
                except Exception as error:  # noqa: BLE001 - raised by the calling thread
                    self._snapshot_error, batch = error, None
                if batch is None:
                    break
                with self._lock:
                    self.begun = batch.request_no
                    self._in_flight += 1
                    self._bytes += len(batch.body)
                return batch
            self._exhausted.set()
        return None

    def _work(self, number: int) -> None:
        try:
            while (batch := self._next()) is not None:
                self._deliver(batch)
                del batch  # a worker that waits holds none
                while number >= self._wanted and not self._exhausted.wait(_LOOK_AGAIN):
                    pass  # fewer workers are wanted for now
        finally:
            with self._lock:
                self._working -= 1
                last = not self._working
            if last:
                self._finished.set()

    def _deliver(self, batch: Batch) -> None:
        try:
            for acknowledgement in self._delivery.deliver(batch):
                self.writer.put(acknowledgement)
        except Halted:
            pass
        except GivenUp:
            with self._lock:
                self._given_up += 1
        except PipelineError as error:
            self._delivery.stop(error)
        except Exception as error:  # noqa: BLE001 - a worker must never fail silently
            self._delivery.stop(_defect(error))
        finally:
            with self._lock:
                self._in_flight -= 1
                self._bytes -= len(batch.body)
                self._room.notify()

    def _committed(self, answers: int) -> None:
        with self._lock:
            self._room.notify(answers)

    def _close(self) -> None:
        """End the workers; requests in flight get some time to bring their answer."""
        deadline = time.monotonic() + DRAIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.writer.close()
        self._client.close()
        self.route.close()
        if self._reading.acquire(blocking=False):  # else a slow disk holds a worker up
            self._batches.close()
            self._reading.release()
        self._report()


def _defect(error: Exception) -> PipelineError:
    """Without the exception's text, which could contain a customer's values."""
    return PipelineError(
        f"The sender failed with {type(error).__name__}.",
        fix="This is a defect. What Braze acknowledged is kept, and a rerun resumes from there.",
    )
