"""The sandbox's sockets: requests in, answers out, with latency and broken connections.

What belongs here: ASGI, delays, resets, and what is noted of each request. What does not: what an
answer says (``api``).
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from braze_pipeline.sandbox.answers import Answer, Delivery
from braze_pipeline.sandbox.api import Api, Request
from braze_pipeline.sandbox.faults import Faults
from braze_pipeline.sandbox.recorder import Recorder
from braze_pipeline.sandbox.traffic import RequestRecord, Traffic

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Peer = tuple[str, int]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long every answer takes: ``seconds``, more or less by up to ``jitter`` seconds."""

    seconds: float = 0.0
    jitter: float = 0.0

    def draw(self) -> float:
        """The latency of one answer."""
        return max(0.0, self.seconds + random.uniform(-self.jitter, self.jitter))


@dataclass
class Connections:
    """The open connections by peer, so that one can be broken."""

    transports: dict[Peer, asyncio.Transport] = field(default_factory=dict)

    def protocol(self) -> type[asyncio.Protocol]:
        """The HTTP protocol for uvicorn that tells of connections made and lost."""
        transports = self.transports

        class NotingProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
            def connection_made(self, transport: asyncio.Transport) -> None:
                self.sandbox_peer = transport.get_extra_info("peername")
                transports[self.sandbox_peer] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.sandbox_peer, None)
                super().connection_lost(exc)

        return NotingProtocol

    def reset(self, peer: Peer) -> None:
        """Break a connection the hard way: the client sees a reset."""
        transport = self.transports.get(peer)
        if transport is not None:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()

    def close(self, peer: Peer) -> None:
        """Close a connection once what was written is out."""
        transport = self.transports.get(peer)
        if transport is not None:
            transport.close()

    def abort_all(self) -> None:
        """Drop every connection."""
        for transport in list(self.transports.values()):
            transport.abort()


@dataclass
class BrazeApp:
    """The ASGI application: endpoints of Braze here, the sandbox's own pages in ``pages``.

    Attributes:
        api: What the endpoints answer.
        faults: What goes wrong.
        latency: How long answers take.
        traffic: What is remembered of requests.
        recorder: Where requests are written to, None for nowhere.
        connections: The open connections.
        pages: The application for ``/`` and ``/sandbox``.
    """

    api: Api
    faults: Faults
    latency: Latency
    traffic: Traffic
    recorder: Recorder | None
    connections: Connections
    pages: AsgiApp

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
            answer = self._decide(request, record)
            delay = self.latency.draw() + answer.delay
            if delay > 0 and await _gone_within(receive, delay):
                record.disconnected = True
        if not record.disconnected:
            await self._deliver(answer, scope, receive, send)

    @contextmanager
    def _in_flight(self, request: Request) -> Iterator[RequestRecord]:
        """The record of a request, whose users are in flight until just before the answer."""
        with self.api.workspace.lock:
            record = self.traffic.enter(
                request.method, request.path, len(request.body), request.users()
            )
        try:
            yield record
        finally:
            with self.api.workspace.lock:
                self.traffic.leave(record)
            if self.recorder is not None:
                self.recorder.write(request, record)

    def _decide(self, request: Request, record: RequestRecord) -> Answer:
        answer = self.api.answer(request, self.faults.next(request.path), record)
        if answer.delivery is not Delivery.RESET:
            record.status = answer.status
        return answer

    async def _deliver(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        peer = tuple(scope["client"])
        if answer.delivery is Delivery.RESET:
            self.connections.reset(peer)
            await receive()
            return
        headers = [
            (name.lower().encode(), value.encode()) for name, value in answer.headers.items()
        ]
        headers.append((b"content-type", answer.content_type.encode()))
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if answer.delivery is Delivery.TRUNCATED:
            half = answer.body[: len(answer.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            self.connections.close(peer)
            await receive()
            return
        await send({"type": "http.response.body", "body": answer.body})


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
