"""The sandbox's sockets: requests in, responses out, with latency and broken connections.

What belongs here: ASGI, delays, resets, the thread that serves, and what is noted of each request.
What does not: what a response says (``endpoints``).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from braze_pipeline.sandbox.endpoints import Endpoints, Request
from braze_pipeline.sandbox.faults import Faults
from braze_pipeline.sandbox.recorder import Recorder
from braze_pipeline.sandbox.responses import Response
from braze_pipeline.sandbox.traffic import RequestRecord, Traffic

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

HOST: Final = "127.0.0.1"
"""The only address that a sandbox ever listens on."""

_START_SECONDS: Final = 30.0
_TICK_SECONDS: Final = 1.0
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass
class BrazeApp:
    """The ASGI application: endpoints of Braze here, the sandbox's own pages in ``pages``.

    Attributes:
        endpoints: What is answered.
        faults: What goes wrong.
        latency: Seconds before every response.
        traffic: What is remembered of requests.
        recorder: Where requests are written to, None for nowhere.
        pages: The application for ``/`` and ``/sandbox``.
        connections: The open connections by peer, so that one can be broken.
    """

    endpoints: Endpoints
    faults: Faults
    latency: float
    traffic: Traffic
    recorder: Recorder | None
    pages: AsgiApp
    connections: dict[tuple[str, int], asyncio.Transport] = field(default_factory=dict)

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
            response = self.endpoints.answer(request, self.faults.next(path), record)
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
        lock = self.endpoints.workspace.lock
        with lock:
            record = self.traffic.enter(
                request.method, request.path, len(request.body), request.users()
            )
        try:
            yield record
        finally:
            with lock:
                self.traffic.leave(record)
            if self.recorder is not None:
                self.recorder.write(request, record)

    async def _deliver(
        self, response: Response, scope: Scope, receive: Receive, send: Send
    ) -> None:
        connection = self.connections.get(tuple(scope["client"]))
        if response.broken == "reset":
            if connection is not None:
                # The hard way: the client sees a reset.
                opened = connection.get_extra_info("socket")
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                connection.abort()
            await receive()
            return
        headers = response.headers | {
            "content-type": f"{response.media_type}; charset=utf-8",
            "content-length": str(len(response.body)),
        }
        start: dict[str, Any] = {"type": "http.response.start", "status": response.status}
        start["headers"] = [(name.lower().encode(), headers[name].encode()) for name in headers]
        await send(start)
        if response.broken == "truncated":
            half = response.body[: len(response.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            if connection is not None:
                connection.close()
            await receive()
            return
        await send({"type": "http.response.body", "body": response.body})

    def protocol(self) -> type[asyncio.Protocol]:
        """The HTTP protocol for uvicorn that notes the open connections."""
        connections = self.connections

        class NotingProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
            def connection_made(self, transport: asyncio.Transport) -> None:
                self.sandbox_peer = transport.get_extra_info("peername")
                connections[self.sandbox_peer] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.pop(self.sandbox_peer, None)
                super().connection_lost(exc)

        return NotingProtocol


async def _read(scope: Scope, receive: Receive) -> Request | None:
    """The whole request; None when the client went away before its end."""
    parts: list[bytes] = []
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        parts.append(event.get("body", b""))
        if not event.get("more_body", False):
            break
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope["query_string"].decode("latin-1")
    return Request(scope["method"], scope["path"], query, headers, b"".join(parts))


async def _gone_within(receive: Receive, seconds: float) -> bool:
    """Wait; whether the client went away in that time."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


class _Uvicorn(uvicorn.Server):
    """A uvicorn server that reports when it listens, and ends as soon as it is asked to."""

    def __init__(self, config: uvicorn.Config, app: BrazeApp) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self._app = app
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Stop serving; to be called from another thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._loop = asyncio.get_running_loop()
        self.listening.set()

    async def main_loop(self) -> None:
        # Every tick renews the Date header; uvicorn's own loop looks for the end at ticks only.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self._app.connections.values()):
            connection.abort()
        await super().shutdown(sockets=sockets)


class Server:
    """A thread that serves, from a bound socket until it is stopped.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, app: BrazeApp, port: int) -> None:
        """Bind, and return once requests are answered.

        Args:
            app: What answers.
            port: 0 for a free port.

        Raises:
            OSError: the port is taken.
        """
        self._app = app
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, port))
        except OSError:
            self._socket.close()
            raise
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            app,
            http=app.protocol(),
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
        self._uvicorn = _Uvicorn(config, app)
        self._thread = threading.Thread(
            target=self._uvicorn.run, args=([self._socket],), name="braze-sandbox", daemon=True
        )
        self._thread.start()
        if not self._uvicorn.listening.wait(_START_SECONDS):
            raise OSError(f"The sandbox did not start on port {self.port}.")

    def stop(self) -> None:
        """Drop every connection, and return once nothing listens any more."""
        self._uvicorn.end()
        self._thread.join()
        self._socket.close()
        if self._app.recorder is not None:
            self._app.recorder.close()
