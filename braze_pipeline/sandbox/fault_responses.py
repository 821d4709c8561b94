"""What each fault does to a response."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from braze_pipeline.sandbox import responses
from braze_pipeline.sandbox.faults import Fault, FaultKind
from braze_pipeline.sandbox.responses import Response

_REFUSING: Final = frozenset(kind for kind in FaultKind if kind.name.startswith("REFUSED"))
_SENTENCE: Final = "this object was refused by a planned fault"


def refused_by(fault: Fault | None, objects: int) -> Mapping[int, str]:
    """The index of the object that a fault refuses, and the sentence that says so."""
    if fault is None or fault.kind not in _REFUSING or not objects:
        return {}
    return {fault.victim % objects: _SENTENCE}


def errors(refused: Mapping[int, str], fault: Fault | None, objects: int) -> list[Any]:
    """The ``errors`` about the refused objects, in the form that the fault calls for."""
    kind = None if fault is None else fault.kind
    if kind is FaultKind.REFUSED_BARE:
        return list(refused.values())
    beyond = objects if kind is FaultKind.REFUSED_OUT_OF_RANGE else 0
    entries: list[dict[str, Any]] = [
        {"index": index + beyond, "input_array": "attributes", "type": sentence}
        for index, sentence in refused.items()
    ]
    for entry in entries:
        if kind is FaultKind.REFUSED_NO_INDEX:
            del entry["index"]
        elif kind is FaultKind.REFUSED_NO_ARRAY:
            del entry["input_array"]
    return entries * 2 if kind is FaultKind.REFUSED_TWICE else entries


def instead(fault: Fault, key: str) -> Response | None:
    """The response of a fault that happens before anything is written; None for other faults."""
    make = _BEFORE.get(fault.kind)
    return None if make is None else make(fault, key)


def corrupt(response: Response, fault: Fault) -> Response:
    """The response to a request whose objects were applied, as the fault changes it."""
    match fault.kind:
        case FaultKind.RESET_AFTER:
            response.broken = "reset"
        case FaultKind.TRUNCATED:
            response.broken = "truncated"
        case FaultKind.SLOW:
            response.delay = fault.seconds
        case FaultKind.EMPTY_BODY:
            response.body = b""
        case FaultKind.HTML_BODY:
            return responses.html(response.status, "Created")
        case FaultKind.STATUS_200 | FaultKind.STATUS_202 if response.status == HTTPStatus.CREATED:
            response.status = int(fault.kind)
        case FaultKind.NO_MESSAGE | FaultKind.REFUSED_NO_MESSAGE:
            document = json.loads(response.body)
            document.pop("message", None)
            response.body = json.dumps(document).encode()
    return response


def _throttled(fault: Fault, header: str | None) -> Response:
    response = responses.message(429, "Rate limit exceeded")
    if header is not None:
        response.headers[header] = str(round(fault.seconds))
    return response


_BEFORE: Final[Mapping[FaultKind, Callable[[Fault, str], Response]]] = {
    FaultKind.THROTTLED: lambda fault, _: _throttled(fault, "X-Ratelimit-Retry-After"),
    FaultKind.THROTTLED_PLAINLY: lambda fault, _: _throttled(fault, "Retry-After"),
    FaultKind.THROTTLED_SILENTLY: lambda fault, _: _throttled(fault, None),
    FaultKind.REQUEST_TIMEOUT: lambda _, __: responses.message(408, "Request Timeout"),
    FaultKind.SERVER_ERROR: lambda _, __: responses.message(500, "Internal Server Error"),
    FaultKind.BAD_GATEWAY: lambda _, __: responses.html(502, "502 Bad Gateway"),
    FaultKind.UNAVAILABLE: lambda _, __: responses.message(503, "Service Unavailable"),
    FaultKind.GATEWAY_TIMEOUT: lambda _, __: responses.html(504, "504 Gateway Time-out"),
    FaultKind.UNAUTHORIZED: lambda _, key: responses.unauthorized(key),
    FaultKind.FORBIDDEN: lambda _, __: responses.message(403, "Forbidden"),
    FaultKind.TOO_LARGE: lambda _, __: responses.message(413, "Request Entity Too Large"),
    FaultKind.RESET_BEFORE: lambda _, __: Response(0, broken="reset"),
    FaultKind.STALLED: lambda fault, _: Response(0, broken="reset", delay=fault.seconds),
    FaultKind.FATAL_MESSAGE: lambda _, __: responses.json_response(
        201,
        {"message": "Fatal: the request could not be queued", "errors": ["nothing was queued"]},
    ),
}
