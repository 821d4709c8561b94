"""The sandbox's own pages: the HTML page, the JSON behind it, and the doors for driving it.

They answer requests that name the loopback address only, so that no web page elsewhere can reach
them through a browser.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from braze_pipeline.sandbox.faults import Fault, FaultKind
from braze_pipeline.sandbox.state import PAGE, State

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; frame-ancestors 'none'"
)
"""The page fetches from its own server and from nowhere else."""


def pages(state: State) -> Starlette:
    """The application for ``/`` and ``/sandbox``."""
    doors = _Doors(state)
    return Starlette(
        routes=[
            Route("/", doors.page),
            Route("/sandbox/state.json", doors.counts),
            Route("/sandbox/requests.json", doors.requests),
            Route("/sandbox/overlaps.json", doors.overlaps),
            Route("/sandbox/profiles.json", doors.profiles),
            Route("/sandbox/profile/{user:path}.json", doors.profile),
            Route("/sandbox/users", doors.users, methods=["POST", "DELETE"]),
            Route("/sandbox/faults", doors.faults, methods=["POST", "DELETE"]),
            Route("/sandbox/reset", doors.reset, methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


class _Doors:
    """The handlers; each is one call on the state."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def page(self, _: Request) -> Response:
        """The page; it fetches what it shows."""
        html = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
        return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})

    async def counts(self, _: Request) -> Response:
        """Totals."""
        return JSONResponse(self._state.counts())

    async def requests(self, _: Request) -> Response:
        """The last requests."""
        return JSONResponse({"requests": self._state.recent()})

    async def overlaps(self, _: Request) -> Response:
        """Users that were in two requests in flight."""
        return JSONResponse({"overlaps": self._state.overlaps()})

    async def profiles(self, request: Request) -> Response:
        """A page of profiles: ``offset``, ``limit``, ``search``."""
        query = request.query_params
        return JSONResponse(
            self._state.profiles(
                offset=_number(query.get("offset"), 0),
                limit=_number(query.get("limit"), PAGE),
                search=query.get("search", ""),
            )
        )

    async def profile(self, request: Request) -> Response:
        """One profile by external id or braze id."""
        found = self._state.profile(request.path_params["user"])
        if found is None:
            return JSONResponse({"message": "no such user"}, 404)
        return JSONResponse(found)

    async def users(self, request: Request) -> Response:
        """Seed users (POST, a JSON array), or forget everything (DELETE)."""
        if request.method == "DELETE":
            return await self.reset(request)
        given = await _json(request)
        if not isinstance(given, list) or not all(isinstance(one, str | dict) for one in given):
            return JSONResponse({"message": "a JSON array of ids or objects is needed"}, 400)
        try:
            return JSONResponse({"profiles": self._state.seed(given)})
        except (KeyError, TypeError):
            return JSONResponse({"message": "an identifier is malformed"}, 400)

    async def faults(self, request: Request) -> Response:
        """Script faults (POST, an array of kinds or null), or forget them all (DELETE)."""
        if request.method == "DELETE":
            self._state.faults.clear()
            return JSONResponse({"message": "success"})
        given = await _json(request)
        try:
            faults = [None if one is None else _fault(one) for one in _list(given)]
        except (TypeError, ValueError, KeyError):
            return JSONResponse({"message": "a JSON array of fault kinds or null is needed"}, 400)
        self._state.script(faults, request.query_params.get("path", "/users/track"))
        return JSONResponse({"message": "success"})

    async def reset(self, _: Request) -> Response:
        """Forget profiles, requests, counts and faults."""
        self._state.reset()
        return JSONResponse({"message": "success"})


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() else default


def _fault(given: str | dict[str, Any]) -> Fault:
    if isinstance(given, str):
        return Fault(kind=FaultKind(given))
    return Fault(**{**given, "kind": FaultKind(given["kind"])})


def _list(given: object) -> list[Any]:
    if not isinstance(given, list):
        raise TypeError("not an array")
    return given


async def _json(request: Request) -> object:
    try:
        given: object = json.loads(await request.body())
    except ValueError:
        return None
    return given
