"""Look up which users Braze has, before a plan, for those who are new to the ledger."""

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
from braze_pipeline.errors import InvalidCredentials, MissingPermission
from braze_pipeline.ledger import known_users
from braze_pipeline.settings import RateLimit
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

PROGRESS_SECONDS: Final = 30.0
"""Time between two log lines about a look-up under way."""


def look_up_users(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    now: datetime,
    environ: Mapping[str, str],
    log: Callable[[str], None],
    user: str | None = None,
) -> None:
    """Ask Braze which of the users that are new to the ledger it has; or for ``user`` alone.

    Raises:
        BrazeError: Braze refuses or cannot be reached; what was found until then is kept.
    """
    d = t.destination
    try:
        client = BrazeClient(d, read_api_key(environ, d.api_key_env), pool=1)
    except InvalidCredentials as error:
        log(f"{error.what} Users new to the ledger are not confirmed in Braze.")
        return
    rate_limiter = RateLimiter(RateLimit(requests=d.known_users.lookups_per_minute, seconds=60.0))
    never = threading.Event()
    with_retries = RetryPolicy(
        throttled=min(d.max_throttle_seconds, known_users.LOOK_UP_MINUTES * 60.0),
        failing=min(d.retry_budget_seconds, READ_RETRY_SECONDS),
        log=log,
    )

    def once(ids: list[str]) -> set[str]:
        users = client.export_ids(
            ids, [d.identifier], before_request=lambda: rate_limiter.acquire(never)
        )
        return {str(user.get(d.identifier)) for user in users}

    def ask(ids: list[str]) -> set[str]:
        return with_retries(lambda: once(ids))

    last_line = time.monotonic()

    def log_progress(asked: int, of: int) -> None:
        nonlocal last_line
        if time.monotonic() - last_line > PROGRESS_SECONDS and asked < of:
            last_line = time.monotonic()
            log(f"Asked Braze for {asked:,} of {of:,} users new to the ledger.")

    try:
        found = known_users.look_up(
            warehouse, t, days, ask, now=now, on_progress=log_progress, user=user
        )
    except MissingPermission as error:
        # The send can go on without it: those users count as unknown and are reported.
        log(f"Users new to the ledger are not confirmed in Braze: {error}")
        return
    finally:
        client.close()
    if found.asked or found.left:
        log(
            f"Asked Braze for {counted(found.asked, 'user')} new to the ledger: "
            f"it has {found.known:,}"
            + (f"; {found.left:,} wait for the next run." if found.left else ".")
        )
