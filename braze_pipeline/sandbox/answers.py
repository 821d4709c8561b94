"""The sandbox's answers: bodies in Braze's words, and the odd shapes they may take.

Source: Braze docs, "Errors and responses"; the shape of ``errors`` as measured on a live workspace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from braze_pipeline.sandbox.workspace import ARRAYS, Refused, Tracked

NO_VALID_DATA: Final = (
    "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields."
)
TOO_MANY: Final = "Max Input Length Exceeded"
PARSE_ERROR: Final = "Error while parsing request body. Please check your syntax."

_JSON: Final = "application/json; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"


class Delivery(StrEnum):
    """How an answer reaches the client, if it does."""

    WHOLE = "whole"
    RESET = "reset"
    TRUNCATED = "truncated"


@dataclass
class Answer:
    """An answer, ready to be sent.

    Attributes:
        status: HTTP status.
        body: Its bytes.
        content_type: Their type.
        headers: Further headers.
        delivery: Whole, cut off, or a reset connection instead.
        delay: Seconds to wait before it, beyond the sandbox's latency.
    """

    status: int
    body: bytes = b""
    content_type: str = _JSON
    headers: dict[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery.WHOLE
    delay: float = 0.0


class ErrorShape(StrEnum):
    """How ``errors`` looks: as measured, or one of the shapes that other clients met."""

    MEASURED = "measured"
    BARE = "bare strings"
    NO_INDEX = "no index"
    NO_ARRAY = "no input_array"
    TWICE = "index repeated"
    OUT_OF_RANGE = "index out of range"
    NO_MESSAGE = "no message"


def json_answer(status: int, document: Mapping[str, Any]) -> Answer:
    """An answer with a JSON object."""
    return Answer(status, json.dumps(document).encode())


def message(status: int, text: str) -> Answer:
    """An answer that only says something."""
    return json_answer(status, {"message": text})


def html(status: int, title: str) -> Answer:
    """What a proxy before Braze answers."""
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(status, page.encode(), _HTML)


def unauthorized(key: str) -> Answer:
    """401; the body repeats the key, as Braze's does."""
    return message(401, f"Invalid API key: {key}")


def forbidden(permission: str) -> Answer:
    """403 for a key without a permission."""
    return message(403, f"Access Denied: this API key does not have the permission {permission}")


def tracked_answer(
    tracked: Tracked,
    *,
    sizes: Mapping[str, int],
    shape: ErrorShape,
    all_invalid_status: int,
) -> Answer:
    """The answer to a ``/users/track`` request whose objects were looked at one by one.

    Args:
        tracked: What became of them.
        sizes: Length of each input array that was sent.
        shape: How refused objects are named.
        all_invalid_status: The status where no object was taken (400, or 201).
    """
    taken = sum(tracked.taken.values())
    document: dict[str, Any] = {
        f"{array}_processed": tracked.taken[array] for array in ARRAYS if array in sizes
    }
    status, text = 201, "success"
    if not taken and all_invalid_status != HTTPStatus.CREATED:
        status, text, document = all_invalid_status, NO_VALID_DATA, {}
    if tracked.refused:
        document["errors"] = named(tracked.refused, shape, sizes)
    if shape is not ErrorShape.NO_MESSAGE:
        document["message"] = text
    return json_answer(status, document)


def named(refused: Sequence[Refused], shape: ErrorShape, sizes: Mapping[str, int]) -> list[Any]:
    """The ``errors`` of refused objects, in one of the shapes."""
    if shape is ErrorShape.BARE:
        return [one.sentence for one in refused]
    entries: list[Any] = []
    for one in refused:
        entry: dict[str, Any] = {}
        if shape is not ErrorShape.NO_INDEX:
            beyond = sizes[one.array] if shape is ErrorShape.OUT_OF_RANGE else 0
            entry["index"] = one.index + beyond
        if shape is not ErrorShape.NO_ARRAY:
            entry["input_array"] = one.array
        entry["type"] = one.sentence
        entries += [entry, dict(entry)] if shape is ErrorShape.TWICE else [entry]
    return entries
