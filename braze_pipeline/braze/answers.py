"""What a response to ``/users/track`` means for each object. Pure: bytes in, an outcome out.

The rule behind all of it: an object counts as accepted only when the response is a success that
accounts for it. If an error cannot be tied to an object, the request is split until the cause is
found.

Sources: Braze docs, "Create and update users", "API errors and responses", "API rate limits".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final, TypeGuard

UNREADABLE: Final = "unreadable answer"
"""The cause of a retry after a success that accounts for nothing, such as a page of a proxy's."""
ACCEPTED: Final = (200, 201, 202)
_SUCCESS: Final = frozenset({"success", "queued"})
_EPOCH_FROM: Final = 1e9
"""A reset above this is a moment, below it a number of seconds: the docs have both."""

_RETRY_AFTER: Final = ("x-ratelimit-retry-after", "retry-after")
_RESET: Final = "x-ratelimit-reset"


class ResponseAction(Enum):
    """What to do about a response."""

    DONE = "done"
    """Every object is accepted, or refused by name."""
    RESEND = "resend"
    """The named objects are refused and the others were not taken: send those again."""
    SPLIT = "split"
    """An error cannot be tied to an object, or the request is too large."""
    RETRY = "retry"
    """Braze, or something in front of it, failed temporarily."""
    THROTTLED = "throttled"
    """Over the rate limit: wait, then send the same request again."""
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_BRAZE = "not_braze"
    """Not a response that Braze gives: wrong address, a proxy, or a login page."""


_ACTIONS: Final = {
    401: ResponseAction.UNAUTHORIZED,
    403: ResponseAction.FORBIDDEN,
    413: ResponseAction.SPLIT,
}


@dataclass(frozen=True)
class ResponseOutcome:
    """The meaning of one response.

    Attributes:
        action: What to do.
        refused: Braze's sentence by the object's position in the request, not redacted.
        text: The message of the whole response, not redacted.
        wait: Seconds to wait before the next request, None if Braze names none.
        cause: A short name for counting retries, such as ``503``.
    """

    action: ResponseAction
    refused: Mapping[int, str] = field(default_factory=dict)
    text: str = ""
    wait: float | None = None
    cause: str = ""


def classify(
    status: int, headers: Mapping[str, str], body: bytes, *, objects: int, now: datetime
) -> ResponseOutcome:
    """Classify the response to a request.

    Args:
        status: The HTTP status.
        headers: The response's headers, with names in lower case.
        body: The response's body.
        objects: How many objects the request held.
        now: The wall clock, for waits given as a moment.
    """
    if status == 429:
        wait = _first_wait(headers, (*_RETRY_AFTER, _RESET), now)
        return ResponseOutcome(ResponseAction.THROTTLED, wait=wait, cause="429")
    if status == 408 or status >= 500:
        wait = _first_wait(headers, _RETRY_AFTER, now)
        return ResponseOutcome(ResponseAction.RETRY, wait=wait, cause=str(status))
    data = parse_object(body)
    outcome = _outcome(status, data, objects)
    # What is not Braze's may still be about the size of a request, but says nothing of one user.
    several = outcome.action is ResponseAction.SPLIT and objects > 1
    if several or outcome.action is ResponseAction.RETRY or _has_form_of_braze(status, data or {}):
        return outcome
    return replace(outcome, action=ResponseAction.NOT_BRAZE, cause=str(status))


def _outcome(status: int, data: dict[str, Any] | None, objects: int) -> ResponseOutcome:
    """The outcome if the response is Braze's."""
    text = _text(data)
    if status in ACCEPTED:
        return _success(data, text, objects)
    if status == 400:
        return _bad_request(data or {}, text, objects)
    if status == 413:
        text = text or "The request is too large."
    action = _ACTIONS.get(status, ResponseAction.NOT_BRAZE)
    return ResponseOutcome(action, text=text, cause=str(status))


def _has_form_of_braze(status: int, data: dict[str, Any]) -> bool:
    """Whether a response has what Braze's has; a 413 is told by its status alone."""
    if status in ACCEPTED:
        is_success = str(data.get("message")).lower() in _SUCCESS
        return is_success or bool(data.get("errors")) or _is_count(data.get("attributes_processed"))
    return status == 413 or bool({"message", "error", "errors"} & data.keys())


def _success(data: dict[str, Any] | None, text: str, objects: int) -> ResponseOutcome:
    if data is None or not _accounts_for_objects(data):
        # An unreadable success accounts for no object. Values are absolute, so sending them
        # again is harmless.
        return ResponseOutcome(ResponseAction.RETRY, cause=UNREADABLE)
    refused, untied = _errors(data, objects)
    message = data.get("message")
    if isinstance(message, str) and message.lower() not in _SUCCESS:
        return ResponseOutcome(ResponseAction.SPLIT, text=untied or text, cause="fatal message")
    processed = data.get("attributes_processed")
    all_counted = _is_count(processed) and processed + len(refused) == objects
    if untied and not all_counted:  # where all are counted, it is a warning
        return ResponseOutcome(ResponseAction.SPLIT, text=untied, cause="untied error")
    if _is_count(processed) and not all_counted:
        return ResponseOutcome(
            ResponseAction.SPLIT,
            text="Braze processed fewer objects than it was sent.",
            cause="short count",
        )
    return ResponseOutcome(ResponseAction.DONE, refused=refused)


def _accounts_for_objects(data: dict[str, Any]) -> bool:
    """Whether a success accounts for its objects in any way."""
    return (
        isinstance(data.get("message"), str)
        or _is_count(data.get("attributes_processed"))
        or bool(data.get("errors"))
    )


def _is_count(value: Any) -> TypeGuard[int]:  # noqa: ANN401 - any JSON
    return isinstance(value, int) and not isinstance(value, bool)


def _bad_request(data: dict[str, Any], text: str, objects: int) -> ResponseOutcome:
    """A 400 took no object; it may still name the ones at fault."""
    refused, untied = _errors(data, objects)
    if untied or not refused:
        return ResponseOutcome(ResponseAction.SPLIT, text=untied or text, cause="400")
    if len(refused) == objects:
        return ResponseOutcome(ResponseAction.DONE, refused=refused)
    return ResponseOutcome(ResponseAction.RESEND, refused=refused, cause="400")


def _errors(data: dict[str, Any], objects: int) -> tuple[dict[int, str], str]:
    """Errors by object position, and the first error text that belongs to no object."""
    errors = data.get("errors") or []
    refused: dict[int, str] = {}
    untied = ""
    for error in errors if isinstance(errors, list) else [errors]:
        index, text = _one_error(error, objects)
        if index is None:
            untied = untied or text
        else:
            refused.setdefault(index, text)
    return refused, untied


def _one_error(error: Any, objects: int) -> tuple[int | None, str]:  # noqa: ANN401 - any JSON
    if not isinstance(error, dict):
        return None, _sentence(error)
    text = _sentence(error.get("type") or error.get("message") or error.get("error") or error)
    index = error.get("index")
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    is_ours = error.get("input_array", "attributes") == "attributes"
    return (index if is_ours and _is_count(index) and 0 <= index < objects else None), text


def _sentence(value: Any) -> str:  # noqa: ANN401 - any JSON
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def parse_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body; None if it is not one. A wrong byte in a text is replaced."""
    try:
        data = json.loads(body.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _text(data: dict[str, Any] | None) -> str:
    """The message of the whole response; parse errors have it in ``error``."""
    texts = (data or {}).get("message"), (data or {}).get("error")
    return next((text for text in texts if isinstance(text, str)), "")


def seconds_until_reset(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds until the rate limit is reset; None if the header is absent or empty."""
    return _first_wait(headers, (_RESET,), now)


def remaining_requests(headers: Mapping[str, str]) -> int | None:
    """Requests left in the window; None if the header is absent or empty."""
    return _count(headers, "x-ratelimit-remaining")


def limit_of_requests(headers: Mapping[str, str]) -> int | None:
    """Requests that a window has; None if the header is absent or empty."""
    return _count(headers, "x-ratelimit-limit")


def _count(headers: Mapping[str, str], name: str) -> int | None:
    value = _number(headers.get(name, ""))
    return None if value is None else int(value)


def _first_wait(headers: Mapping[str, str], names: Iterable[str], now: datetime) -> float | None:
    """Seconds to wait, from the first of these headers that names a wait."""
    waits = (_seconds(headers.get(name, ""), now) for name in names)
    return next((wait for wait in waits if wait is not None), None)


def _seconds(text: str, now: datetime) -> float | None:
    value = _number(text)
    if value is not None:
        return max(0.0, value - now.timestamp() if value >= _EPOCH_FROM else value)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e12 else None
