"""Whether the endpoint answers like Braze, accepts the key, and what the key is permitted to do.

Braze has no endpoint that lists a key's permissions, so each one is tried with a request that
changes and reads nothing:

- ``POST /users/track`` with ``{}``. It has no objects, so Braze has nothing to write or create. A
  key with the permission gets a 400 ("Valid data must be provided"), one without it a 401 or 403.
  It counts as one request against the endpoint's rate limit. ``POST /users/track/bulk`` likewise;
  a company without that endpoint, which is a limited beta, gets a 404.
- ``POST /users/export/ids`` without a user: likewise a 400, and no profile is read.
- ``GET /custom_attributes``: names of attributes, no values.

Sources: Braze docs, "Create and update users", "Create and update users in bulk", "Export users by
identifier", "Export custom attributes", "Errors and responses".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze import client as http
from braze_pipeline.braze.answers import ResponseAction, ResponseOutcome
from braze_pipeline.braze.redaction import read_api_key
from braze_pipeline.errors import MissingPermission, PipelineError
from braze_pipeline.operations.doctor.finding import Finding, State, failure, ok, warning

if TYPE_CHECKING:
    from braze_pipeline.braze.bounded import Answer
    from braze_pipeline.braze.client import BrazeClient
    from braze_pipeline.settings import DestinationSettings

TRACK: Final = "users.track"
BULK: Final = "users.track.bulk"
EXPORT: Final = "users.export.ids"
ATTRIBUTES: Final = "custom_attributes.get"

PURPOSES: Final[Mapping[str, str]] = {
    TRACK: "sending",
    BULK: "sending large plans in bulk (`endpoint`)",
    EXPORT: "`known_users: lookup` and `read_back_users`",
    ATTRIBUTES: "comparing names and types with Braze before a plan (`preflight`)",
}

_REQUESTS: Final[Mapping[str, tuple[str, str, object]]] = {
    TRACK: ("POST", http.TRACK, {}),
    BULK: ("POST", http.BULK, {}),
    EXPORT: ("POST", http.EXPORT, {"fields_to_export": ["external_id"]}),
    ATTRIBUTES: ("GET", http.ATTRIBUTES, None),
}

_REFUSED: Final = frozenset({ResponseAction.UNAUTHORIZED, ResponseAction.FORBIDDEN})
_BUSY: Final = frozenset({ResponseAction.THROTTLED, ResponseAction.RETRY})
_NO_ANSWER_NOW: Final = ("Braze could not answer just now.", "Run doctor again in a minute.")

SKEW_SECONDS: Final = 10.0
"""More than this gives a warning: Braze may answer with a time until which to wait."""


def access(
    destination: DestinationSettings,
    environ: Mapping[str, str],
    *,
    used: Collection[str],
    required: Collection[str] = (TRACK,),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Finding]:
    """Check the answer, the key, its permissions and the clock.

    Args:
        destination: The endpoint.
        environ: Where the key is.
        used: The permissions that the configuration uses; a run continues without them.
        required: The permissions that no run can send without.
        now: This machine's clock, with a time zone.
    """
    try:
        secret = read_api_key(environ, destination.api_key_env)
        client = http.BrazeClient(destination, secret, pool=1)
    except PipelineError as error:
        return [failure(f"{destination.name}: key", error)]
    try:
        return _try_permissions(client, destination, used, required, now)
    finally:
        client.close()


def _try_permissions(
    client: BrazeClient,
    destination: DestinationSettings,
    used: Collection[str],
    required: Collection[str],
    now: Callable[[], datetime],
) -> list[Finding]:
    outcomes: dict[str, ResponseOutcome] = {}
    found: list[Finding] = []
    # Bulk is a limited beta: who does not use it is not asked about it.
    asked = [one for one in PURPOSES if one != BULK or one in used]
    for permission in asked:
        before = now()
        try:
            answer = client.ask(*_REQUESTS[permission])
        except http.NoAnswer as error:
            return [*found, failure(f"{destination.name}: answer", client.unavailable(error.cause))]
        outcomes[permission] = client.classify(answer, objects=1)
        if permission == TRACK:
            middle = before + (now() - before) / 2
            found = [
                _answer(client, destination, outcomes[TRACK]),
                _clock(destination, answer, middle),
            ]
            if found[0].state is State.FAIL:
                return found
    key = _key(client, destination, outcomes)
    permissions = [
        _permission(client, destination, permission, outcomes[permission], used, required)
        for permission in asked
        if key.state is not State.FAIL
    ]
    return [found[0], key, *permissions, found[1]]


def _answer(
    client: BrazeClient, destination: DestinationSettings, outcome: ResponseOutcome
) -> Finding:
    name = f"{destination.name}: answer"
    where = destination.endpoint + (f" ({destination.instance})" if destination.instance else "")
    if outcome.action in (ResponseAction.NOT_BRAZE, ResponseAction.RETRY):
        return failure(name, client.failed(outcome))
    if outcome.action is ResponseAction.THROTTLED:
        return warning(
            name,
            f"{where} answers like Braze, but its rate limit is used up at the moment.",
            "A run waits for it. Lower `rate_limit` if other systems share the limit.",
        )
    return ok(name, f"{where} answers like Braze.")


def _key(
    client: BrazeClient, destination: DestinationSettings, outcomes: Mapping[str, ResponseOutcome]
) -> Finding:
    """The key is good if any endpoint accepts it; a 401 may also mean a missing permission."""
    name = f"{destination.name}: key"
    unclear = [one for one in outcomes.values() if one.action in _BUSY]
    unauthorized = [one for one in outcomes.values() if one.action is ResponseAction.UNAUTHORIZED]
    if len(unclear) + len(unauthorized) < len(outcomes):
        return ok(name, f"Braze accepts the key in {destination.api_key_env}.")
    if unauthorized:
        return failure(name, client.failed(unauthorized[0]))
    return warning(name, *_NO_ANSWER_NOW)


def _permission(
    client: BrazeClient,
    destination: DestinationSettings,
    permission: str,
    outcome: ResponseOutcome,
    used: Collection[str],
    required: Collection[str],
) -> Finding:
    name = f"{destination.name}: {permission}"
    purpose = PURPOSES[permission]
    if outcome.action in _BUSY:
        return warning(name, *_NO_ANSWER_NOW)
    if permission == BULK and outcome.cause == "404":
        error: PipelineError = MissingPermission(
            f"Braze does not have {http.BULK} for this company: it is a limited beta.",
            fix="Ask Braze for access, or set `endpoint: track`.",
        )
    elif outcome.action is ResponseAction.NOT_BRAZE:
        error = client.failed(outcome, permission=permission)
    elif outcome.action in _REFUSED:
        error = MissingPermission(
            f"The key in {destination.api_key_env} does not have the `{permission}` permission.",
            fix=f"Create a key with the `{permission}` permission (Braze: Settings > APIs and "
            "Identifiers; permissions of an existing key cannot be changed) and set "
            f"{destination.api_key_env} to it.",
        )
    else:
        return ok(name, f"The key has this permission, for {purpose}.")
    if permission in required:
        return failure(name, error)
    if permission in used:
        return warning(name, f"{error.what} A run continues without {purpose}.", error.fix)
    return ok(name, f"The key does not have this permission. It is for {purpose}: not in use.")


def _clock(destination: DestinationSettings, answer: Answer, here: datetime) -> Finding:
    """Compare this machine's clock with the answer's Date, which is in whole seconds."""
    name = f"{destination.name}: clock"
    try:
        there = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return ok(name, "The answer has no date to compare this machine's clock with.")
    there = there if there.tzinfo else there.replace(tzinfo=UTC)
    skew = (here - there).total_seconds()
    if abs(skew) <= SKEW_SECONDS:
        return ok(name, "This machine's clock agrees with Braze's to within a few seconds.")
    return warning(
        name,
        f"This machine's clock is {abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} "
        "Braze's.",
        "Synchronise it with NTP (systemctl status systemd-timesyncd). The end of a day depends on "
        "it, and so does how long to wait when Braze names a time.",
    )
