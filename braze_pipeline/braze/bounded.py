"""HTTP responses with a limit on their total time, including the body, and on their size.

A socket's timeout limits a single read. A server or proxy that sends one byte per second never
reaches it.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from braze_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from requests.adapters import HTTPAdapter
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool, PoolManager

_CHUNK: Final = 65_536
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32


class AnswerTooLarge(Exception):
    """A response has more bytes than any response of Braze, as received or decompressed."""


class Connections:
    """Connections to one host, through a proxy if the environment names one; TLS is verified."""

    def __init__(
        self,
        endpoint: str,
        *,
        size: int,
        connect_seconds: float,
        read_seconds: float,
        answer_seconds: float,
    ) -> None:
        """Prepare them; nothing is opened yet.

        Args:
            endpoint: The address that all paths are below.
            size: Connections to keep open: the number of threads that will use them.
            connect_seconds: For connecting.
            read_seconds: For each single wait for data.
            answer_seconds: For a whole response.

        Raises:
            ConfigurationError: the environment names a proxy or a file of certificates that cannot
                be used.
        """
        import requests
        from urllib3 import Retry, Timeout

        # HTTPS_PROXY and NO_PROXY, but no netrc.
        proxies = dict(requests.utils.get_environ_proxies(endpoint))
        verify: str | bool = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._adapter = _adapter(pool=size, answer_seconds=answer_seconds)
        base = requests.Request("POST", endpoint + "/").prepare()
        try:
            found = self._adapter.get_connection_with_tls_context(base, verify, proxies)
            self._adapter.cert_verify(found, endpoint, verify, None)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:  # ValueError: an address that is none
            raise ConfigurationError(
                f"No connection to {endpoint} can be prepared: {type(error).__name__}.",
                fix="Check the proxy in HTTPS_PROXY, and the file in REQUESTS_CA_BUNDLE.",
            ) from None
        self._pool = cast("HTTPConnectionPool", found)
        # A proxy for http gets the whole address, any other server the path.
        self._base = self._adapter.request_url(base, proxies).removesuffix("/")
        self._timeout = Timeout(connect=connect_seconds, read=read_seconds)
        self._once = Retry(total=False, redirect=False)

    def open(
        self, method: str, path: str, body: bytes | memoryview | None, headers: Mapping[str, str]
    ) -> BaseHTTPResponse:
        """Send a request, once; the body of its response is to be read with ``body_of``.

        Raises:
            urllib3.exceptions.HTTPError: no response came.
        """
        return self._pool.urlopen(
            method,
            self._base + path,
            body,  # type: ignore[arg-type]  # a buffer is taken as well
            headers,
            retries=self._once,
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            preload_content=False,
            decode_content=False,
        )

    def close(self) -> None:
        """Close them all."""
        self._pool.close()
        self._adapter.close()


def _adapter(*, pool: int, answer_seconds: float) -> HTTPAdapter:
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


def body_of(response: BaseHTTPResponse, limit: int) -> bytes:
    """The body, decompressed if the server compressed it unasked.

    Raises:
        AnswerTooLarge: it has more than ``limit`` bytes, as received or decompressed.
        urllib3.exceptions.HTTPError: it was truncated, or took too long.
    """
    parts, size = [], 0
    for part in response.stream(_CHUNK, decode_content=False):
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
