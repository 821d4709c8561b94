"""The sandbox's own pages: the HTML page, the JSON behind it, and what drives it from outside.

They answer requests that name the loopback address only, so that no web page elsewhere can reach
them through a browser.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from importlib.resources import files
from itertools import islice
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from braze_pipeline.sandbox.faults import Fault, FaultKind
from braze_pipeline.sandbox.profiles import name_of
from braze_pipeline.sandbox.state import SandboxState

PAGE: Final = 200
"""Most profiles in one answer of ``/sandbox/profiles.json``."""

RECENT: Final = 50
"""Requests that the page lists."""

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; frame-ancestors 'none'"
)
"""The page fetches from its own server and from nowhere else."""


def pages(state: SandboxState) -> Starlette:
    """The application for ``/`` and ``/sandbox``."""
    handlers = _Handlers(state)
    return Starlette(
        routes=[
            Route("/", handlers.page),
            Route("/sandbox/state.json", handlers.counts),
            Route("/sandbox/requests.json", handlers.requests),
            Route("/sandbox/overlaps.json", handlers.overlaps),
            Route("/sandbox/profiles.json", handlers.profiles),
            Route("/sandbox/profile/{user:path}.json", handlers.profile),
            Route("/sandbox/users", handlers.users, methods=["POST"]),
            Route("/sandbox/faults", handlers.faults, methods=["POST", "DELETE"]),
            Route("/sandbox/reset", handlers.reset, methods=["POST"]),
            Route("/sandbox/users", handlers.reset, methods=["DELETE"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


class _Handlers:
    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._workspace = state.workspace

    async def page(self, _: Request) -> Response:
        """The page; it fetches what it shows."""
        html = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
        return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})

    async def counts(self, _: Request) -> Response:
        """Totals."""
        return JSONResponse(self._state.counts())

    async def requests(self, _: Request) -> Response:
        """The last requests, newest first, without whom they were about."""
        with self._workspace.lock:
            recent = list(self._state.traffic.requests)[: -RECENT - 1 : -1]
        listed = [
            asdict(record)
            | {
                "received_at": record.received_at.isoformat(timespec="milliseconds"),
                "objects": len(record.users),
                "users": None,
            }
            for record in recent
        ]
        return JSONResponse({"requests": listed})

    async def overlaps(self, _: Request) -> Response:
        """Users that were in two requests in flight, and in which."""
        with self._workspace.lock:
            overlaps = [asdict(one) for one in self._state.traffic.overlaps]
        return JSONResponse({"overlaps": overlaps})

    async def profiles(self, request: Request) -> Response:
        """Some profiles: ``offset``, ``limit``, and ``search`` in ids and values."""
        query = request.query_params
        offset = _number(query.get("offset"), 0)
        limit = min(_number(query.get("limit"), PAGE), PAGE)
        with self._workspace.lock:
            keys = self._matching(query.get("search", "").casefold())
            shown = [self._shown(key) for key in islice(keys, offset, offset + limit)]
            total = len(self._workspace.profiles)
        return JSONResponse({"total": total, "offset": offset, "profiles": shown})

    def _matching(self, search: str) -> Iterator[str]:
        if not search:
            yield from self._workspace.profiles
            return
        for key, profile in self._workspace.profiles.items():
            if search in f"{key} {profile.values}".casefold():
                yield key

    async def profile(self, request: Request) -> Response:
        """One profile by external id or braze id."""
        with self._workspace.lock:
            key = self._workspace.profiles.find(request.path_params["user"])
            if key is None:
                return JSONResponse({"message": "no such user"}, 404)
            return JSONResponse(self._shown(key))

    def _shown(self, key: str) -> dict[str, Any]:
        profile = self._workspace.profiles.get(key)
        return {
            "id": name_of(key),
            "objects": profile.objects,
            "attributes": profile.attributes,
            "profile": self._workspace.exported(key),
        }

    async def users(self, request: Request) -> Response:
        """Let users exist: a JSON array."""
        given = await _json(request)
        if not isinstance(given, list) or not all(_is_user(one) for one in given):
            return JSONResponse({"message": "a JSON array of ids or objects is needed"}, 400)
        return JSONResponse({"profiles": self._workspace.seed(given)})

    async def faults(self, request: Request) -> Response:
        """Script faults (POST, an array of kinds or null), or forget them all (DELETE)."""
        if request.method == "DELETE":
            self._state.faults.clear()
            return JSONResponse({"message": "success"})
        given = await _json(request)
        try:
            faults = [_fault(one) for one in given] if isinstance(given, list) else None
        except (TypeError, ValueError, KeyError):
            faults = None
        if faults is None:
            return JSONResponse({"message": "a JSON array of fault kinds or null is needed"}, 400)
        self._state.faults.script(faults, request.query_params.get("path", "/users/track"))
        return JSONResponse({"message": "success"})

    async def reset(self, _: Request) -> Response:
        """Forget profiles, requests, counts and faults."""
        self._state.reset()
        return JSONResponse({"message": "success"})


def _is_user(given: object) -> bool:
    if isinstance(given, dict):
        given = given.get("external_id") or given.get("braze_id")
    return isinstance(given, str)


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() else default


def _fault(given: str | dict[str, Any] | None) -> Fault | None:
    if isinstance(given, dict):
        return Fault(**{**given, "kind": FaultKind(given["kind"])})
    return None if given is None else Fault(kind=FaultKind(given))


async def _json(request: Request) -> object:
    try:
        given: object = json.loads(await request.body())
    except ValueError:
        return None
    return given
