"""HTTP answers that end: bounded in time, from the head to the end of the body, and in size.

The timeout of a socket bounds one read. A server, or a proxy between, that sends a byte a second
never reaches it.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from requests import Response
    from requests.adapters import HTTPAdapter
    from urllib3 import PoolManager

_CHUNK: Final = 65_536
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32


class AnswerTooLarge(Exception):
    """More came than any answer has, or was packed into what came."""


def adapter(*, pool: int, answer_seconds: float) -> HTTPAdapter:
    """An adapter whose answers have so many seconds, each from the end of its request."""
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: object, **kwargs: object) -> None:
            deadline = _Deadline(sock, answer_seconds)
            super().__init__(deadline, *args, **kwargs)  # type: ignore[arg-type]

    class Plain(HTTPConnection):
        response_class = Answer

    class Secure(HTTPSConnection):
        response_class = Answer

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    class Bounded(HTTPAdapter):
        def init_poolmanager(self, *args: object, **kwargs: object) -> None:
            super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, proxy: str, **kwargs: object) -> PoolManager:
            manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
            manager.pool_classes_by_scheme = pools
            return manager

    pools = {"http": PlainPool, "https": SecurePool}
    return Bounded(pool_connections=1, pool_maxsize=pool, max_retries=0)


def body_of(response: Response, limit: int) -> bytes:
    """The body, unpacked where it came packed although we did not ask for that.

    Raises:
        AnswerTooLarge: it has more than ``limit`` bytes, as it came or unpacked.
        urllib3.exceptions.HTTPError: it was cut short, or took too long.
    """
    parts, size = [], 0
    for part in response.raw.stream(_CHUNK, decode_content=False):
        parts.append(part)
        size += len(part)
        if size > limit:
            response.close()
            raise AnswerTooLarge
    body = b"".join(parts)
    if response.headers.get("Content-Encoding", "identity").lower() in {"gzip", "deflate"}:
        with suppress(zlib.error):  # what it is then, nobody can read
            body = zlib.decompressobj(_GZIP_OR_ZLIB).decompress(body, limit + 1)
        if len(body) > limit:
            raise AnswerTooLarge
    return body


class _Deadline:
    """What ``http.client`` reads an answer from: the socket, for so many seconds."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock, self._ends = sock, time.monotonic() + seconds

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._ends))


class _Reader(io.RawIOBase):
    """Bytes of a socket until a moment; each wait for them as long as the socket's own at most."""

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._raw, self._sock, self._ends = sock.makefile("rb", buffering=0), sock, ends
        self._patience = sock.gettimeout() or 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if left < self._patience:
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):  # closed already, and then nobody waits on it
                self._sock.settimeout(self._patience)
            self._raw.close()
        super().close()
