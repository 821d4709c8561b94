"""What an answer to ``/users/track`` means, object by object. Pure: bytes in, a verdict out.

The rule behind all of it: an object counts as accepted only when the answer is a success that
accounts for it. What cannot be tied to an object makes the request be split, until the culprit is
alone.

Sources: Braze docs, "Create and update users", "API errors and responses", "API rate limits".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final

_SUCCESS: Final = frozenset({"success", "queued"})
_EPOCH_FROM: Final = 1e9
"""A reset above this is a moment, below it a number of seconds: the docs have both."""


class ResponseAction(Enum):
    """What to do about an answer."""

    DONE = "done"
    """Every object is accepted, or refused by name."""
    RESEND = "resend"
    """The named objects are refused, the others were not taken: send these again."""
    SPLIT = "split"
    """Something is wrong that cannot be tied to an object, or the request is too large."""
    RETRY = "retry"
    """Braze, or something before it, failed for a while."""
    THROTTLED = "throttled"
    """Over the rate limit: wait, then the same again."""
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_BRAZE = "not_braze"
    """Nothing that Braze would say: wrong address, a proxy, a login page."""


@dataclass(frozen=True)
class ResponseOutcome:
    """The meaning of one answer.

    Attributes:
        refused: Position in the request to Braze's sentence, as it came (not redacted).
        text: What the answer says as a whole, as it came.
        wait: Seconds to wait before anything is sent, None where Braze names none.
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
    """Read an answer to a request of so many objects.

    Args:
        status: The HTTP status.
        headers: The answer's headers, in any case.
        body: The answer's body.
        objects: How many objects the request held.
        now: The wall clock, for waits given as a moment.
    """
    if status == 429:
        return ResponseOutcome(
            ResponseAction.THROTTLED, wait=wait_of(headers, now=now), cause="429"
        )
    if status == 408 or status >= 500:
        return ResponseOutcome(
            ResponseAction.RETRY, wait=asked_wait(headers, now=now), cause=str(status)
        )
    data = _parse(body)
    text = _text(data)
    if status in (200, 201, 202):
        return _success(data, text, objects)
    if status == 401:
        return ResponseOutcome(ResponseAction.UNAUTHORIZED, text=text, cause="401")
    if status == 403:
        return ResponseOutcome(ResponseAction.FORBIDDEN, text=text, cause="403")
    if status == 413:
        return ResponseOutcome(
            ResponseAction.SPLIT, text=text or "The request is too large.", cause="413"
        )
    if status == 400:
        return _bad_request(data or {}, text, objects)
    return ResponseOutcome(ResponseAction.NOT_BRAZE, text=text, cause=str(status))


def _success(data: dict[str, Any] | None, text: str, objects: int) -> ResponseOutcome:
    if data is None or not _says_something(data):
        # A success that says nothing readable accounts for nobody; the values are absolute, so
        # that sending them again is harmless.
        return ResponseOutcome(ResponseAction.RETRY, cause="unreadable answer")
    refused, untied = _errors(data, objects)
    message = data.get("message")
    if isinstance(message, str) and message.lower() not in _SUCCESS:
        return ResponseOutcome(ResponseAction.SPLIT, text=untied or text, cause="fatal message")
    if untied:
        return ResponseOutcome(ResponseAction.SPLIT, text=untied, cause="untied error")
    processed: Any = data.get("attributes_processed")
    if _is_count(processed) and int(processed) + len(refused) != objects:
        return ResponseOutcome(
            ResponseAction.SPLIT,
            text="Braze processed fewer objects than it was sent.",
            cause="short count",
        )
    return ResponseOutcome(ResponseAction.DONE, refused=refused)


def _says_something(data: dict[str, Any]) -> bool:
    """Whether a success tells in any way what became of the objects."""
    return (
        isinstance(data.get("message"), str)
        or _is_count(data.get("attributes_processed"))
        or bool(data.get("errors"))
    )


def _is_count(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(value, int) and not isinstance(value, bool)


def _bad_request(data: dict[str, Any], text: str, objects: int) -> ResponseOutcome:
    """A 400 took nothing; it may still name whom it was about."""
    refused, untied = _errors(data, objects)
    if untied or not refused:
        return ResponseOutcome(ResponseAction.SPLIT, text=untied or text, cause="400")
    if len(refused) == objects:
        return ResponseOutcome(ResponseAction.DONE, refused=refused)
    return ResponseOutcome(ResponseAction.RESEND, refused=refused, cause="400")


def _errors(data: dict[str, Any], objects: int) -> tuple[dict[int, str], str]:
    """Errors tied to objects by position, and the first text that is tied to none."""
    errors = data.get("errors")
    if not errors:
        return {}, ""
    refused: dict[int, str] = {}
    untied = ""
    for error in errors if isinstance(errors, list) else [errors]:
        index, text = _tied(error, objects)
        if index is None:
            untied = untied or text
        else:
            refused.setdefault(index, text)
    return refused, untied


def _tied(error: Any, objects: int) -> tuple[int | None, str]:  # noqa: ANN401 - any JSON
    if not isinstance(error, dict):
        return None, _sentence(error)
    text = _sentence(error.get("type") or error.get("message") or error.get("error") or error)
    index = error.get("index")
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    mine = error.get("input_array", "attributes") == "attributes"
    if isinstance(index, bool) or not isinstance(index, int) or not mine:
        return None, text
    return (index, text) if 0 <= index < objects else (None, text)


def _sentence(value: Any) -> str:  # noqa: ANN401 - any JSON
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _text(data: dict[str, Any] | None) -> str:
    """The whole answer's sentence: JSON errors say it in ``error``, the others in ``message``."""
    for key in ("message", "error"):
        if data is not None and isinstance(data.get(key), str):
            return str(data[key])
    return ""


def wait_of(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds that a 429 asks to wait: until what it names, else until the limit's reset."""
    asked = asked_wait(headers, now=now)
    return seconds_until_reset(headers, now=now) if asked is None else asked


def asked_wait(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds that an answer asks to wait: Braze's own header, then the usual one."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    for name in ("x-ratelimit-retry-after", "retry-after"):
        wait = _seconds(lower.get(name, ""), now)
        if wait is not None:
            return wait
    return None


def seconds_until_reset(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds until the limit is reset; the header holds an epoch or a number of seconds."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    value = _number(lower.get("x-ratelimit-reset", ""))
    if value is None:
        return None
    return max(0.0, value - now.timestamp() if value >= _EPOCH_FROM else value)


def remaining_requests(headers: Mapping[str, str]) -> int | None:
    """Requests left in the window, None where the header is absent or empty."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    value = _number(lower.get("x-ratelimit-remaining", ""))
    return None if value is None else int(value)


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
