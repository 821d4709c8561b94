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

AGAIN_SECONDS: Final = 2.0
"""A 401 is asked about once more after this: some are passing."""

LAPSE_SECONDS: Final = 10.0
"""How long reading waits for a Braze that fails, or for a limit not worth a longer wait."""

_BACKOFF: Final = 0.25
_LONGEST_BACKOFF: Final = 20.0


def backoff(attempts: int) -> float:
    """Seconds to wait, with full jitter: anything up to a bound that doubles with each attempt."""
    return random.uniform(0, min(_LONGEST_BACKOFF, _BACKOFF * 2**attempts))


def _to_nobody(text: str) -> None:
    del text


@dataclass
class Patience:
    """How long a call may go on without an answer that says something.

    Attributes:
        throttled: Seconds for which Braze may answer 429.
        failing: Seconds for which it may fail or be out of reach.
        say: Is told of a wait that is longer than a few seconds.
    """

    throttled: float
    failing: float
    say: Callable[[str], None] = _to_nobody
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def __call__(self, ask: Callable[[], T]) -> T:
        """What ``ask`` returns, as soon as it does.

        Raises:
            BrazeError: waiting cannot help, or did not for as long as it may take.
        """
        since: dict[type[BrazeError], float] = {}
        attempts = 0
        while True:
            try:
                return ask()
            except BrazeError as error:
                attempts += 1
                asked_before = type(error) in since
                now = self.clock()
                left = self._most(error) - (now - since.setdefault(type(error), now))
                pause = backoff(attempts) if error.wait is None else error.wait
                if isinstance(error, InvalidCredentials) and not asked_before:
                    pause = left = AGAIN_SECONDS
                if pause > left:
                    raise
                if pause > AGAIN_SECONDS:
                    self.say(f"{error.title}: asked again in {pause:,.0f} s.")
            self.sleep(pause)

    def _most(self, error: BrazeError) -> float:
        if not error.transient:
            return -1.0
        return self.throttled if isinstance(error, RateLimitExhausted) else self.failing
