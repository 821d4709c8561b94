"""The sandbox's sockets: requests in, responses out, with latency and broken connections.

What belongs here: ASGI, delays, resets, the serving thread, and the record of each request.
What does not: what a response says (``endpoints``).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.types import ASGIApp, Receive, Scope, Send

from braze_pipeline.sandbox.endpoints import Endpoints, Request
from braze_pipeline.sandbox.recorder import Recorder
from braze_pipeline.sandbox.responses import Response
from braze_pipeline.sandbox.state import SandboxState
from braze_pipeline.sandbox.traffic import RequestRecord

HOST: Final = "127.0.0.1"
"""The only address that a sandbox ever listens on."""

_POLL_SECONDS: Final = 0.005
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass
class BrazeApp:
    """The ASGI application: Braze's endpoints here, the sandbox's own pages in ``pages``.

    Attributes:
        endpoints: What gives the responses.
        state: The faults to meet, and the requests so far.
        latency: Seconds before every response.
        recorder: Where requests are written to, None for nowhere.
        pages: The application for ``/`` and ``/sandbox``.
        connections: uvicorn's open connections, so that one can be broken.
    """

    endpoints: Endpoints
    state: SandboxState
    latency: float
    recorder: Recorder | None
    pages: ASGIApp
    connections: set[Any] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request."""
        path = scope["path"]
        if path == "/" or path.startswith("/sandbox"):
            await self.pages(scope, receive, send)
            return
        request = await _read(scope, receive)
        if request is None:
            return
        with self._in_flight(request) as record:
            response = self.endpoints.answer(request, self.state.faults.next(path), record)
            if response.broken != "reset":
                record.status = response.status
            delay = self.latency + response.delay
            if delay > 0 and await _gone_within(receive, delay):
                record.disconnected = True
        if not record.disconnected:
            await self._deliver(response, scope, receive, send)

    @contextmanager
    def _in_flight(self, request: Request) -> Iterator[RequestRecord]:
        """The record of a request, whose users are in flight until just before the response."""
        lock, traffic = self.state.workspace.lock, self.state.traffic
        with lock:
            record = traffic.enter(request.method, request.path, len(request.body), request.users())
        try:
            yield record
        finally:
            with lock:
                traffic.leave(record)
            if self.recorder is not None:
                self.recorder.write(request, record)

    async def _deliver(
        self, response: Response, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if response.broken != "reset":
            headers = response.headers | {
                "content-type": f"{response.media_type}; charset=utf-8",
                "content-length": str(len(response.body)),
            }
            start: dict[str, Any] = {"type": "http.response.start", "status": response.status}
            start["headers"] = [(name.lower().encode(), headers[name].encode()) for name in headers]
            await send(start)
            truncated = response.broken == "truncated"
            body = response.body[: len(response.body) // 2] if truncated else response.body
            await send({"type": "http.response.body", "body": body, "more_body": truncated})
        if response.broken:
            self._break(scope, reset=response.broken == "reset")
            await receive()

    def _break(self, scope: Scope, *, reset: bool) -> None:
        """End the connection of a request; the client sees a reset as such."""
        for connection in list(self.connections):
            if connection.client != tuple(scope["client"]):
                continue
            if reset:
                opened = connection.transport.get_extra_info("socket")
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.transport.abort()
            else:
                connection.transport.close()


async def _read(scope: Scope, receive: Receive) -> Request | None:
    """The whole request; None if the client disconnected before its end."""
    incoming = StarletteRequest(scope, receive)
    try:
        body = await incoming.body()
    except ClientDisconnect:
        return None
    query = scope["query_string"].decode("latin-1")
    return Request(scope["method"], scope["path"], query, dict(incoming.headers), body)


async def _gone_within(receive: Receive, seconds: float) -> bool:
    """Wait; whether the client disconnected in that time."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


class Server(uvicorn.Server):
    """A uvicorn server in a thread of its own, on a bound socket.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, app: BrazeApp, port: int) -> None:
        """Bind, and return once requests are answered.

        Args:
            app: What answers.
            port: 0 for a free port.

        Raises:
            OSError: the port is taken, or the server did not start.
        """
        self._app = app
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            listener.close()
            raise
        self.port = int(listener.getsockname()[1])
        super().__init__(
            uvicorn.Config(
                app,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=2,
            )
        )
        app.connections = self.server_state.connections
        self._thread = threading.Thread(
            target=self.run, args=([listener],), name="braze-sandbox", daemon=True
        )
        self._thread.start()
        while not self.started:
            if not self._thread.is_alive():
                raise OSError(f"The sandbox did not start on port {self.port}.")
            time.sleep(_POLL_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop every connection instead of waiting for the responses."""
        for connection in list(self._app.connections):
            connection.transport.abort()
        await super().shutdown(sockets=sockets)

    def stop(self) -> None:
        """Drop every connection, and return once nothing listens any more."""
        self.should_exit = True
        self._thread.join()
        if self._app.recorder is not None:
            self._app.recorder.close()
