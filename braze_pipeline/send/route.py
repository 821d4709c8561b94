"""The endpoint that a send uses now, and its rate limit; from bulk it can fall back, once.

A plan is made for one endpoint. Where ``endpoint: auto`` chose bulk and Braze does not take it
after all, the rest goes to ``/users/track``, cut into smaller requests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from braze_pipeline.braze.answers import ResponseAction, ResponseOutcome
from braze_pipeline.braze.rate_limiter import BudgetStore, OwnBudget, RateLimiter
from braze_pipeline.braze.track_endpoints import TrackEndpoint, track_endpoint
from braze_pipeline.send.budget import SharedBudget
from braze_pipeline.storage.limits import LimitsFile

if TYPE_CHECKING:
    from braze_pipeline.settings import DestinationSettings
    from braze_pipeline.settings.destination import TrackName

_NOT_TAKEN = frozenset({ResponseAction.FORBIDDEN, ResponseAction.NOT_BRAZE})


class Leg(NamedTuple):
    """An endpoint with its rate limiter."""

    endpoint: TrackEndpoint
    limiter: RateLimiter


class Route:
    """Where the requests of a send go; safe to use from many threads.

    Attributes:
        leg: Where the next request goes.
    """

    def __init__(
        self,
        destination: DestinationSettings,
        name: TrackName,
        *,
        limits: Path | None,
        log: Callable[[str], None],
    ) -> None:
        """Begin with the endpoint that the plan was made for.

        Args:
            destination: The limits, and whether the send may fall back.
            name: The plan's endpoint.
            limits: The file in which senders that share a limit count; None to count alone.
            log: Gets a sentence if the send falls back.

        Raises:
            LedgerError, DiskFull: the file of rate limits cannot be used.
        """
        self._destination = destination
        self._limits = limits
        self._file: LimitsFile | None = None
        self._log = log
        self._lock = threading.Lock()
        self._waited = 0.0
        self.leg = self._to(name)

    def _to(self, name: TrackName) -> Leg:
        endpoint = track_endpoint(self._destination, name)
        return Leg(endpoint, RateLimiter(endpoint.limit, budget=self._budget(endpoint)))

    def _budget(self, endpoint: TrackEndpoint) -> BudgetStore:
        # A workspace has one send at a time: its burst limit needs no count that others see.
        shared = self._destination.limited_by_company or endpoint.limit.requests_per_hour
        if self._limits is None or not shared:
            return OwnBudget()
        self._file = self._file or LimitsFile(self._limits)
        return SharedBudget(self._file, f"{self._destination.limited_with}: {endpoint.name}")

    @property
    def throttled_seconds(self) -> float:
        """Seconds that Braze asked to wait, in total."""
        return self._waited + self.leg.limiter.throttled_seconds

    def fell_back(self, used: TrackEndpoint, outcome: ResponseOutcome) -> bool:
        """Whether a request to ``used`` with this outcome is to be sent again, to another one."""
        may = self._destination.sends_to == "auto" and outcome.action in _NOT_TAKEN
        if not may or used.name != "bulk":
            return False
        with self._lock:
            if self.leg.endpoint.name == "bulk":
                self._log(
                    f"Braze does not take {used.path} (status {outcome.cause}): the rest is sent "
                    "to /users/track."
                )
                self._waited += self.leg.limiter.throttled_seconds
                self.leg.limiter.close()
                self.leg = self._to("track")
        return True

    def close(self) -> None:
        """Give back what was not sent of the limit."""
        self.leg.limiter.close()
        if self._file is not None:
            self._file.close()
