"""Which users Braze has: asked before a plan, for those who are new to the ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze.client import BrazeClient
from braze_pipeline.braze.rate_limiter import RateLimiter
from braze_pipeline.braze.redaction import read_api_key
from braze_pipeline.braze.retry_policy import READ_RETRY_SECONDS, RetryPolicy
from braze_pipeline.errors import MissingPermission
from braze_pipeline.ledger import known_users
from braze_pipeline.settings import RateLimit

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

TELL_EVERY: Final = 30.0
"""Seconds between two lines about a look-up under way."""


def look_up_users(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    now: datetime,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Ask Braze which of the users that are new to the ledger it has.

    Raises:
        BrazeError: Braze refuses or cannot be reached; what was found until then is kept.
    """
    d = t.destination
    if not environ.get(d.api_key_env, "").strip():
        say(f"{d.api_key_env} is not set: users new to the ledger stay of unknown standing.")
        return
    client = BrazeClient(d, read_api_key(environ, d.api_key_env), pool=1)
    gate = RateLimiter(RateLimit(requests=d.known_users.lookups_per_minute, seconds=60.0))
    never = threading.Event()
    patience = RetryPolicy(
        throttled=min(d.max_throttle_seconds, known_users.LOOK_UP_MINUTES * 60.0),
        failing=min(d.retry_budget_seconds, READ_RETRY_SECONDS),
        log=say,
    )

    def once(ids: list[str]) -> set[str]:
        users = client.export_ids(ids, [d.identifier], before_request=lambda: gate.acquire(never))
        return {str(user.get(d.identifier)) for user in users}

    def ask(ids: list[str]) -> set[str]:
        return patience(lambda: once(ids))

    heard = time.monotonic()

    def tell(asked: int, of: int) -> None:
        nonlocal heard
        if time.monotonic() - heard > TELL_EVERY and asked < of:
            heard = time.monotonic()
            say(f"Asked Braze for {asked:,} of {of:,} users new to the ledger.")

    try:
        found = known_users.look_up(warehouse, t, days, ask, now=now, tell=tell)
    except MissingPermission as error:
        # The send can go on without it: those users count as unknown, and are reported so.
        say(f"Users new to the ledger stay of unknown standing: {error}")
        return
    finally:
        client.close()
    say(
        f"Asked Braze for {found.asked:,} users new to the ledger: it has {found.known:,}"
        + (f"; {found.left:,} wait for the next run." if found.left else ".")
    )
