"""A request as bytes on a connection: its head, and a body in parts that are not copied.

The objects of a request in bulk are in memory already, where the plan was read to. Without TLS, all
parts go out as they are by one call; TLS encrypts part by part.
"""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

_SMALL: Final = 65_536
"""Through TLS, parts up to this size are sent with their neighbors."""


class Body:
    """A request's body, in parts that are sent one after the other."""

    __slots__ = ("_size", "parts")

    def __init__(self, *parts: bytes | memoryview) -> None:
        self.parts = parts
        self._size = sum(map(len, parts))

    def __len__(self) -> int:
        """The number of bytes."""
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)


def write(
    sock: socket.socket, method: str, url: str, body: Body | None, headers: Mapping[str, str]
) -> None:
    """Write a request, waiting as long as the socket's timeout allows.

    Raises:
        ValueError: a line of its head has a line break.
        TimeoutError: nobody reads it.
        OSError: the connection is broken.
    """
    lines = [f"{method} {url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    if any("\n" in line or "\r" in line for line in lines):
        raise ValueError("A line break in a header.")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    parts = [head, *(body.parts if body is not None else ())]
    if type(sock) is socket.socket:
        _send_parts(sock, parts)
        return
    # TLS takes one part at a time. A small one would be a packet of its own.
    small: list[bytes | memoryview] = []
    for part in parts:
        if len(part) <= _SMALL:
            small.append(part)
        else:
            sock.sendall(b"".join(small))
            sock.sendall(part)
            small = []
    if small:
        sock.sendall(b"".join(small))


def _send_parts(sock: socket.socket, parts: Iterable[bytes | memoryview]) -> None:
    """All of them within the socket's timeout, as ``sendall`` does it."""
    left = deque(memoryview(part) for part in parts)
    ends = time.monotonic() + (sock.gettimeout() or math.inf)
    while left:
        sent = sock.sendmsg(left)
        while left and sent >= len(left[0]):
            sent -= len(left.popleft())
        if sent:
            left[0] = left[0][sent:]
        if left:
            remaining = ends - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("timed out")
            sock.settimeout(remaining if remaining < math.inf else None)
