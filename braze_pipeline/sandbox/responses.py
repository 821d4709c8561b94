"""The sandbox's responses: bodies in Braze's words.

Source: Braze docs, "Errors and responses"; the shape of ``errors`` as measured on a live workspace.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final, Literal

NO_VALID_DATA: Final = (
    "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields."
)
TOO_MANY: Final = "Max Input Length Exceeded"


@dataclass
class Response:
    """A response, ready to be sent.

    Attributes:
        status: HTTP status.
        body: The bytes of its body.
        media_type: The type of the body.
        headers: Other headers.
        broken: ``truncated``: the body is cut off; ``reset``: the connection is reset instead.
        delay: Seconds to wait before sending it, in addition to the sandbox's latency.
    """

    status: int
    body: bytes = b""
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    broken: Literal["", "reset", "truncated"] = ""
    delay: float = 0.0


def json_response(status: int, document: dict[str, Any]) -> Response:
    """A JSON document."""
    return Response(status, json.dumps(document).encode())


def message(status: int, text: str) -> Response:
    """A message, as Braze words its fatal errors."""
    return json_response(status, {"message": text})


def html(status: int, title: str) -> Response:
    """A page as a proxy in front of Braze returns it."""
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Response(status, page.encode(), "text/html")


def unauthorized(key: str) -> Response:
    """401; the body repeats the key, as Braze's does."""
    return message(401, f"Invalid API key: {key}")
