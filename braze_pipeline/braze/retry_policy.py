"""Retries of read requests that fail temporarily.

Only for calls that change nothing. The send has its own retries, for many workers at once.

Source: Braze docs, "API rate limits": a 429 says how long to wait, and a limit may be shared with
other systems of the workspace.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from braze_pipeline.errors import BrazeError, InvalidCredentials, RateLimitExhausted

T = TypeVar("T")

RETRY_401_SECONDS: Final = 2.0
"""Seconds before the single retry of a 401: some are temporary."""

READ_RETRY_SECONDS: Final = 10.0
"""How long a read waits while Braze fails, or for a limit that does not justify a longer wait."""

_BACKOFF: Final = 0.25
_LONGEST_BACKOFF: Final = 20.0
_DOUBLINGS: Final = 10
"""After so many the bound is above the longest; many more overflow a float."""


def backoff(attempts: int) -> float:
    """Seconds to wait, with full jitter: anything up to a bound that doubles with each attempt."""
    return random.uniform(0, min(_LONGEST_BACKOFF, _BACKOFF * 2 ** min(attempts, _DOUBLINGS)))


@dataclass
class RetryPolicy:
    """How long a read may be retried.

    Attributes:
        throttled: Seconds from the creation of this object during which a 429 is retried.
        failing: Seconds during which one call is retried while Braze fails or is unreachable.
        log: Called with a sentence about any wait of more than a few seconds.
    """

    throttled: float
    failing: float
    log: Callable[[str], None]
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    _throttled_until: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._throttled_until = self.clock() + self.throttled

    def __call__(self, ask: Callable[[], T]) -> T:
        """Call ``ask`` until it returns.

        Raises:
            BrazeError: a retry cannot help, or the time for retries is over.
        """
        failing_until: float | None = None
        refused = False
        attempts = 0
        while True:
            try:
                return ask()
            except InvalidCredentials:
                if refused:
                    raise
                refused, pause = True, RETRY_401_SECONDS
            except BrazeError as error:
                attempts += 1
                now = self.clock()
                until = self._throttled_until
                if not isinstance(error, RateLimitExhausted):
                    until = failing_until = failing_until or now + self.failing
                left = until - now
                wait = error.wait or 0.0
                if not error.transient or left <= 0 or wait > left:
                    raise
                pause = min(max(backoff(attempts), wait), left)
                if pause > RETRY_401_SECONDS:
                    self.log(f"{error.title}: retrying in {pause:,.0f} s.")
            self.sleep(pause)
