"""Reading from Braze in spite of a lapse: what waiting can mend is asked again.

For calls that change nothing. The send has its own way, for many workers at once.

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
"""A 401 is asked about once more after this: some are passing."""

READ_RETRY_SECONDS: Final = 10.0
"""How long reading waits for a Braze that fails, or for a limit not worth a longer wait."""

_BACKOFF: Final = 0.25
_LONGEST_BACKOFF: Final = 20.0


def backoff(attempts: int) -> float:
    """Seconds to wait, with full jitter: anything up to a bound that doubles with each attempt."""
    return random.uniform(0, min(_LONGEST_BACKOFF, _BACKOFF * 2**attempts))


@dataclass
class RetryPolicy:
    """How long reading may go on without an answer that says something.

    Attributes:
        throttled: Seconds, counted from when this was made, after which a 429 is not waited for.
        failing: Seconds for which one call may fail, or Braze be out of reach.
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
        """What ``ask`` returns, as soon as it does.

        Raises:
            BrazeError: waiting cannot help, or did not for as long as it may take.
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
                    self.log(f"{error.title}: asked again in {pause:,.0f} s.")
            self.sleep(pause)
