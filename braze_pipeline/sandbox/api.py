"""The endpoints of Braze that the sandbox has, as a function from request to answer.

What belongs here: what is checked, in which order, and what each endpoint answers. What does not:
sockets and delays (``server``), what is written (``workspace``).

Sources: Braze docs, "Create and update users", "Export users by identifier", "Export custom
attributes", "Errors and responses".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Final

from braze_pipeline.braze.limits import MAX_BODY_BYTES, MAX_OBJECTS
from braze_pipeline.sandbox import answers, reading
from braze_pipeline.sandbox.answers import Answer, ErrorShape
from braze_pipeline.sandbox.faults import Fault, FaultKind
from braze_pipeline.sandbox.mishaps import mishap, refusal_of, shape_of, spoil
from braze_pipeline.sandbox.throttle import Throttle, Verdict
from braze_pipeline.sandbox.traffic import RequestRecord
from braze_pipeline.sandbox.workspace import ARRAYS, Refused, Workspace
from braze_pipeline.settings import Json

TRACK: Final = "/users/track"
EXPORT_IDS: Final = "/users/export/ids"
CUSTOM_ATTRIBUTES: Final = "/custom_attributes"

ENDPOINTS: Final[Mapping[tuple[str, str], str]] = {
    ("POST", TRACK): "users.track",
    ("POST", EXPORT_IDS): "users.export.ids",
    ("GET", CUSTOM_ATTRIBUTES): "custom_attributes.get",
}
"""Method and path of each endpoint, and the permission that it takes."""

PERMISSIONS: Final = frozenset(ENDPOINTS.values())


@dataclass
class Request:
    """A request as it arrived.

    Attributes:
        method: HTTP method.
        path: Path without the query.
        query: The query string.
        headers: Header names in lower case.
        body: The whole body.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @cached_property
    def document(self) -> Json:
        """The body as JSON; None where it is not."""
        try:
            document: Json = json.loads(self.body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return None
        return document

    @property
    def key(self) -> str | None:
        """The API key it carries; None for no or a malformed ``Authorization``."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() or None if scheme == "Bearer" else None

    def users(self) -> Iterator[str]:
        """Whom its attribute objects are about."""
        document = self.document if self.path == TRACK else None
        entries = document.get("attributes") if isinstance(document, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                yield _user(entry)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _user(entry: Mapping[str, Json]) -> str:
    external = entry.get("external_id")
    if isinstance(external, str):
        return external
    for name in ("braze_id", "user_alias", "email", "phone"):
        if entry.get(name) is not None:
            return f"{name}:{json.dumps(entry[name], sort_keys=True)}"
    return "nobody"


@dataclass
class Api:
    """The endpoints over one workspace.

    Attributes:
        workspace: The profiles.
        throttle: The request limits.
        keys: Permissions by API key; None lets any key do everything.
        max_objects: Objects in a request.
        per_array: Count them by array (legacy contracts) instead of together.
        max_body_bytes: Bytes of a body.
        too_large_status: 413, or 400 as some endpoints answer.
        error_shape: How refused objects are named.
        all_invalid_status: Answer where every object is refused: 400, or 201.
        fields_required: ``fields_to_export`` must be there, as for newer customers.
    """

    workspace: Workspace
    throttle: Throttle
    keys: Mapping[str, Collection[str]] | None = field(default=None, repr=False)
    max_objects: int = MAX_OBJECTS
    per_array: bool = False
    max_body_bytes: int = MAX_BODY_BYTES
    too_large_status: int = 413
    error_shape: ErrorShape = ErrorShape.MEASURED
    all_invalid_status: int = 400
    fields_required: bool = True

    def answer(self, request: Request, fault: Fault | None, record: RequestRecord) -> Answer:
        """The answer to a request, its objects applied where the answer or the fault says so.

        Args:
            request: The request.
            fault: What goes wrong with it, if it gets as far as being worked on.
            record: Where to note what became of it.
        """
        refused = self._admit(request)
        if isinstance(refused, Answer):
            return refused
        answer = self._work(request, fault, record)
        if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
            answer.headers.update(refused.headers)
        return answer

    def _admit(self, request: Request) -> Answer | Verdict:
        """The rate limit's verdict on a request that may be worked on, else its refusal."""
        path = request.path
        permission = ENDPOINTS.get((request.method, path.rstrip("/")))
        if permission is None:
            return answers.message(404, "Invalid URL")
        if self.keys is None:
            allowed: Collection[str] = PERMISSIONS if request.key else ()
        else:
            allowed = self.keys.get(request.key or "", ())
        known = bool(request.key) and (self.keys is None or request.key in self.keys)
        if not known:
            return answers.unauthorized(request.key or "")
        if path.endswith("/"):
            return answers.message(403, "Forbidden")
        if permission not in allowed:
            return answers.forbidden(permission)
        verdict = self.throttle.judge(path)
        if not verdict.passes:
            answer = answers.message(429, "Rate limit exceeded")
            answer.headers.update(verdict.headers)
            return answer
        return verdict

    def _work(self, request: Request, fault: Fault | None, record: RequestRecord) -> Answer:
        if fault is not None:
            record.fault = str(fault.kind)
            broken = mishap(fault, request.key or "")
            if broken is not None:
                return broken
        if request.path == CUSTOM_ATTRIBUTES:
            answer = reading.custom_attributes(self.workspace, request.query, request.headers)
        else:
            answer = self._post(request, fault, record)
        return answer if fault is None else spoil(answer, fault)

    def _post(self, request: Request, fault: Fault | None, record: RequestRecord) -> Answer:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return answers.message(415, "Unsupported Media Type")
        if len(request.body) > self.max_body_bytes:
            return answers.message(self.too_large_status, "Request body exceeds the size limit")
        document = request.document
        if not isinstance(document, dict):
            return answers.json_answer(400, {"error": answers.PARSE_ERROR})
        if request.path == TRACK:
            return self._track(document, fault, record)
        return reading.export_ids(self.workspace, document, fields_required=self.fields_required)

    def _track(
        self, document: dict[str, Json], fault: Fault | None, record: RequestRecord
    ) -> Answer:
        arrays = {name: document[name] for name in ARRAYS if document.get(name) is not None}
        sizes = {name: len(array) for name, array in arrays.items() if isinstance(array, list)}
        if len(sizes) < len(arrays) or not sum(sizes.values()):
            return answers.message(400, answers.NO_VALID_DATA)
        counted = max(sizes.values()) if self.per_array else sum(sizes.values())
        if counted > self.max_objects:
            return answers.message(400, answers.TOO_MANY)
        refuse = refusal_of(fault, sizes.get("attributes", 0))
        if fault is not None and fault.kind is FaultKind.REFUSED_ALL:
            named = [Refused("attributes", *victim) for victim in refuse.items()]
            errors = answers.named(named, ErrorShape.MEASURED, sizes)
            return answers.json_answer(400, {"message": answers.NO_VALID_DATA, "errors": errors})
        tracked = self.workspace.track(document, refuse=refuse)
        record.refused = len(tracked.refused)
        record.ignored = tracked.ignored
        record.attributes = tracked.attributes
        return answers.tracked_answer(
            tracked,
            sizes=sizes,
            shape=shape_of(fault) or self.error_shape,
            all_invalid_status=self.all_invalid_status,
        )
