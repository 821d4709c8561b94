"""Faults between this pipeline and Braze: produced on demand, and repeatable.

A *script* says which fault each of the next requests meets; a ``FaultPlan`` draws them from a
seed, so that the n-th request of a campaign always meets the same one. What a fault does to a
response is in ``fault_responses``; how a connection breaks is in ``server``.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from braze_pipeline.braze.client import BULK, TRACK


class FaultKind(StrEnum):
    """The faults. ``RESET_AFTER`` and the ones below, except ``REFUSED_ALL``, apply the objects."""

    THROTTLED = "429 with X-Ratelimit-Retry-After"
    THROTTLED_PLAINLY = "429 with Retry-After"
    THROTTLED_SILENTLY = "429 without headers"
    REQUEST_TIMEOUT = "408"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502 with HTML"
    UNAVAILABLE = "503"
    GATEWAY_TIMEOUT = "504"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    TOO_LARGE = "413"
    RESET_BEFORE = "reset before the write"
    STALLED = "no answer, nothing written"
    FATAL_MESSAGE = "201 with a fatal message, nothing written"
    RESET_AFTER = "reset after the write"
    SLOW = "slow answer after the write"
    TRUNCATED = "truncated body after the write"
    EMPTY_BODY = "201 with an empty body"
    HTML_BODY = "201 with HTML"
    STATUS_200 = "200"
    STATUS_202 = "202"
    NO_MESSAGE = "201 without message"
    REFUSED = "one object refused"
    REFUSED_BARE = "one object refused, errors are bare strings"
    REFUSED_NO_INDEX = "one object refused, no index"
    REFUSED_NO_ARRAY = "one object refused, no input_array"
    REFUSED_TWICE = "one object refused, index repeated"
    REFUSED_OUT_OF_RANGE = "one object refused, index out of range"
    REFUSED_NO_MESSAGE = "one object refused, no message"
    REFUSED_ALL = "400 that names one object, nothing written"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        kind: What goes wrong.
        seconds: How long a 429 asks to wait, or how long a slow or stalled response takes.
        victim: Index of the object that is refused, modulo the number of objects in the request.
    """

    kind: FaultKind
    seconds: float = 1.0
    victim: int = 0


@dataclass
class FaultPlan:
    """Faults drawn from a seed.

    Attributes:
        seed: Two plans with the same seed and mix give the same faults in the same order.
        mix: Probability by kind; the rest, up to 1, is no fault.
        seconds: ``Fault.seconds`` of each fault.
    """

    seed: int
    mix: Mapping[FaultKind, float]
    seconds: float = 1.0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if sum(self.mix.values()) > 1.0 + 1e-9:
            raise ValueError("The probabilities of a fault plan add up to more than 1.")
        self._random = random.Random(self.seed)

    def draw(self) -> Fault | None:
        """The fault of the next request."""
        chance, victim = self._random.random(), self._random.randrange(1 << 16)
        for kind, probability in self.mix.items():
            if chance < probability:
                return Fault(kind=kind, seconds=self.seconds, victim=victim)
            chance -= probability
        return None


@dataclass
class Faults:
    """What the next requests meet: first the script for their path, then the plan.

    Any thread may add to a script or clear it; only the server's thread takes from it.

    Attributes:
        plan: Faults drawn for ``/users/track`` and ``/users/track/bulk``, None for none.
    """

    plan: FaultPlan | None = None
    _scripts: dict[str, deque[Fault | None]] = field(default_factory=dict)

    def script(self, faults: Iterable[Fault | FaultKind | None], path: str) -> None:
        """Add to the script for a path; None lets a request through."""
        made = [Fault(kind=one) if isinstance(one, FaultKind) else one for one in faults]
        self._scripts.setdefault(path, deque()).extend(made)

    def clear(self) -> None:
        """Forget scripts and plan."""
        self._scripts.clear()
        self.plan = None

    def next(self, path: str) -> Fault | None:
        """The fault that the next request to a path meets."""
        script = self._scripts.get(path)
        if script:
            return script.popleft()
        plan = self.plan
        return plan.draw() if plan is not None and path in (TRACK, BULK) else None
