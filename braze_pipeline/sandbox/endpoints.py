"""The endpoints of Braze that the sandbox has, as a function from request to response.

What belongs here: what is checked, in which order, and each endpoint's response. What does not:
sockets and delays (``server``), what is written (``workspace``).

Sources: Braze docs, "Create and update users", "Create and update users in bulk", "Export users by
identifier", "Export custom attributes", "Errors and responses".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeGuard
from urllib.parse import parse_qs

from braze_pipeline.braze.client import ATTRIBUTES, BULK, EXPORT, TRACK
from braze_pipeline.braze.limits import (
    CUSTOM_ATTRIBUTES_PAGE,
    EXPORT_IDS,
    MAX_ARRAY,
    MAX_BODY_BYTES,
    MAX_BULK_BODY_BYTES,
    MAX_BULK_OBJECTS,
    MAX_BULK_OBJECTS_OF_A_USER,
    MAX_OBJECTS,
)
from braze_pipeline.sandbox import responses
from braze_pipeline.sandbox.coercion import DataType
from braze_pipeline.sandbox.fault_responses import corrupt, errors, instead, refused_by
from braze_pipeline.sandbox.faults import Fault, FaultKind
from braze_pipeline.sandbox.refusals import user_of
from braze_pipeline.sandbox.responses import Response, json_response, message
from braze_pipeline.sandbox.throttle import Throttle
from braze_pipeline.sandbox.traffic import RequestRecord
from braze_pipeline.sandbox.workspace import Workspace
from braze_pipeline.settings import Json

ENDPOINTS: Final[Mapping[tuple[str, str], str]] = {
    ("POST", TRACK): "users.track",
    ("POST", BULK): "users.track.bulk",
    ("POST", EXPORT): "users.export.ids",
    ("GET", ATTRIBUTES): "custom_attributes.get",
}
"""Method and path of each endpoint, and the permission that it requires."""

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
        """The body as JSON; None if it is not JSON."""
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
        """The users of its objects."""
        document = self.document if self.path in (TRACK, BULK) else None
        entries = document.get("attributes") if isinstance(document, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                yield user_of(entry)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@dataclass
class Endpoints:
    """The endpoints over one workspace.

    Attributes:
        workspace: The profiles.
        throttle: The request limits.
        keys: Permissions by API key; None gives every key all permissions.
    """

    workspace: Workspace
    throttle: Throttle
    keys: Mapping[str, Collection[str]] | None = field(default=None, repr=False)

    def answer(self, request: Request, fault: Fault | None, record: RequestRecord) -> Response:
        """Apply a request as its fault allows, and give the response.

        Args:
            request: The request.
            fault: What goes wrong if the request is admitted.
            record: Receives the outcome.
        """
        refused = self._not_admitted(request)
        if refused is not None:
            return refused
        passes, headers = self.throttle.check(request.path, request.key or "")
        if passes:
            response = self._work(request, fault, record)
        else:
            response = message(429, "Rate limit exceeded")
        # The 429 of a fault brings its own headers, or none.
        if response.status != 429 or not passes:  # noqa: PLR2004 - known by its number
            response.headers.update(headers)
        return response

    def _not_admitted(self, request: Request) -> Response | None:
        permission = ENDPOINTS.get((request.method, request.path.rstrip("/")))
        if permission is None:
            return message(404, "Invalid URL")
        key = request.key or ""
        allowed = PERMISSIONS if self.keys is None else self.keys.get(key)
        if not key or allowed is None:
            return responses.unauthorized(key)
        if request.path.endswith("/"):
            return message(403, "Forbidden")
        if permission not in allowed:
            text = f"Access Denied: this API key does not have the permission {permission}"
            return message(403, text)
        return None

    def _work(self, request: Request, fault: Fault | None, record: RequestRecord) -> Response:
        if fault is not None:
            record.fault = str(fault.kind)
            response = instead(fault, request.key or "")
            if response is not None:
                return response
        if request.path == ATTRIBUTES:
            response = self._list(request)
        else:
            response = self._post(request, fault, record)
        return response if fault is None else corrupt(response, fault)

    def _post(self, request: Request, fault: Fault | None, record: RequestRecord) -> Response:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return message(415, "Unsupported Media Type")
        if request.path == BULK and len(request.body) > MAX_BULK_BODY_BYTES:
            return message(400, "Request body exceeds the size limit")
        if len(request.body) > MAX_BODY_BYTES:
            return message(413, "Request body exceeds the size limit")
        document = request.document
        if not isinstance(document, dict):
            text = "Error while parsing request body. Please check your syntax."
            return json_response(400, {"error": text})
        if request.path == EXPORT:
            return self._export(document)
        most = MAX_BULK_OBJECTS if request.path == BULK else MAX_OBJECTS
        if request.path == BULK and _too_often(request.users()):
            return message(400, responses.TOO_MANY)
        return self._track(document, fault, record, most=most)

    def _track(
        self,
        document: Mapping[str, Json],
        fault: Fault | None,
        record: RequestRecord,
        *,
        most: int,
    ) -> Response:
        entries = document.get("attributes")
        if document.keys() - {"attributes"}:
            return message(400, "The sandbox takes 'attributes' alone; this pipeline sends no more")
        if not isinstance(entries, list) or not entries:
            return message(400, responses.NO_VALID_DATA)
        if len(entries) > most:
            return message(400, responses.TOO_MANY)
        refuse = refused_by(fault, len(entries))
        if fault is not None and fault.kind is FaultKind.REFUSED_ALL:
            return _fatal(errors(refuse, fault, len(entries)))
        tracked = self.workspace.track(entries, refuse=refuse)
        record.refused, record.ignored = len(tracked.refused), tracked.ignored
        named = errors(tracked.refused, fault, len(entries))
        if not tracked.taken:
            return _fatal(named)
        body = {"attributes_processed": tracked.taken} | ({"errors": named} if named else {})
        return json_response(201, body | {"message": "success"})

    def _export(self, document: Mapping[str, Any]) -> Response:
        """The users that are known, and the ids that are not."""
        ids, braze_id = document.get("external_ids", []), document.get("braze_id")
        fields = document.get("fields_to_export")
        good_braze_id = braze_id is None or isinstance(braze_id, str)
        if not _are_strings(ids) or not good_braze_id or not (ids or braze_id):
            return message(
                400, "'external_ids' must be an array of strings, or 'braze_id' a string"
            )
        if not _are_strings(fields):
            return message(400, "'fields_to_export' must be an array of strings")
        if len(ids) > EXPORT_IDS:
            return message(400, responses.TOO_MANY)
        with self.workspace.lock:
            store, everybody = self.workspace.profiles, self.workspace.assume_all
            keys = [one for one in dict.fromkeys(ids) if everybody or one in store]
            if braze_id is not None:
                key = store.key_of({"braze_id": braze_id})
                keys += [key] if everybody or key in store else []
            users = [self.workspace.exported(key) for key in keys]
        body: dict[str, Any] = {
            "message": "success",
            "users": [{name: user.get(name) for name in fields} for user in users],
        }
        unknown = [one for one in ids if one not in keys]
        if unknown:
            body["invalid_user_ids"] = unknown
        return json_response(201, body)

    def _list(self, request: Request) -> Response:
        """A page of 50 custom attributes in alphabetical order, the next one in ``Link``."""
        cursor = parse_qs(request.query).get("cursor", ["0"])[0]
        if not cursor.isdecimal():
            return message(400, "Invalid cursor")
        start, end = int(cursor), int(cursor) + CUSTOM_ATTRIBUTES_PAGE
        with self.workspace.lock:
            known = sorted(self.workspace.attributes.values(), key=lambda one: one.name)
            page: list[dict[str, Json]] = [
                {
                    "array_length": MAX_ARRAY if one.type is DataType.ARRAY else None,
                    "data_type": str(one.type or DataType.STRING),
                    "description": None,
                    "name": one.name,
                    "status": "Blocklisted" if one.blocklisted else "Active",
                    "tag_names": [],
                }
                for one in known[start:end]
            ]
        response = json_response(200, {"attributes": page, "message": "success"})
        address = f"http://{request.headers.get('host', '127.0.0.1')}{ATTRIBUTES}?cursor="
        links = [f'<{address}{max(0, start - CUSTOM_ATTRIBUTES_PAGE)}>; rel="prev"'] * (start > 0)
        links += [f'<{address}{end}>; rel="next"'] * (end < len(known))
        if links:
            response.headers["Link"] = ",".join(links)
        return response


def _too_often(users: Iterable[str]) -> bool:
    """Whether a request to bulk has too many objects of one user."""
    return max(Counter(users).values(), default=0) > MAX_BULK_OBJECTS_OF_A_USER


def _fatal(named: list[Any]) -> Response:
    return json_response(400, {"message": responses.NO_VALID_DATA, "errors": named})


def _are_strings(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
