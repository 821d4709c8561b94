"""Whether the endpoint answers as Braze does, accepts the key, and what the key may do.

Braze has no endpoint that says what a key may do, so each one is asked for nothing:

- ``POST /users/track`` with ``{}``. It holds no object, so there is nothing that Braze could write
  or create; a key that may track gets a 400 ("Valid data must be provided"), one that may not a
  401 or 403. It counts as one request against the limit of that endpoint.
- ``POST /users/export/ids`` for nobody: a 400 likewise, and no profile is read.
- ``GET /custom_attributes``: the names of attributes, no values.

Sources: Braze docs, "Create and update users", "Export users by identifier", "Export custom
attributes", "Errors and responses".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze import client as http
from braze_pipeline.braze.answers import ResponseAction, ResponseOutcome
from braze_pipeline.braze.redaction import secret_of
from braze_pipeline.errors import MissingPermission, PipelineError
from braze_pipeline.operations.doctor.finding import Finding, State, failure, ok, warning

if TYPE_CHECKING:
    from braze_pipeline.braze.client import Answer, BrazeClient
    from braze_pipeline.settings import DestinationSettings

TRACK: Final = "users.track"
EXPORT: Final = "users.export.ids"
ATTRIBUTES: Final = "custom_attributes.get"

PURPOSES: Final[Mapping[str, str]] = {
    TRACK: "sending",
    EXPORT: "`known_users: lookup` and `read_back_users`",
    ATTRIBUTES: "comparing names and types with Braze before a plan (`preflight`)",
}

_REQUESTS: Final[Mapping[str, tuple[str, str, object]]] = {
    TRACK: ("POST", http.TRACK, {}),
    EXPORT: ("POST", http.EXPORT, {"fields_to_export": ["external_id"]}),
    ATTRIBUTES: ("GET", http.ATTRIBUTES, None),
}

_REFUSED: Final = frozenset({ResponseAction.UNAUTHORIZED, ResponseAction.FORBIDDEN})
_UNSURE: Final = frozenset({ResponseAction.THROTTLED, ResponseAction.RETRY})

SKEW_SECONDS: Final = 10.0
"""A clock that is further off is worth knowing: Braze may name a moment to wait for."""


def access(
    destination: DestinationSettings,
    environ: Mapping[str, str],
    *,
    used: Collection[str],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Finding]:
    """Key, answer, permissions and clock.

    Args:
        destination: The endpoint.
        environ: Where the key is.
        used: The permissions beside ``users.track`` that the configuration makes use of.
        now: This machine's clock, with a zone.
    """
    name = f"{destination.name}: key"
    try:
        secret = secret_of(environ, destination.api_key_env)
        client = http.BrazeClient(destination, secret, pool=1)
    except PipelineError as error:
        return [failure(name, error)]
    try:
        return _asked(client, destination, used, now)
    finally:
        client.close()


def _asked(
    client: BrazeClient,
    destination: DestinationSettings,
    used: Collection[str],
    now: Callable[[], datetime],
) -> list[Finding]:
    verdicts: dict[str, ResponseOutcome] = {}
    found: list[Finding] = []
    for permission in PURPOSES:
        before = now()
        try:
            answer = client.ask(*_REQUESTS[permission])
        except http.NoAnswer as error:
            return [*found, failure(f"{destination.name}: answer", client.unavailable(error.cause))]
        verdicts[permission] = _meaning(client, answer)
        if permission == TRACK:
            middle = before + (now() - before) / 2
            found = _first(client, destination, verdicts[TRACK])
            found.append(_clock(destination, answer, middle))
            if found[0].state is State.FAIL:
                return found
    found.insert(1, _key(client, destination, verdicts))
    if found[1].state is State.FAIL:
        return found
    told = [_permission(client, destination, one, verdicts[one], used) for one in PURPOSES]
    return [*found[:2], *told, *found[2:]]


def _meaning(client: BrazeClient, answer: Answer) -> ResponseOutcome:
    verdict = client.judged(answer, objects=1)
    # Kinds that come from a status alone: make sure that it was Braze which said it.
    if verdict.kind in _REFUSED and not _speaks(answer):
        return ResponseOutcome(ResponseAction.NOT_BRAZE, cause=verdict.cause)
    return verdict


def _speaks(answer: Answer) -> bool:
    """Whether an answer has the form of Braze's: a JSON object that says something."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        return False
    return isinstance(document, dict) and bool({"message", "error", "errors"} & document.keys())


def _first(
    client: BrazeClient, destination: DestinationSettings, verdict: ResponseOutcome
) -> list[Finding]:
    name = f"{destination.name}: answer"
    where = destination.endpoint + (f" ({destination.instance})" if destination.instance else "")
    if verdict.kind is ResponseAction.NOT_BRAZE or verdict.kind is ResponseAction.RETRY:
        return [failure(name, client.failed(verdict))]
    if verdict.kind is ResponseAction.THROTTLED:
        return [
            warning(
                name,
                f"{where} answers as Braze does: the request limit is used up at the moment.",
                "A run waits for it; lower `rate_limit` if other systems share the limit.",
            )
        ]
    return [ok(name, f"{where} answers as Braze does.")]


def _key(
    client: BrazeClient, destination: DestinationSettings, verdicts: Mapping[str, ResponseOutcome]
) -> Finding:
    """The key is good if anything at all accepts it; a 401 may also mean a missing permission."""
    name = f"{destination.name}: key"
    kinds = {verdict.kind for verdict in verdicts.values()}
    if kinds <= {ResponseAction.UNAUTHORIZED, *_UNSURE} and ResponseAction.UNAUTHORIZED in kinds:
        return failure(name, client.failed(verdicts[_of(verdicts, ResponseAction.UNAUTHORIZED)]))
    if kinds <= _UNSURE:
        return warning(name, "Braze does not say at the moment.", "Ask again in a minute.")
    return ok(name, f"{destination.api_key_env} holds a key that Braze knows.")


def _of(verdicts: Mapping[str, ResponseOutcome], kind: ResponseAction) -> str:
    return next(name for name, verdict in verdicts.items() if verdict.kind is kind)


def _permission(
    client: BrazeClient,
    destination: DestinationSettings,
    permission: str,
    verdict: ResponseOutcome,
    used: Collection[str],
) -> Finding:
    name = f"{destination.name}: {permission}"
    purpose = PURPOSES[permission]
    if verdict.kind in _UNSURE:
        return warning(name, "Braze does not say at the moment.", "Ask again in a minute.")
    if verdict.kind is ResponseAction.NOT_BRAZE:
        error: PipelineError = client.failed(verdict, permission=permission)
    elif verdict.kind in _REFUSED:
        error = _lacking(destination, permission)
    else:
        return ok(name, f"The key has it, for {purpose}.")
    if permission == TRACK:
        return failure(name, error)
    if permission in used:
        return warning(name, f"{error.what} A run goes on without {purpose}.", error.fix)
    return ok(name, f"The key does not have it; it is needed for {purpose}, which is not in use.")


def _lacking(destination: DestinationSettings, permission: str) -> MissingPermission:
    return MissingPermission(
        f"The key in {destination.api_key_env} lacks the permission {permission}.",
        fix=f"Make a new key that has it (permissions of a key cannot be changed; Braze: Settings "
        f"> APIs and Identifiers) and put it into {destination.api_key_env}.",
    )


def _clock(destination: DestinationSettings, answer: Answer, here: datetime) -> Finding:
    """This machine's clock beside the answer's Date, which is in whole seconds."""
    name = f"{destination.name}: clock"
    try:
        there = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return ok(name, "The answer has no date to compare this machine's clock with.")
    there = there if there.tzinfo else there.replace(tzinfo=UTC)
    skew = (here - there).total_seconds()
    if -SKEW_SECONDS <= skew <= SKEW_SECONDS:
        return ok(name, "This machine's clock agrees with Braze's to a few seconds.")
    return warning(
        name,
        f"This machine's clock is {abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} "
        "Braze's.",
        "Set it by NTP (systemctl status systemd-timesyncd): waits that Braze gives as a moment, "
        "and the end of the day, go by it.",
    )
