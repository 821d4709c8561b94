"""The sandbox's record of its requests, and of users that were in two at once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Final

KEPT_REQUESTS: Final = 20_000
"""Requests whose record is kept; the counts include all."""

DISCONNECT_GRACE: Final = 0.5
"""Seconds. A client that gave up on a request (timeout, kill) closes its connection and may send
again immediately. The server can see the second request before it sees the first connection end."""


@dataclass
class RequestRecord:
    """One request to an endpoint of Braze.

    Attributes:
        number: Counted from 1, in the order of arrival.
        received_at: When its body was complete (UTC).
        method: HTTP method.
        path: Path without the query.
        size: Bytes of its body.
        users: The users of its objects, in order.
        status: HTTP status of the response; 0 before the response, and after a reset.
        fault: The fault it met, in words.
        refused: Number of objects named in ``errors``.
        ignored: Number of objects of unknown users.
        disconnected: Whether the client disconnected before the response.
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
    disconnected: bool = False


@dataclass(frozen=True)
class Overlap:
    """A user that was in two requests in flight: ``first`` had no response when ``second`` came.

    A user that is twice in one request counts as an overlap too.
    """

    user: str
    first: int
    second: int


@dataclass
class Traffic:
    """Requests received and in flight. Not thread-safe: callers hold the workspace's lock.

    Attributes:
        requests: The last records, oldest first.
        received: Requests so far.
        answers: Responses by status.
    """

    requests: deque[RequestRecord] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    received: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    _overlaps: list[tuple[Overlap, float]] = field(default_factory=list)
    _request_of: dict[str, int] = field(default_factory=dict)

    def enter(self, method: str, path: str, size: int, users: Iterable[str]) -> RequestRecord:
        """Record a request that is complete and has no response yet."""
        self.received += 1
        number = self.received
        record = RequestRecord(number, datetime.now(UTC), method, path, size, tuple(users))
        self.requests.append(record)
        for user in record.users:
            other = self._request_of.get(user)
            if other is not None:
                self._overlaps.append((Overlap(user, other, number), monotonic()))
            self._request_of[user] = number
        return record

    def leave(self, record: RequestRecord) -> None:
        """Record that the response is on its way, or that the client disconnected."""
        self.answers[str(record.status or "no answer")] += 1
        for user in record.users:
            if self._request_of.get(user) == record.number:
                del self._request_of[user]
        if record.disconnected:
            since = monotonic() - DISCONNECT_GRACE
            self._overlaps = [
                (overlap, at)
                for overlap, at in self._overlaps
                if overlap.first != record.number or at < since
            ]

    @property
    def overlaps(self) -> list[Overlap]:
        """Every time that a user was in two requests in flight."""
        return [overlap for overlap, _ in self._overlaps]
