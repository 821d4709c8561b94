"""A server on loopback that sends exactly the bytes that a test gives it, for unusual answers.

It sends what the sandbox never would: half an answer, no answer, rubbish.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

Reply = bytes | Iterator[bytes] | None
"""The answer, as a whole or in parts; None drops the connection without an answer."""


@dataclass(frozen=True)
class Request:
    """What arrived."""

    line: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def users(self) -> list[str]:
        """The external ids of its objects, in order."""
        return [one["external_id"] for one in json.loads(self.body)["attributes"]]


def reply(
    status: int, body: object = b"", headers: Mapping[str, str] | None = None, *, length: int = -1
) -> bytes:
    """A complete HTTP answer; ``length`` gives a wrong Content-Length."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Content-Length": str(length if length >= 0 else len(raw))} | dict(headers or {})
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + raw


def success(request: Request) -> bytes:
    """Braze's answer to a valid request."""
    count = len(json.loads(request.body)["attributes"])
    return reply(201, {"message": "success", "attributes_processed": count})


@dataclass
class FakeHttp:
    """The server; ``answer`` chooses the answer, in the connection's own thread."""

    answer: Callable[[Request], Reply] = success
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    tls: ssl.SSLContext | None = None
    """With it, the server speaks https."""
    stays_open: bool = False
    """Whether a connection stays open after an answer that is not of one piece with its length."""

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Closing alone does not wake the thread that accepts.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            for connection in self._open:
                connection.close()

    @property
    def endpoint(self) -> str:
        """Its address."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def open_connections(self) -> int:
        """How many connections clients have open now."""
        with self._lock:
            return len(self._open)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while (request := _read(stream)) is not None:
                    with self._lock:
                        self.requests.append(request)
                    answer = self.answer(request)
                    if answer is None:
                        linger = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        return
                    if not isinstance(answer, bytes):
                        for part in answer:
                            connection.sendall(part)
                        return
                    connection.sendall(answer)
                    if not self.stays_open and _cut_short(answer):
                        return
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(connection)


def _read(stream: object) -> Request | None:
    line = stream.readline().decode().strip()  # type: ignore[attr-defined]
    if not line:
        return None
    headers: dict[str, str] = {}
    while text := stream.readline().decode().strip():  # type: ignore[attr-defined]
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))  # type: ignore[attr-defined]
    return Request(line, headers, body)


def _cut_short(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value) != len(body)
    return True
