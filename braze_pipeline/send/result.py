"""What a send measured: counts, pace and latency, with memory that does not grow."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from braze_pipeline.errors import PipelineError

_BOUNDS: Final = tuple(0.001 * 1.1**n for n in range(125))
"""Latency classes from 1 ms to more than two minutes, each a tenth wider than the last."""

_TEXTS: Final = 50
"""Different sentences of Braze's that are kept; the rest are counted as others."""

_POINTS: Final = 120
"""Points of the timeline at the most; it is thinned out when it grows beyond."""


@dataclass(frozen=True, kw_only=True)
class SendProgress:
    """How far a send is.

    Attributes:
        done, total: Users that have their answer, of all.
        users_per_second: Since the start.
        seconds_left: At that pace; None before anything is known.
        throttled: Whether Braze asked to wait, right now.
        in_flight: Requests under way.
    """

    done: int
    total: int
    users_per_second: float
    seconds_left: float | None
    throttled: bool
    in_flight: int


@dataclass(frozen=True, kw_only=True)
class SendResult:
    """What became of a plan, over all sends of it, and what the last send measured.

    Always: accepted_users + rejected_users + not_attempted_users is the plan's users.

    Attributes:
        requests: HTTP requests of this send, retries and parts included.
        bytes: Bytes of their bodies.
        users_sent: Users that got their answer in this send.
        retries: By cause, such as ``429`` or ``timeout``.
        refused: Users by Braze's sentence, in this send.
        throttled_seconds: For how long Braze asked to wait.
        timeline: (seconds since the start, users answered until then).
        stopped_by: What ended it early; None when every user has an answer.
    """

    accepted_users: int
    rejected_users: int
    not_attempted_users: int
    requests: int
    bytes: int
    users_sent: int
    seconds: float
    throttled_seconds: float
    latency_p50: float
    latency_p95: float
    latency_p99: float
    retries: Mapping[str, int]
    refused: Mapping[str, int]
    timeline: tuple[tuple[float, int], ...]
    stopped_by: PipelineError | None

    def summary(self) -> dict[str, object]:
        """The figures alone, as the journal keeps them."""
        return {
            "accepted_users": self.accepted_users,
            "rejected_users": self.rejected_users,
            "not_attempted_users": self.not_attempted_users,
            "requests": self.requests,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "throttled_seconds": round(self.throttled_seconds, 3),
            "latency_p50": round(self.latency_p50, 4),
            "latency_p95": round(self.latency_p95, 4),
            "latency_p99": round(self.latency_p99, 4),
            "retries": dict(self.retries),
            "refused": dict(self.refused),
            "stopped_by": self.stopped_by.action if self.stopped_by else None,
        }


@dataclass
class SendMetrics:
    """Counts that many threads add to."""

    requests: int = 0
    bytes: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    timeline: list[tuple[float, int]] = field(default_factory=list)
    _latencies: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, *, seconds: float, size: int) -> None:
        """A request of so many bytes had an answer, or none, after so many seconds."""
        with self._lock:
            self.requests += 1
            self.bytes += size
            self._latencies[bisect_left(_BOUNDS, seconds)] += 1

    def retried(self, cause: str) -> None:
        """A request has to be sent again."""
        with self._lock:
            self.retries[cause] += 1

    def was_refused(self, texts: Mapping[int, str]) -> None:
        """Braze refused objects."""
        with self._lock:
            for text in texts.values():
                known = text in self.refused or len(self.refused) < _TEXTS
                self.refused[text if known else "others"] += 1

    def tick(self, seconds: float, users: int) -> None:
        """Note a point of the timeline."""
        self.timeline.append((round(seconds, 2), users))
        if len(self.timeline) > _POINTS:
            del self.timeline[1:-1:2]

    def percentile(self, share: float) -> float:
        """The latency that so large a share of requests did not exceed, in seconds."""
        total = sum(self._latencies)
        reached = 0
        for bound, count in zip(_BOUNDS, self._latencies, strict=False):
            reached += count
            if total and reached >= share * total:
                return bound
        return _BOUNDS[-1] if total else 0.0
