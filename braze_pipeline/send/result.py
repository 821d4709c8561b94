"""What a send measured: counts, pace and latency, in memory that does not grow."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from braze_pipeline.errors import PipelineError

_BOUNDS: Final = tuple(0.001 * 1.1**n for n in range(125))
"""Upper bounds of the latency histogram, 1 ms to more than two minutes, each 10 % wider."""

_MAX_TEXTS: Final = 50
"""How many different refusal texts are counted by name; the rest are counted as "others"."""

_MAX_POINTS: Final = 120
"""Points of the timeline; beyond this, every second one is dropped."""


@dataclass(frozen=True, kw_only=True)
class SendProgress:
    """How far a send is.

    Attributes:
        done, total: Users with a final answer, and all users.
        users_per_second: Since the start.
        seconds_left: At that pace; None while the pace is unknown.
        throttled: Whether requests wait for the rate limit right now.
    """

    done: int
    total: int
    users_per_second: float
    seconds_left: float | None
    throttled: bool

    def sentence(self) -> str:
        """The progress in one line."""
        left = f", about {self.seconds_left:,.0f} s left" if self.seconds_left is not None else ""
        return (
            f"{self.done:,} of {self.total:,} users answered, "
            f"{self.users_per_second:,.0f} users a second{left}"
            + (", waiting for the rate limit" if self.throttled else "")
        )


@dataclass(frozen=True, kw_only=True)
class SendResult:
    """The outcome of a plan over all of its sends, and what the last send measured.

    Always: accepted_users + rejected_users + not_attempted_users is the plan's users.

    Attributes:
        requests: HTTP requests of this send, including retries and split requests.
        bytes: Bytes of their bodies.
        users_sent: Users that got their final answer in this send.
        seconds: Duration of this send.
        throttled_seconds: For how long Braze throttled it.
        latency_p50, latency_p95, latency_p99: Percentiles of its requests' latency, in seconds.
        retries: By cause, such as ``429`` or ``timeout``.
        refused: Users by Braze's reason, in this send.
        timeline: (seconds since the start, users answered until then).
        stopped_by: What ended it early; None if every user has an answer.
    """

    accepted_users: int
    rejected_users: int
    not_attempted_users: int
    requests: int = 0
    bytes: int = 0
    users_sent: int = 0
    seconds: float = 0.0
    throttled_seconds: float = 0.0
    latency_p50: float = 0.0
    latency_p95: float = 0.0
    latency_p99: float = 0.0
    retries: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    timeline: tuple[tuple[float, int], ...] = ()
    stopped_by: PipelineError | None = None

    def after(self, earlier: SendResult) -> SendResult:
        """The same with what an earlier part of the send measured; percentiles are of this part."""
        sums = ("requests", "bytes", "users_sent", "seconds", "throttled_seconds")
        added = {name: getattr(earlier, name) + getattr(self, name) for name in sums}
        retries = Counter(earlier.retries) + Counter(self.retries)
        refused = Counter(earlier.refused) + Counter(self.refused)
        return replace(self, **added, retries=retries, refused=refused)

    def figures(self) -> dict[str, object]:
        """What is kept of a send, by name: in the journal and in ``records.send_outcomes``."""
        transient = ("users_sent", "timeline", "stopped_by")
        return {name: value for name, value in vars(self).items() if name not in transient}


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

    def add_request(self, *, seconds: float, size: int) -> None:
        """Count a request of ``size`` bytes that took ``seconds``, answered or not."""
        with self._lock:
            self.requests += 1
            self.bytes += size
            self._latencies[bisect_left(_BOUNDS, seconds)] += 1

    def add_retry(self, cause: str) -> None:
        """Count a request that has to be sent again."""
        with self._lock:
            self.retries[cause] += 1

    def add_refused(self, texts: Mapping[int, str]) -> None:
        """Count refused objects by Braze's reason."""
        with self._lock:
            for text in texts.values():
                by_name = text in self.refused or len(self.refused) < _MAX_TEXTS
                self.refused[text if by_name else "others"] += 1

    def add_point(self, seconds: float, users: int) -> None:
        """Add a point to the timeline."""
        self.timeline.append((round(seconds, 2), users))
        if len(self.timeline) > _MAX_POINTS:
            del self.timeline[1:-1:2]

    def percentile(self, share: float) -> float:
        """The latency, in seconds, that this share of the requests did not exceed."""
        total = sum(self._latencies)
        reached = 0
        for bound, count in zip(_BOUNDS, self._latencies, strict=False):
            reached += count
            if total and reached >= share * total:
                return bound
        return _BOUNDS[-1] if total else 0.0
