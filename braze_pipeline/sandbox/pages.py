"""The sandbox's own pages: the HTML page, its JSON data, and control from another process.

They only answer requests that name the loopback address, so that no other website can reach them
through a browser.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from importlib.resources import files
from itertools import islice
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from braze_pipeline.braze.client import TRACK
from braze_pipeline.sandbox.faults import FaultKind
from braze_pipeline.sandbox.profiles import name_of
from braze_pipeline.sandbox.state import SandboxState

PAGE: Final = 200
"""Maximum number of profiles in one response of ``/sandbox/profiles.json``."""

RECENT: Final = 50
"""How many requests the page lists."""

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; frame-ancestors 'none'"
)
"""The page may fetch from its own server only."""


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
            Route("/sandbox/faults", handlers.faults, methods=["POST"]),
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
        """The HTML page, which fetches its own data."""
        html = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
        return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})

    async def counts(self, _: Request) -> Response:
        """Totals."""
        return JSONResponse(self._state.counts())

    async def requests(self, _: Request) -> Response:
        """The last requests, newest first, without their users."""
        with self._workspace.lock:
            recent = list(self._state.traffic.requests)[: -RECENT - 1 : -1]
        listed = [
            asdict(replace(record, users=()))
            | {
                "received_at": record.received_at.isoformat(timespec="milliseconds"),
                "objects": len(record.users),
            }
            for record in recent
        ]
        return JSONResponse({"requests": listed})

    async def overlaps(self, _: Request) -> Response:
        """Users that were in two requests in flight, with the requests' numbers."""
        with self._workspace.lock:
            overlaps = [asdict(one) for one in self._state.traffic.overlaps]
        return JSONResponse({"overlaps": overlaps})

    async def profiles(self, request: Request) -> Response:
        """Profiles from ``offset``, at most ``limit``; ``search`` looks in ids and values."""
        query = request.query_params
        offset = _number(query.get("offset"), 0)
        limit = min(_number(query.get("limit"), PAGE), PAGE)
        search = query.get("search", "").casefold()
        with self._workspace.lock:
            store = self._workspace.profiles
            found = (
                key
                for key in store
                if not search or search in f"{key} {store.get(key).values}".casefold()
            )
            shown = [self._shown(key) for key in islice(found, offset, offset + limit)]
            total = len(store)
        return JSONResponse({"total": total, "offset": offset, "profiles": shown})

    async def profile(self, request: Request) -> Response:
        """One profile by external id or braze id."""
        with self._workspace.lock:
            key = self._workspace.profiles.find(request.path_params["user"])
            if key is None:
                return JSONResponse({"message": "There is no such user."}, 404)
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
        """Create users from a JSON array."""
        given = await _json(request)
        if not isinstance(given, list) or not all(_is_user(one) for one in given):
            return JSONResponse({"message": "Send a JSON array of ids or objects."}, 400)
        return JSONResponse({"profiles": self._workspace.seed(given)})

    async def faults(self, request: Request) -> Response:
        """Script faults for ``/users/track``: an array of fault kinds, or null for none."""
        given = await _json(request)
        if not isinstance(given, list) or not all(kind in (None, *FaultKind) for kind in given):
            return JSONResponse(
                {"message": "Send a JSON array of fault kinds, with null for no fault."}, 400
            )
        self._state.faults.script((kind and FaultKind(kind) for kind in given), TRACK)
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


async def _json(request: Request) -> object:
    try:
        given: object = json.loads(await request.body())
    except ValueError:
        return None
    return given
