"""The requests to Braze, and what their responses mean.

No exception raised here contains the API key, a header or a body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from braze_pipeline.braze import bounded
from braze_pipeline.braze.answers import (
    UNREADABLE,
    ResponseAction,
    ResponseOutcome,
    classify,
    parse_object,
)
from braze_pipeline.braze.bounded import Answer
from braze_pipeline.braze.instances import is_unencrypted
from braze_pipeline.braze.limits import EXPORT_IDS, MAX_ANSWER_BYTES, MAX_TRACK_ANSWER_BYTES
from braze_pipeline.braze.redaction import Redactor, Secret, read_api_key, safe_text
from braze_pipeline.braze.request import Body
from braze_pipeline.errors import (
    BrazeError,
    BrazeUnavailable,
    ConfigurationError,
    InvalidCredentials,
    MissingPermission,
    RateLimitExhausted,
    WrongInstance,
)

if TYPE_CHECKING:
    from braze_pipeline.settings import DestinationSettings

TRACK: Final = "/users/track"
BULK: Final = "/users/track/bulk"
EXPORT: Final = "/users/export/ids"
ATTRIBUTES: Final = "/custom_attributes"

TIMEOUT: Final = "timeout"
UNTRUSTED: Final = "certificate not trusted: "
"""Begins a cause that no retry removes."""
_NOT_USABLE: Final = "the proxy or REQUESTS_CA_BUNDLE cannot be used"
_NEXT: Final = re.compile(r"<([^>]+)>\s*;\s*rel=\"?next\"?")


class NoAnswer(Exception):
    """No complete response came: refused, reset, timed out. ``cause`` names which, nothing else."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class BrazeClient:
    """A client for one Braze endpoint; safe to use from many threads."""

    def __init__(self, destination: DestinationSettings, secret: Secret, *, pool: int) -> None:
        """Nothing is opened or sent yet.

        Args:
            destination: Endpoint and timeouts.
            secret: The API key.
            pool: Connections to keep open: the number of threads that will use the client.

        Raises:
            ConfigurationError: the endpoint is an http address of another machine.
        """
        if is_unencrypted(destination.endpoint):
            raise ConfigurationError(
                "The REST endpoint does not use https: the API key would be sent unencrypted.",
                fix="Use https.",
            )
        self.redact = Redactor(secret)
        self._destination = destination
        self._headers = {
            "Authorization": f"Bearer {secret.reveal()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "braze_pipeline",
        }
        self._connections = bounded.Connections(
            destination.endpoint,
            size=pool,
            connect_seconds=destination.connect_timeout,
            read_seconds=destination.read_timeout,
            answer_seconds=destination.answer_timeout,
            answer_bytes=_most_bytes,
        )

    def prepare(self) -> None:
        """Read from the environment how to connect, so that an error there comes first.

        Raises:
            ConfigurationError: it names a proxy or a file of certificates that cannot be used.
        """
        usable = False
        with suppress(bounded.NotUsable):
            self._connections.prepare()
            usable = True
        if not usable:
            raise ConfigurationError(
                f"No connection to {self._destination.endpoint} can be prepared.",
                fix=self.unavailable(_NOT_USABLE).fix,
            )

    def __repr__(self) -> str:
        return f"BrazeClient({self._destination.endpoint})"

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def track(self, body: Body, path: str = TRACK) -> Answer:
        """POST a body to ``/users/track`` or ``/users/track/bulk``, unchanged.

        Raises:
            NoAnswer: no complete response came.
        """
        return self._send("POST", path, body)

    def ask(self, method: str, path: str, payload: object = None) -> Answer:
        """Send one request, with a JSON body or none.

        Raises:
            NoAnswer: no complete response came.
        """
        body = None if payload is None else Body(json.dumps(payload).encode())
        return self._send(method, path, body)

    def classify(
        self,
        answer: Answer,
        *,
        objects: int,
        values: Callable[[int], Iterable[str]] = lambda _: (),
    ) -> ResponseOutcome:
        """Classify a response to ``track``; the key and values are removed from its texts.

        ``values`` gives the texts that the object at a position has.
        """
        outcome = classify(
            answer.status, answer.headers, answer.body, objects=objects, now=datetime.now(UTC)
        )
        if not outcome.refused and not outcome.text:
            return outcome
        refused = {
            index: safe_text(text, self.redact, values=values(index))
            for index, text in outcome.refused.items()
        }
        own = values(0) if objects == 1 else ()
        text = safe_text(outcome.text, self.redact, values=own)
        return replace(outcome, refused=refused, text=text)

    def export_ids(
        self,
        ids: Sequence[str],
        fields: Sequence[str],
        *,
        before_request: Callable[[], object] = lambda: None,
    ) -> list[dict[str, Any]]:
        """Read users from Braze; those that it does not have are missing from the result.

        Args:
            ids: At most 50 of the destination's user identifiers.
            fields: What to read of each user.
            before_request: Called before each request. All external ids go in one request,
                each braze id in one of its own.

        Raises:
            BrazeError: see ``failed``.

        Source: Braze docs, "Export user profile by identifier": at most 50 ``external_ids`` in a
        request; ``braze_id`` is one string.
        """
        if len(ids) > EXPORT_IDS:
            raise ValueError(f"At most {EXPORT_IDS} ids in a request.")
        by_external_id = self._destination.identifier == "external_id"
        named: list[dict[str, object]] = (
            [{"external_ids": list(ids)}] if by_external_id else [{"braze_id": one} for one in ids]
        )
        found: list[dict[str, Any]] = []
        for who in named:
            before_request()
            payload = who | {"fields_to_export": list(fields)}
            users, _ = self._list("users", "POST", EXPORT, payload, permission="users.export.ids")
            found += users
        return found

    def custom_attributes(self) -> Iterator[dict[str, Any]]:
        """Every custom attribute of the workspace, page by page.

        Raises:
            BrazeError: see ``failed``.

        Source: Braze docs, "Export custom attributes": 50 a page, cursor in the Link header.
        """
        path = ATTRIBUTES
        read: set[str] = set()
        while path and path not in read:
            read.add(path)
            listed, headers = self._list(
                "attributes", "GET", path, None, permission="custom_attributes.get"
            )
            yield from listed
            path = _next_page(headers.get("link", ""))

    def _list(
        self, name: str, method: str, path: str, payload: object, *, permission: str
    ) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """What the answer lists under ``name``, and its headers."""
        try:
            answer = self.ask(method, path, payload)
        except NoAnswer as error:
            raise self.unavailable(error.cause) from None
        if answer.status not in (200, 201, 202):
            outcome = self.classify(answer, objects=1)
            raise self.failed(outcome, permission=permission)
        listed = (parse_object(answer.body) or {}).get(name)
        if not isinstance(listed, list):  # an empty list would say that Braze has none
            raise self.failed(ResponseOutcome(ResponseAction.NOT_BRAZE, cause=str(answer.status)))
        return [one for one in listed if isinstance(one, dict)], answer.headers

    def failed(self, outcome: ResponseOutcome, *, permission: str = "users.track") -> BrazeError:
        """The error for an outcome that concerns the whole request, for the operator."""
        error = self._error(outcome, permission)
        error.wait = outcome.wait
        return error

    def _error(self, outcome: ResponseOutcome, permission: str) -> BrazeError:
        reply = f' The answer says: "{outcome.text}"' if outcome.text else ""
        endpoint, key = self._destination.endpoint, self._destination.api_key_env
        match outcome.action:
            case ResponseAction.UNAUTHORIZED:
                return InvalidCredentials(
                    f"Braze at {endpoint} does not accept the API key (status 401), even after a "
                    f"retry.{reply}",
                    fix=f"Check that {key} holds a current key of this workspace, that the key's "
                    "IP allowlist includes this machine, and that the instance matches the "
                    "dashboard's address.",
                )
            case ResponseAction.FORBIDDEN:
                return MissingPermission(
                    f"Braze at {endpoint} refuses access (status 403).{reply}",
                    fix=f"Create a key with the `{permission}` permission (the permissions of an "
                    f"existing key cannot be changed) and set {key} to it. If the key has the "
                    "permission, ask Braze whether the account is active.",
                )
            case ResponseAction.THROTTLED:
                return RateLimitExhausted(
                    f"Braze at {endpoint} keeps answering 429: the rate limit is used up.",
                    fix="Run again later. Lower `rate_limit` if other systems share the limit "
                    "(Braze: Settings > APIs and Identifiers > API Usage Dashboard).",
                )
            case ResponseAction.RETRY:
                is_status = outcome.cause.isdecimal()
                return self.unavailable(f"status {outcome.cause}" if is_status else outcome.cause)
            case _:
                return WrongInstance(
                    f"{endpoint} does not answer as Braze does (status {outcome.cause}).{reply}",
                    fix="Check `instance` or `rest_endpoint` in defs.yaml, BRAZE_REST_ENDPOINT, "
                    "and any proxy or firewall in between: it may have answered instead.",
                )

    def unavailable(self, cause: str) -> BrazeError:
        """The error when Braze cannot be reached, or keeps failing."""
        if cause.startswith(UNTRUSTED):
            return untrusted(self._destination.endpoint, cause.removeprefix(UNTRUSTED))
        proxy = bounded.proxy_variable(self._destination.endpoint)
        instead = " A proxy or firewall may have answered instead." if UNREADABLE in cause else ""
        return BrazeUnavailable(
            f"Braze at {self._destination.endpoint} cannot be reached or keeps failing ({cause})."
            f"{instead}",
            fix=f"Check the proxy in {proxy or 'HTTPS_PROXY'}, and the certificates in "
            "REQUESTS_CA_BUNDLE."
            if cause == _NOT_USABLE
            else f"Check {f'the proxy in {proxy}, ' if proxy else ''}the network and Braze's "
            "status page, then try again: what Braze acknowledged is not sent again.",
        )

    def _send(self, method: str, path: str, body: Body | None) -> Answer:
        from urllib3 import exceptions

        cause = ""
        try:
            answer = self._connections.send(method, path, body, self._headers)
        except bounded.NotUsable:
            cause = _NOT_USABLE
        except bounded.AnswerTooLarge:
            cause = "answer too large"
        except exceptions.SSLError as error:
            why = getattr(error.args[0], "verify_message", "")
            refused = "certificate" in str(error)
            cause = "TLS certificate not accepted" if refused else "connection broken"
            cause = f"{UNTRUSTED}{why}" if why else cause
        except exceptions.NewConnectionError as error:  # which is a ConnectTimeoutError, too
            cause = _word(error)
        except exceptions.ConnectTimeoutError:
            cause = "connecting timed out"
        except exceptions.TimeoutError:
            cause = TIMEOUT
        except exceptions.HTTPError as error:
            cause = _word(error)
        except Exception as error:  # noqa: BLE001 - no other may leave here, for the same reason
            cause = type(error).__name__
        if cause:
            # Raised here and not in an `except` block: the library's exception would become its
            # context, and that holds the request with its headers.
            raise NoAnswer(cause)
        return answer


@contextmanager
def one_client(d: DestinationSettings, environ: Mapping[str, str]) -> Iterator[BrazeClient]:
    """A client with the key of the environment, for one request at a time.

    Raises:
        InvalidCredentials: the key is not set, or cannot be one.
        ConfigurationError: the endpoint is an http address of another machine.
    """
    with closing(BrazeClient(d, read_api_key(environ, d.api_key_env), pool=1)) as client:
        yield client


def untrusted(server: str, why: str) -> WrongInstance:
    """The error when a server's certificate is not trusted: nothing was sent to it, no key either.

    Args:
        server: Its name or address.
        why: In OpenSSL's words.
    """
    return WrongInstance(
        f"This machine does not trust the certificate of {server} ({why}). "
        "The connection was closed before the API key or any data was sent over it.",
        fix="Check `instance` or `rest_endpoint` in defs.yaml, BRAZE_REST_ENDPOINT, and this "
        "machine's clock. If a proxy of yours decrypts TLS, set REQUESTS_CA_BUNDLE to its "
        "certificate.",
    )


def _most_bytes(path: str) -> int:
    return MAX_TRACK_ANSWER_BYTES if path.endswith((TRACK, BULK)) else MAX_ANSWER_BYTES


def _word(error: Exception) -> str:
    text = str(error)
    if bounded.NOT_HTTP in text:
        return bounded.NOT_HTTP
    if "Tunnel connection failed" in text:
        return "refused by the proxy"
    if "refused" in text:
        return "connection refused"
    if "resolve" in text or "Name or service" in text:
        return "name not found"
    if "reset" in text.lower() or "aborted" in text or "IncompleteRead" in text:
        return "connection broken"
    return "connection failed"


def _next_page(link: str) -> str:
    """Path and query of the next page in a Link header; empty for the last page."""
    match = _NEXT.search(link)
    query = urlsplit(match.group(1)).query if match else ""
    # Only the cursor is used: an address in a response must not send the key elsewhere.
    cursor = parse_qs(query).get("cursor", [""])[0]
    return f"{ATTRIBUTES}?cursor={quote(cursor, safe='')}" if cursor else ""
