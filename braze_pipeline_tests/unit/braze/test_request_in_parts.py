"""A request's body is written whole and in order, whatever its parts, or not at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_pipeline.braze.request import Body, write

LARGE = b"x" * 70_000


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets; little fits in between."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    with near, far:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield near, far


def read_all(sock: socket.socket, pause: float = 0.0) -> bytes:
    received = bytearray()
    with suppress(ConnectionError):
        while data := sock.recv(3000):
            received += data
            time.sleep(pause)
    return bytes(received)


def written(body: Body) -> bytes:
    """What arrives of a request with this body."""
    arrived: list[bytes] = []
    with pair() as (near, far):
        near.settimeout(30)
        reader = threading.Thread(target=lambda: arrived.append(read_all(far)))
        reader.start()
        write(near, "POST", "/users/track", body, {"A": "b"})
        near.shutdown(socket.SHUT_WR)
        reader.join()
    return arrived[0]


parts = st.lists(
    st.one_of(
        st.binary(max_size=50), st.integers(0, 60_000).map(lambda size: bytes([size % 251]) * size)
    ),
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(parts=parts)
def test_every_byte_arrives_once_and_in_order(parts: list[bytes]) -> None:
    body = Body(*(memoryview(part) for part in parts))
    whole = b"".join(parts)
    assert len(body) == len(whole)
    assert bytes(body) == whole
    head = b"POST /users/track HTTP/1.1\r\nA: b\r\nContent-Length: %d\r\n\r\n" % len(whole)
    assert written(body) == head + whole


def test_the_time_limit_is_for_the_whole_body_and_not_for_each_part_of_it() -> None:
    with pair() as (near, far):
        near.settimeout(0.3)
        # Whoever reads a little again and again would otherwise hold a worker up for long.
        reader = threading.Thread(target=lambda: read_all(far, pause=0.02))
        reader.start()
        with pytest.raises(TimeoutError):
            write(near, "POST", "/", Body(LARGE * 20, LARGE * 20), {})
        near.shutdown(socket.SHUT_RDWR)
        far.shutdown(socket.SHUT_RDWR)
        reader.join()


def test_through_tls_a_large_part_is_passed_on_without_a_copy() -> None:
    class Tls(socket.socket):
        """As a TLS socket: of another type, and without ``sendmsg``."""

        sent: list[bytes | memoryview]

        def sendmsg(self, *_: object) -> int:
            raise NotImplementedError

        def sendall(self, data: bytes | memoryview) -> None:  # type: ignore[override]
            self.sent.append(data)

    large = memoryview(LARGE)
    with Tls() as sock:
        sock.sent = []
        write(sock, "POST", "/", Body(b"[", large, b"", b"]"), {})
    head, same, tail = sock.sent
    assert bytes(head) == b"POST / HTTP/1.1\r\nContent-Length: 70002\r\n\r\n["
    assert same is large
    assert tail == b"]"
