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
        users: Whom its objects are about, in order.
        status: HTTP status of the response; 0 while there is none, and after a reset.
        fault: The fault it met, in words.
        refused: Objects that were named in ``errors``.
        ignored: Objects of unknown users.
        disconnected: The client went away before the response.
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

    One that stands in a single request twice is an overlap as well.
    """

    user: str
    first: int
    second: int


@dataclass
class Traffic:
    """Requests received and in flight. Not safe across threads: the workspace's lock is held.

    Attributes:
        requests: The last records, oldest first.
        totals: Requests, bytes, responses by status and faults by kind.
        in_flight: Requests that have no response yet.
        peak_in_flight: Most requests that were in flight at once.
    """

    requests: deque[RequestRecord] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    totals: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    peak_in_flight: int = 0
    _overlaps: list[tuple[Overlap, float]] = field(default_factory=list)
    _request_of: dict[str, int] = field(default_factory=dict)

    def enter(self, method: str, path: str, size: int, users: Iterable[str]) -> RequestRecord:
        """A request is complete and has no response yet."""
        self.totals["requests"] += 1
        self.totals["bytes"] += size
        number = self.totals["requests"]
        record = RequestRecord(number, datetime.now(UTC), method, path, size, tuple(users))
        self.requests.append(record)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        for user in record.users:
            other = self._request_of.get(user)
            if other is not None:
                self._overlaps.append((Overlap(user, other, number), monotonic()))
            self._request_of[user] = number
        return record

    def leave(self, record: RequestRecord) -> None:
        """The response is on its way, or the client went away."""
        self.in_flight -= 1
        self.totals[f"status {record.status or 'no answer'}"] += 1
        if record.fault is not None:
            self.totals[f"fault {record.fault}"] += 1
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

    def counted(self, kind: str) -> dict[str, int]:
        """The totals of a kind (``status`` or ``fault``) by what was counted."""
        start = f"{kind} "
        return {
            name.removeprefix(start): count
            for name, count in sorted(self.totals.items())
            if name.startswith(start)
        }

    def clear(self) -> None:
        """Forget what was; requests in flight still count as such."""
        self.requests.clear()
        self.totals.clear()
        self._overlaps.clear()
        self.peak_in_flight = self.in_flight
