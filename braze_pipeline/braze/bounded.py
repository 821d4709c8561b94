"""HTTP responses with a limit on their total time, including the body, and on their size.

A socket's timeout limits a single read. A server or proxy that sends one byte per second never
reaches it.
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
    """A response has more bytes than any response of Braze, as received or decompressed."""


def adapter(*, pool: int, answer_seconds: float) -> HTTPAdapter:
    """An adapter whose responses must be complete within ``answer_seconds`` of their request."""
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: object, **kwargs: object) -> None:
            super().__init__(sock, *args, **kwargs)  # type: ignore[arg-type]
            ends = time.monotonic() + answer_seconds
            self.fp = io.BufferedReader(_Reader(sock, self.fp.detach(), ends))

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
    """The body, decompressed if the server compressed it unasked.

    Raises:
        AnswerTooLarge: it has more than ``limit`` bytes, as received or decompressed.
        urllib3.exceptions.HTTPError: it was truncated, or took too long.
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
        with suppress(zlib.error):  # unreadable; classified as such later
            body = zlib.decompressobj(_GZIP_OR_ZLIB).decompress(body, limit + 1)
        if len(body) > limit:
            raise AnswerTooLarge
    return body


class _Reader(io.RawIOBase):
    """Bytes of a socket until a deadline; no single wait exceeds the socket's own timeout."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, ends: float) -> None:
        self._raw, self._sock, self._ends = raw, sock, ends
        self._timeout = sock.gettimeout() or 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if left < self._timeout:
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):  # already closed
                self._sock.settimeout(self._timeout)
            self._raw.close()
        super().close()
