"""What the sandbox remembers of its requests, and whether a user was ever in two at once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Final

KEPT_REQUESTS: Final = 20_000
"""Requests whose record is kept; totals count all."""

DISCONNECT_GRACE: Final = 0.5
"""Seconds. A client that gave up on a request (timeout, kill) closes its connection and may send
again at once; the server can see the second request before the end of the first connection."""


@dataclass
class RequestRecord:
    """One request to an endpoint of Braze.

    Attributes:
        number: Counted from 1, in the order of arrival.
        received_at: When its body was complete (UTC).
        method: HTTP method.
        path: Path without the query.
        size: Bytes of its body.
        users: Whom its attribute objects are about, in order.
        status: HTTP status of the answer; 0 while there is none, and after a reset.
        fault: The fault it met, in words.
        refused: Objects that were named in ``errors``.
        ignored: Objects of unknown users.
        attributes: Attributes that were written.
        disconnected: The client went away before the answer.
    """

    number: int
    received_at: datetime
    method: str
    path: str
    size: int
    users: tuple[str, ...] = ()
    status: int = 0
    fault: str | None = None
    refused: int = 0
    ignored: int = 0
    attributes: int = 0
    disconnected: bool = False


@dataclass(frozen=True)
class Overlap:
    """A user that was in two requests in flight: ``first`` had no answer when ``second`` came."""

    user: str
    first: int
    second: int


@dataclass
class Traffic:
    """Requests received and in flight. Not safe across threads: the workspace's lock is held.

    Attributes:
        requests: The last records, oldest first.
        totals: Requests, bytes, answers by status and faults by kind.
        peak_in_flight: Most requests that were in flight at once.
        repeated_users: Users that stood in one request twice, counted by request.
    """

    requests: deque[RequestRecord] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    totals: Counter[str] = field(default_factory=Counter)
    peak_in_flight: int = 0
    repeated_users: int = 0
    _overlaps: list[tuple[Overlap, float]] = field(default_factory=list)
    _in_flight: dict[str, int] = field(default_factory=dict)
    _open: int = 0

    def enter(self, method: str, path: str, size: int, users: Iterable[str]) -> RequestRecord:
        """A request is complete and has no answer yet."""
        self.totals["requests"] += 1
        self.totals["bytes"] += size
        record = RequestRecord(
            number=self.totals["requests"],
            received_at=datetime.now(UTC),
            method=method,
            path=path,
            size=size,
            users=tuple(users),
        )
        self.requests.append(record)
        self._open += 1
        self.peak_in_flight = max(self.peak_in_flight, self._open)
        self.repeated_users += len(record.users) - len(set(record.users))
        for user in set(record.users):
            other = self._in_flight.get(user)
            if other is not None:
                self._overlaps.append((Overlap(user, other, record.number), monotonic()))
            self._in_flight[user] = record.number
        return record

    def leave(self, record: RequestRecord) -> None:
        """The answer is on its way, or the client went away."""
        self._open -= 1
        self.totals[f"status {record.status}" if record.status else "no answer"] += 1
        if record.fault is not None:
            self.totals[f"fault {record.fault}"] += 1
        for user in record.users:
            if self._in_flight.get(user) == record.number:
                del self._in_flight[user]
        if record.disconnected and self._overlaps:
            since = monotonic() - DISCONNECT_GRACE
            self._overlaps = [
                (overlap, at)
                for overlap, at in self._overlaps
                if overlap.first != record.number or at < since
            ]

    @property
    def in_flight(self) -> int:
        """Requests that have no answer yet."""
        return self._open

    @property
    def overlaps(self) -> list[Overlap]:
        """Every time that a user was in two requests in flight."""
        return [overlap for overlap, _ in self._overlaps]

    def clear(self) -> None:
        """Forget what was; requests in flight still count as such."""
        self.requests.clear()
        self.totals.clear()
        self._overlaps.clear()
        self.repeated_users = 0
        self.peak_in_flight = self._open
