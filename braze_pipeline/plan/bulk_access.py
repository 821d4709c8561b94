"""Whether the key may send in bulk, asked once before a plan, without writing anything.

``POST /users/track/bulk`` with ``{}`` has no objects: a key with the permission gets a 400, one
without it a 401 or 403, and a company without the endpoint, which is a limited beta, a 404.

Source: Braze docs, "Create and update users in bulk", "Errors and responses".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from braze_pipeline.braze.client import BULK, NoAnswer, one_client
from braze_pipeline.braze.redaction import has_api_key
from braze_pipeline.braze.track_endpoints import bulk_gains
from braze_pipeline.errors import InvalidCredentials

if TYPE_CHECKING:
    from braze_pipeline.settings import DestinationSettings

_BAD_REQUEST = 400


def bulk_permitted(
    d: DestinationSettings, *, environ: Mapping[str, str], log: Callable[[str], None]
) -> bool:
    """Ask Braze, where ``endpoint: auto`` would gain by it. This never fails a plan."""
    if d.sends_to != "auto" or not bulk_gains(d) or not has_api_key(environ, d.api_key_env):
        return False
    status: int | str
    try:
        with one_client(d, environ) as client:
            status = client.ask("POST", BULK, {}).status
    except NoAnswer as error:
        status = error.cause
    except InvalidCredentials as error:
        status = error.what
    if status == _BAD_REQUEST:
        return True
    why = f"status {status}" if isinstance(status, int) else status
    log(f"{BULK} cannot be used ({why}): the plan is made for /users/track.")
    return False
