"""What each fault makes of an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from braze_pipeline.sandbox import answers
from braze_pipeline.sandbox.answers import Answer, Delivery, ErrorShape
from braze_pipeline.sandbox.faults import Fault, FaultKind

VICTIM_SENTENCE: Final = "this object was refused by a planned fault"

_SHAPES: Final[Mapping[FaultKind, ErrorShape]] = {
    FaultKind.REFUSED: ErrorShape.MEASURED,
    FaultKind.REFUSED_BARE: ErrorShape.BARE,
    FaultKind.REFUSED_NO_INDEX: ErrorShape.NO_INDEX,
    FaultKind.REFUSED_NO_ARRAY: ErrorShape.NO_ARRAY,
    FaultKind.REFUSED_TWICE: ErrorShape.TWICE,
    FaultKind.REFUSED_OUT_OF_RANGE: ErrorShape.OUT_OF_RANGE,
    FaultKind.REFUSED_NO_MESSAGE: ErrorShape.NO_MESSAGE,
    FaultKind.REFUSED_ALL: ErrorShape.MEASURED,
}


def shape_of(fault: Fault | None) -> ErrorShape | None:
    """The shape of ``errors`` that a fault asks for."""
    return None if fault is None else _SHAPES.get(fault.kind)


def refusal_of(fault: Fault | None, objects: int) -> Mapping[int, str]:
    """The object that a fault refuses, and the sentence."""
    if fault is None or fault.kind not in _SHAPES or not objects:
        return {}
    return {fault.victim % objects: VICTIM_SENTENCE}


def mishap(fault: Fault, key: str) -> Answer | None:
    """The answer of a fault that strikes before anything is written; None for the others."""
    if fault.kind in _SAID:
        status, text = _SAID[fault.kind]
        return answers.message(status, text)
    if fault.kind in _PROXY_PAGES:
        status, title = _PROXY_PAGES[fault.kind]
        return answers.html(status, title)
    if fault.kind in _THROTTLED:
        return _throttled(fault)
    return _particular(fault, key)


def spoil(answer: Answer, fault: Fault) -> Answer:
    """What a fault makes of the answer to a request whose objects were applied."""
    match fault.kind:
        case FaultKind.RESET_AFTER:
            answer.delivery = Delivery.RESET
        case FaultKind.TRUNCATED:
            answer.delivery = Delivery.TRUNCATED
        case FaultKind.SLOW:
            answer.delay = fault.seconds
        case FaultKind.EMPTY_BODY:
            answer.body = b""
        case FaultKind.HTML_BODY:
            return answers.html(answer.status, "Created")
        case FaultKind.STATUS_200 | FaultKind.STATUS_202 if answer.status == HTTPStatus.CREATED:
            answer.status = int(fault.kind)
        case FaultKind.NO_MESSAGE:
            document = json.loads(answer.body)
            document.pop("message", None)
            answer.body = json.dumps(document).encode()
    return answer


def _throttled(fault: Fault) -> Answer:
    answer = answers.message(HTTPStatus.TOO_MANY_REQUESTS, "Rate limit exceeded")
    header = _THROTTLED[fault.kind]
    if header is not None:
        answer.headers[header] = str(round(fault.seconds))
    return answer


def _particular(fault: Fault, key: str) -> Answer | None:
    match fault.kind:
        case FaultKind.UNAUTHORIZED:
            return answers.unauthorized(key)
        case FaultKind.RESET_BEFORE:
            return Answer(0, delivery=Delivery.RESET)
        case FaultKind.STALLED:
            return Answer(0, delivery=Delivery.RESET, delay=fault.seconds)
        case FaultKind.FATAL_MESSAGE:
            said = "Fatal: the request could not be queued"
            return answers.json_answer(201, {"message": said, "errors": ["nothing was queued"]})
        case _:
            return None


_THROTTLED: Final[Mapping[FaultKind, str | None]] = {
    FaultKind.THROTTLED: "X-Ratelimit-Retry-After",
    FaultKind.THROTTLED_PLAINLY: "Retry-After",
    FaultKind.THROTTLED_SILENTLY: None,
}

_SAID: Final[Mapping[FaultKind, tuple[int, str]]] = {
    FaultKind.REQUEST_TIMEOUT: (408, "Request Timeout"),
    FaultKind.SERVER_ERROR: (500, "Internal Server Error"),
    FaultKind.UNAVAILABLE: (503, "Service Unavailable"),
    FaultKind.FORBIDDEN: (403, "Forbidden"),
    FaultKind.TOO_LARGE: (413, "Request Entity Too Large"),
}

_PROXY_PAGES: Final[Mapping[FaultKind, tuple[int, str]]] = {
    FaultKind.BAD_GATEWAY: (502, "502 Bad Gateway"),
    FaultKind.GATEWAY_TIMEOUT: (504, "504 Gateway Time-out"),
}
