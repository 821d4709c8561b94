"""How fast requests may be sent: the limits of the contract, what Braze says of them, and its own
requests to wait.

One limiter for all workers of a send. Senders that share a limit (destinations of one company, or
a rerun in the same hour) also share a ``Budget``: each takes portions of a few requests from it. A
portion has a time at which it begins, so it can be taken before it is needed, and workers know when
their turn comes. When Braze throttles, all workers wait and none fails.

Source: Braze docs, "API rate limits": 3,000 requests in 3 s where pricing has data points; others
by contract, for the whole company, with an hourly limit that is reset on the clock hour.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from braze_pipeline.settings import RateLimit

T = TypeVar("T")

_LEASES: Final = 300
"""A window's requests are taken in about this many portions, so that the rate stays smooth."""

_LATE: Final = 300
"""The part of a window that a portion may be taken late, and used late: workers wake up late."""

_AHEAD: Final = 30
"""The part of a window that a portion may be taken ahead, if workers wait for it."""

_AHEAD_SECONDS: Final = 0.1
"""At most so long ahead: what a sender takes and does not use, no other sender can use."""

_ASK_AGAIN_SECONDS: Final = 1.0
"""After this time a limiter that got nothing asks again: clocks are set, others give back."""

_EARLY_SECONDS: Final = 60.0
"""What answers say so early in an hour may still be about the hour before: clocks differ, and
requests take time."""

_HOURS_KEPT: Final = 24
"""Of these the counts are kept: a clock that is set back must not empty them."""

HOUR: Final = 3600.0


@dataclass(frozen=True)
class Pace:
    """A limit as portions: at most ``lease`` requests, every ``spacing`` seconds.

    The requests of a portion pass within ``2 * slack`` seconds from its start. The spacing is so
    long that any window keeps the limit all the same.

    Attributes:
        slack: How long after its start a portion can still be taken, in seconds.
        ahead: How long before its start it can be taken.
        window: Length of the window, in seconds.
        hourly: Requests in a clock hour under the contract; None if there is no such limit.
        share: How much of the limits is used; the rest is for other systems.
    """

    lease: int
    spacing: float
    slack: float
    ahead: float
    window: float
    hourly: int | None
    share: float

    @classmethod
    def of(cls, limit: RateLimit) -> Pace:
        """The pace that keeps a limit, less what is reserved for others."""
        requests = _share(limit.requests, limit.share)
        lease = max(1, requests // _LEASES)
        slack = limit.seconds / _LATE
        return cls(
            lease=lease,
            spacing=(limit.seconds + 2 * slack) / (requests // lease),
            slack=slack,
            ahead=min(limit.seconds / _AHEAD, _AHEAD_SECONDS),
            window=limit.seconds,
            hourly=limit.requests_per_hour,
            share=limit.share,
        )

    @property
    def per_second(self) -> float:
        """The long-term rate within an hour."""
        return self.lease / self.spacing

    def seconds(self, requests: int) -> float:
        """How long so many requests take at least, from the start of an hour."""
        if self.hourly is None or not requests:
            return requests / self.per_second
        hours, last = divmod(requests - 1, _share(self.hourly, self.share))
        return hours * HOUR + (last + 1) / self.per_second


@dataclass
class Portion:
    """Some requests that a sender may let pass.

    Attributes:
        start: From when, by this machine's monotonic clock.
        hour: The clock hour in which they count.
        unsent: How many are left.
        expected: How many workers wait for its start.
    """

    start: float
    hour: int
    unsent: int
    expected: int = 0


@dataclass
class HourUse:
    """What was used of an hourly limit.

    Attributes:
        ours: Requests that our senders took.
        others: Requests of other systems, as far as Braze's answers show.
        limit: The limit that Braze names; None if it has named none.
    """

    ours: int = 0
    others: int = 0
    limit: int | None = None


@dataclass
class Budget:
    """What the senders of one limit have used of it.

    Attributes:
        next_at: When the next portion may begin, by this machine's monotonic clock.
        hours: Use by clock hour, in hours since the epoch.
    """

    next_at: float = float("-inf")
    hours: dict[int, HourUse] = field(default_factory=dict)

    def lease(self, pace: Pace, *, monotonic: float, wall: float) -> Portion | float:
        """Take the next portion; or else the seconds until the next attempt makes sense."""
        if self.next_at > monotonic + 2 * pace.window:
            # The clock began again (a restart), or the window was longer: wait for one window.
            self.next_at = monotonic + pace.window
        start = max(self.next_at, monotonic - pace.slack)
        hour = int((wall + max(0.0, start - monotonic)) // HOUR)
        left = self._left(pace, hour)
        if left < 1:
            return (hour + 1) * HOUR - wall
        if (wait := start - pace.ahead - monotonic) > 0:
            return wait
        taken = min(pace.lease, left)
        self.next_at = start + pace.spacing
        self._of(hour).ours += taken
        return Portion(start, hour, taken)

    def give_back(self, pace: Pace, portion: Portion) -> None:
        """What is left of a portion; its place too, if it was not begun and none follows it."""
        self._of(portion.hour).ours -= portion.unsent
        if portion.unsent == pace.lease and self.next_at == portion.start + pace.spacing:
            self.next_at = portion.start

    def note(self, *, limit: int, remaining: int, unsent: int, wall: float) -> None:
        """What an answer says of the hour; ``unsent`` requests of ours were taken, not sent."""
        use = self._of(int(wall // HOUR))
        use.limit = limit
        use.others = max(use.others, limit - remaining - (use.ours - unsent))

    def _left(self, pace: Pace, hour: int) -> int:
        if pace.hourly is None:
            return pace.lease
        use = self._of(hour)
        limit = pace.hourly if use.limit is None else min(pace.hourly, use.limit)
        return _share(limit, pace.share) - use.ours - use.others

    def _of(self, hour: int) -> HourUse:
        found = self.hours.setdefault(hour, HourUse())
        for old in sorted(self.hours)[:-_HOURS_KEPT]:
            if old != hour:
                del self.hours[old]
        return found


def _share(requests: int, share: float) -> int:
    return max(1, int(requests * share))


class BudgetStore(Protocol):
    """Where a budget is kept."""

    def update(self, change: Callable[[Budget], T]) -> T:
        """Change the budget while nobody else does; returns what ``change`` returns."""


class OwnBudget:
    """A budget that no other process shares."""

    def __init__(self) -> None:
        self._budget = Budget()

    def update(self, change: Callable[[Budget], T]) -> T:
        """See ``BudgetStore.update``; the limiter changes it from one thread at a time."""
        return change(self._budget)


@dataclass
class RateLimiter:
    """Lets requests pass one at a time, as fast as the limits allow.

    Over all senders that share the budget, at most ``limit.requests`` pass in any window of
    ``limit.seconds``, and at most ``limit.requests_per_hour`` in any clock hour, of both only the
    share that ``limit.use_at_most`` names.

    Attributes:
        monotonic: The clock for the rate, in seconds.
        wall: The clock for the clock hours, in seconds since the epoch.
        budget: What is shared with other senders.
        throttled_seconds: Seconds that Braze asked to wait, in total.
    """

    limit: RateLimit
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    budget: BudgetStore = field(default_factory=OwnBudget)
    throttled_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _budget_lock: threading.Lock = field(default_factory=threading.Lock)
    _portions: deque[Portion] = field(default_factory=deque)
    _over: list[Portion] = field(default_factory=list)
    _paused_until: float = 0.0
    _next_at: float = 0.0
    _ask_at: float = 0.0
    _noted_at: float = float("-inf")
    _closed: bool = False

    def __post_init__(self) -> None:
        self._pace = Pace.of(self.limit)

    @property
    def per_second(self) -> float:
        """The long-term rate within an hour, in requests per second."""
        return self._pace.per_second

    @property
    def counts_hours(self) -> bool:
        """Whether there is an hourly limit, so that ``note`` is of use."""
        return self._pace.hourly is not None

    def try_acquire(self) -> float:
        """Pass if possible: 0.0, or else the seconds until the next attempt makes sense."""
        wait = self._pass()
        if wait is None:
            # While one worker takes a portion, others still pass with what there is.
            with self._budget_lock:
                wait = self._pass()
                if wait is None:
                    wait = _ASK_AGAIN_SECONDS if self._closed else self._take()
        return wait

    def acquire(self, stop: threading.Event) -> bool:
        """Wait until a request may pass; False if ``stop`` was set or the limiter closed first."""
        while not stop.is_set() and not self._closed:
            wait = self.try_acquire()
            if wait <= 0:
                return True
            if stop.wait(min(wait, 1.0)):
                break
        return False

    def note(self, *, limit: int | None, remaining: int | None) -> None:
        """What an answer says of its limit; of use if that is the hour's, and once a second.

        The headers do not say which limit they are about: it is the hour's if their number is
        nearer to the hourly limit of the contract than to its burst limit.
        """
        hourly = self._pace.hourly
        if hourly is None or limit is None or remaining is None:
            return
        if limit * limit <= self.limit.requests * hourly:
            return
        with self._lock:
            now, wall = self.monotonic(), self.wall()
            if now < self._noted_at + 1 or wall % HOUR < _EARLY_SECONDS:
                return
            self._noted_at = now

        def change(budget: Budget) -> None:
            with self._lock:
                taken, hour = [*self._over, *self._portions], int(wall // HOUR)
                unsent = sum(portion.unsent for portion in taken if portion.hour == hour)
            budget.note(limit=limit, remaining=remaining, unsent=unsent, wall=wall)

        with self._budget_lock:
            self.budget.update(change)

    def close(self) -> None:
        """Give back what was taken and not sent; nothing passes any more."""
        with self._budget_lock:
            self._closed = True
            with self._lock:
                self._over += self._portions
                self._portions.clear()
            if self._over:
                self.budget.update(self._give_back)

    def pause(self, seconds: float) -> None:
        """Let no request pass for some seconds, because Braze asked to wait."""
        with self._lock:
            now = self.monotonic()
            until = now + max(0.0, seconds)
            if until > self._paused_until:
                self.throttled_seconds += until - max(now, self._paused_until)
                self._paused_until = until

    @property
    def paused(self) -> bool:
        """Whether requests wait right now: for Braze, or for the next hour."""
        now = self.monotonic()
        return now < self._paused_until or now + 2 * self._pace.window < self._next_at

    def _pass(self) -> float | None:
        """0.0, or the seconds to wait; None if the next portion is to be taken."""
        with self._lock:
            now = self.monotonic()
            if now < self._paused_until:
                return self._paused_until - now
            self._drop(now)
            for portion in self._portions:
                if portion.start <= now:
                    portion.unsent -= 1
                    return 0.0
                if portion.expected < portion.unsent:
                    portion.expected += 1
                    return portion.start - now
            return self._next_at - now if now < self._ask_at else None

    def _drop(self, now: float) -> None:
        """Lay aside the portions that are used up or may be used no more."""
        while self._portions:
            first = self._portions[0]
            timely = now <= first.start + 2 * self._pace.slack
            if first.start <= now and self.counts_hours:
                timely = timely and first.hour == int(self.wall() // HOUR)
            if first.unsent and timely:
                break
            self._over.append(self._portions.popleft())

    def _take(self) -> float:
        """Take the next portion, with the budget's lock: 0.0, or the seconds to wait."""

        def change(budget: Budget) -> tuple[Portion | float, float]:
            self._give_back(budget)
            # Not before: another process may have made us wait.
            now = self.monotonic()
            return budget.lease(self._pace, monotonic=now, wall=self.wall()), now

        found, now = self.budget.update(change)
        with self._lock:
            if not isinstance(found, Portion):
                self._next_at, self._ask_at = now + found, now + min(found, _ASK_AGAIN_SECONDS)
                return found
            self._portions.append(found)
            if found.start <= now:
                found.unsent -= 1
                return 0.0
            found.expected += 1
            return found.start - now

    def _give_back(self, budget: Budget) -> None:
        with self._lock:
            over, self._over = self._over, []
        for portion in reversed(over):
            if portion.unsent:
                budget.give_back(self._pace, portion)
