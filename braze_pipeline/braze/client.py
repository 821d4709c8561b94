"""The connection to Braze, on ``requests``.

A request is prepared once and sent through its adapter: that costs half of ``Session.post``, and it
leaves out what must not happen here anyway: redirects, netrc, cookies. TLS is always verified.

No exception that leaves here holds the API key, a header or a body.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from braze_pipeline.braze import bounded
from braze_pipeline.braze.answers import ResponseAction, ResponseOutcome, classify
from braze_pipeline.braze.instances import is_unencrypted
from braze_pipeline.braze.limits import EXPORT_IDS, MAX_ANSWER_BYTES, MAX_TRACK_ANSWER_BYTES
from braze_pipeline.braze.redaction import Redactor, Secret, safe_text
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
    from requests import PreparedRequest

    from braze_pipeline.settings import DestinationSettings

TRACK: Final = "/users/track"
EXPORT: Final = "/users/export/ids"
ATTRIBUTES: Final = "/custom_attributes"

_NEXT: Final = re.compile(r"<([^>]+)>\s*;\s*rel=\"?next\"?")


class NoAnswer(Exception):
    """No answer came: refused, reset, timed out. Says what in a word, and nothing else."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


class BrazeClient:
    """Talks to one Braze endpoint; may be used by many threads at once."""

    def __init__(self, destination: DestinationSettings, secret: Secret, *, pool: int) -> None:
        """Prepare the connection; nothing is sent yet.

        Args:
            destination: Endpoint and timeouts.
            secret: The API key.
            pool: Connections to keep open: as many as threads will use it.

        Raises:
            ConfigurationError: the endpoint is plain http to another machine.
        """
        import requests
        from urllib3 import exceptions as urllib3

        if is_unencrypted(destination.endpoint):
            raise ConfigurationError(
                "The REST endpoint is no https address: the API key would travel in clear.",
                fix="Use https.",
            )
        self.redact = Redactor(secret)
        self._destination = destination
        self._requests, self._urllib3 = requests, urllib3
        self._secret = secret
        self._timeout = (destination.connect_timeout, destination.read_timeout)
        self._adapter = bounded.adapter(pool=pool, answer_seconds=destination.answer_timeout)
        self._proxies = _proxies(destination.endpoint)
        self._verify: str | bool = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._track = self._prepared("POST", TRACK)

    def __repr__(self) -> str:
        return f"BrazeClient({self._destination.endpoint})"

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    def track(self, body: bytes) -> Answer:
        """POST a body to ``/users/track``, as it is.

        Raises:
            NoAnswer: no answer came.
        """
        request = self._track.copy()
        request.body = body
        request.headers["Content-Length"] = str(len(body))
        return self._send(request, MAX_TRACK_ANSWER_BYTES)

    def ask(self, method: str, path: str, payload: object = None) -> Answer:
        """One request with a JSON body, or none, and its answer as it came.

        Raises:
            NoAnswer: no answer came.
        """
        request = self._prepared(method, path)
        if payload is not None:
            request.body = json.dumps(payload).encode()
            request.headers["Content-Length"] = str(len(request.body))
        return self._send(request, MAX_ANSWER_BYTES)

    def classify(self, answer: Answer, *, objects: int) -> ResponseOutcome:
        """What an answer to ``track`` means, with the key taken out of its texts."""
        outcome = classify(
            answer.status, answer.headers, answer.body, objects=objects, now=datetime.now(UTC)
        )
        if not outcome.text and not outcome.refused:
            return outcome
        return ResponseOutcome(
            outcome.action,
            {index: safe_text(text, self.redact) for index, text in outcome.refused.items()},
            safe_text(outcome.text, self.redact),
            outcome.wait,
            outcome.cause,
        )

    def export_ids(
        self,
        ids: Sequence[str],
        fields: Sequence[str],
        *,
        before_request: Callable[[], object] = lambda: None,
    ) -> list[dict[str, Any]]:
        """The users that Braze has of these, with the fields asked for.

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
            msg = f"At most {EXPORT_IDS} ids in a request."
            raise ValueError(msg)
        by_external_id = self._destination.identifier == "external_id"
        named: list[dict[str, object]] = (
            [{"external_ids": list(ids)}] if by_external_id else [{"braze_id": one} for one in ids]
        )
        found: list[dict[str, Any]] = []
        for who in named:
            before_request()
            payload = who | {"fields_to_export": list(fields)}
            data, _ = self._call("POST", EXPORT, payload, permission="users.export.ids")
            users = data.get("users")
            listed = users if isinstance(users, list) else []
            found += [user for user in listed if isinstance(user, dict)]
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
            data, headers = self._call("GET", path, None, permission="custom_attributes.get")
            listed = data.get("attributes")
            yield from (one for one in listed or [] if isinstance(one, dict))
            path = _next_page(headers.get("link", ""))

    def _call(
        self, method: str, path: str, payload: object, *, permission: str
    ) -> tuple[dict[str, Any], dict[str, str]]:

        answer, cause = None, ""
        try:
            answer = self.ask(method, path, payload)
        except NoAnswer as error:
            cause = error.cause
        if answer is None:
            raise self.unavailable(cause)
        outcome = self.classify(answer, objects=1)
        if answer.status not in (200, 201, 202):
            raise self.failed(outcome, permission=permission)
        try:
            data = json.loads(answer.body)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise self.failed(ResponseOutcome(ResponseAction.NOT_BRAZE, cause=str(answer.status)))
        return data, answer.headers

    def failed(self, outcome: ResponseOutcome, *, permission: str = "users.track") -> BrazeError:
        """The error that a outcome about a whole request means, for the operator."""
        error = self._failure(outcome, permission)
        error.wait = outcome.wait
        return error

    def _failure(self, outcome: ResponseOutcome, permission: str) -> BrazeError:
        said = f' Braze says: "{outcome.text}"' if outcome.text else ""
        where = self._destination.endpoint
        key = self._destination.api_key_env
        if outcome.action is ResponseAction.UNAUTHORIZED:
            return InvalidCredentials(
                f"Braze at {where} does not accept the API key (status 401), also not when asked "
                f"again.{said}",
                fix=f"Check that {key} holds a key of this workspace that was not rotated or "
                "deleted, that its IP allowlist has this machine, and that the instance is the "
                "one in the dashboard's address.",
            )
        if outcome.action is ResponseAction.FORBIDDEN:
            return MissingPermission(
                f"Braze at {where} refuses access (status 403).{said}",
                fix=f"Make a new key with the permission {permission} (permissions of a key "
                f"cannot be changed) and put it into {key}; if it has it, ask Braze whether the "
                "account is active.",
            )
        if outcome.action is ResponseAction.THROTTLED:
            return RateLimitExhausted(
                f"Braze at {where} keeps answering 429: the rate limit is used up.",
                fix="Run again later; lower `rate_limit` if other systems share the limit "
                "(Braze: Settings > APIs and Identifiers > API Usage Dashboard).",
            )
        if outcome.action is ResponseAction.RETRY:
            cause = outcome.cause
            return self.unavailable(f"status {cause}" if cause.isdecimal() else cause)
        return WrongInstance(
            f"{where} does not answer as Braze does (status {outcome.cause}).{said}",
            fix="Check `instance` or `rest_endpoint` in defs.yaml, BRAZE_REST_ENDPOINT, and what "
            "proxy lies between.",
        )

    def unavailable(self, cause: str) -> BrazeUnavailable:
        """The error for a Braze that cannot be reached, or keeps failing."""
        return BrazeUnavailable(
            f"Braze at {self._destination.endpoint} cannot be reached or keeps failing ({cause}).",
            fix="Check the network and Braze's status page, then run again: it goes on where it "
            "stopped.",
        )

    def _prepared(self, method: str, path: str) -> PreparedRequest:
        request = self._requests.Request(
            method,
            self._destination.endpoint + path,
            headers={
                "Authorization": f"Bearer {self._secret.reveal()}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": "braze_pipeline",
            },
        )
        return request.prepare()

    def _send(self, request: PreparedRequest, limit: int) -> Answer:
        exceptions = self._requests.exceptions
        cause = ""
        try:
            response = self._adapter.send(
                request,
                stream=True,
                timeout=self._timeout,
                verify=self._verify,
                proxies=self._proxies,
            )
            # Reading is part of the answer: a body cut short is no answer.
            body = bounded.body_of(response, limit)
        except bounded.AnswerTooLarge:
            cause = "answer too large"
        except exceptions.SSLError:
            cause = "TLS certificate not accepted"
        except exceptions.ConnectTimeout:
            cause = "connecting timed out"
        except (exceptions.Timeout, self._urllib3.TimeoutError):
            cause = "timeout"
        except (exceptions.RequestException, self._urllib3.HTTPError) as error:
            cause = _word(error)
        if cause:
            # Raised out here: inside, it would hold the library's exception as its context, and
            # that one holds the request with its headers.
            raise NoAnswer(cause)
        return Answer(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            body,
        )


def _word(error: Exception) -> str:
    text = str(error)
    if "refused" in text:
        return "connection refused"
    if "resolve" in text or "Name or service" in text:
        return "name not found"
    if "reset" in text.lower() or "aborted" in text or "IncompleteRead" in text:
        return "connection broken"
    return "connection failed"


def _proxies(endpoint: str) -> dict[str, str]:
    """The proxies of the standard variables (HTTPS_PROXY, NO_PROXY); no netrc."""
    from requests.utils import get_environ_proxies

    return dict(get_environ_proxies(endpoint))


def _next_page(link: str) -> str:
    """Path and query of the next page in a Link header; empty for the last."""
    match = _NEXT.search(link)
    if match is None:
        return ""
    split = urlsplit(match.group(1))
    # Only the cursor is taken over: an address in an answer must not direct the key elsewhere.
    cursor = parse_qs(split.query).get("cursor", [""])[0]
    return f"{ATTRIBUTES}?cursor={quote(cursor, safe='')}" if cursor else ""
