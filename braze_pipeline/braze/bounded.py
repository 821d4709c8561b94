"""Requests and responses over kept connections, with a limit on a response's total time and size.

A socket's timeout limits a single read: a server or proxy that sends one byte per second never
reaches it. TLS, which is always verified, proxies and the pool are those of ``requests``. What is
sent over a connection is written by `request`, and a response is read whole with the parser of the
web server uvicorn. That takes less than half of the CPU time of ``http.client``, which took most of
a send's (``benchmarks/send.py``), and leaves out what must not happen: redirects, netrc, cookies.

Writing a request is limited by the timeout for connecting.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast
from urllib.parse import urlsplit

from braze_pipeline.braze.certificates import bundle_path, tls_context
from braze_pipeline.braze.request import Body, write

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool, PoolManager

_CHUNK: Final = 65_536
_INTERIM: Final = range(100, 200)
"""What a server says before its answer."""

NOT_HTTP: Final = "not an HTTP answer"
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32


class AnswerTooLarge(Exception):
    """A response has more bytes than any response of Braze, as received or decompressed."""


class NotUsable(Exception):
    """The environment names a proxy or a file of certificates that cannot be used."""


@dataclass(repr=False)
class Answer:
    """A response, read whole; it is never shown, because Braze repeats the key in some.

    Attributes:
        status: The HTTP status.
        headers: By name in lower case.
        body: As received, or decompressed if the server compressed it unasked.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    # What urllib3's pool reads of a response; it also notes where it came from.
    version_string: ClassVar[str] = "HTTP/1.1"
    length_remaining: ClassVar[int] = 0


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
        answer_bytes: Callable[[str], int],
    ) -> None:
        """Note what is needed; nothing is opened yet.

        Args:
            endpoint: The address that all paths are below.
            size: Connections to keep open: the number of threads that will use them.
            connect_seconds: For connecting, and for writing a whole request.
            read_seconds: For each single wait for data.
            answer_seconds: For a whole response, also a proxy's to CONNECT.
            answer_bytes: The most bytes of a response, by the path of its request.
        """
        self._endpoint = endpoint
        self._size = size
        self._seconds = (connect_seconds, read_seconds)
        self._answer = (answer_seconds, answer_bytes)
        self._lock = threading.Lock()
        self._adapter: HTTPAdapter | None = None
        self._closed = False

    def prepare(self) -> None:
        """Read the environment, once; ``send`` does it otherwise.

        Raises:
            NotUsable: it names a proxy or a file of certificates that cannot be used.
            urllib3.exceptions.HTTPError: the connections are closed.
        """
        from urllib3.exceptions import HTTPError

        with self._lock:
            if self._closed:
                raise HTTPError("The connections are closed.")
            if self._adapter is None:
                self._prepare()

    def send(self, method: str, path: str, body: Body | None, headers: Mapping[str, str]) -> Answer:
        """Send a request, once, and read its response.

        Raises:
            NotUsable: the environment names a proxy or certificates that cannot be used.
            AnswerTooLarge: the response has too many bytes.
            urllib3.exceptions.HTTPError: no complete response came.
        """
        if self._adapter is None:
            self.prepare()
        answer: object = self._pool.urlopen(
            method,
            self._base + path,
            body,  # type: ignore[arg-type]  # passed on to ``request`` below as it is
            {"Host": self._host, "Accept-Encoding": "identity", **headers},
            retries=self._once,
            redirect=False,
            assert_same_host=False,
            timeout=self._timeout,
            preload_content=False,
            release_conn=True,
        )
        return cast("Answer", answer)

    def _prepare(self) -> None:
        import requests
        from urllib3 import Retry, Timeout

        found = None
        with suppress(OSError, ValueError):  # ValueError: an address that is none
            # HTTPS_PROXY and NO_PROXY, but no netrc.
            proxies = dict(requests.utils.get_environ_proxies(self._endpoint))
            verify = bundle_path() or True
            if self._endpoint.startswith("https:") and verify is not True:
                tls_context()  # the library looks into the certificates at the first request only
            adapter = _adapter(self._size, _pools(*self._answer))
            base = requests.Request("POST", self._endpoint + "/").prepare()
            made = adapter.get_connection_with_tls_context(base, verify, proxies)
            adapter.cert_verify(made, self._endpoint, verify, None)  # type: ignore[no-untyped-call]
            found = cast("HTTPConnectionPool", made)
        if found is None:
            # Raised here: the library's exception, which has the proxy's password, is no context.
            raise NotUsable
        self._pool = found
        # A proxy for http gets the whole address, any other server the path.
        self._base = adapter.request_url(base, proxies).removesuffix("/")
        self._host = urlsplit(self._endpoint).netloc
        connect, read = self._seconds
        self._timeout = Timeout(connect=connect, read=read)
        self._once = Retry(total=False, redirect=False)
        self._adapter = adapter

    def close(self) -> None:
        """Close them all; no other is opened."""
        with self._lock:
            self._closed = True
            if self._adapter is not None:
                self._pool.close()
                self._adapter.close()


def proxy_variable(endpoint: str) -> str:
    """The environment variable that names the proxy to an endpoint; empty if there is none."""
    from requests.utils import get_environ_proxies, select_proxy

    proxies = get_environ_proxies(endpoint)
    if not select_proxy(endpoint, proxies):
        return ""
    scheme = urlsplit(endpoint).scheme
    name = f"{scheme if scheme in proxies else 'all'}_proxy"
    return name if os.environ.get(name) else name.upper()


def _pools(
    answer_seconds: float, answer_bytes: Callable[[str], int]
) -> dict[str, type[HTTPConnectionPool]]:
    """Pools, by scheme, whose connections speak HTTP as ``_write`` and ``_read`` do."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Plain(HTTPConnection):
        def connect(self) -> None:
            # The library reads a proxy's answer to CONNECT, with a limit for each wait alone.
            limit = _within(answer_seconds, self.stop) if self.proxy_is_tunneling else nullcontext()
            with limit:
                super().connect()

        def stop(self) -> None:
            with suppress(OSError, AttributeError):  # there is no socket any more
                self.sock.shutdown(socket.SHUT_RDWR)

        def request(  # type: ignore[override]
            self,
            method: str,
            url: str,
            body: Body | None,
            headers: Mapping[str, str],
            **_: object,
        ) -> None:
            if self.sock is None:
                self.connect()
            self.sock.settimeout(self.timeout)
            self.most_bytes = answer_bytes(url)
            with _abandoned(self.sock):
                write(self.sock, method, url, body, headers)

        def getresponse(self) -> Answer:  # type: ignore[override]
            self.sock.settimeout(self.timeout)
            ends = time.monotonic() + answer_seconds
            with _abandoned(self.sock):
                answer, again = _read(self.sock, ends, self.most_bytes)
            if not again:
                self.close()
            return answer

    class Secure(Plain, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain  # type: ignore[assignment]

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure  # type: ignore[assignment]

    return {"http": PlainPool, "https": SecurePool}


@contextmanager
def _abandoned(sock: socket.socket) -> Iterator[None]:
    """After a timeout the system sends nothing of the request that it still has.

    On a slow line, that would hold up the retry.
    """
    from urllib3 import exceptions

    try:
        yield
    except TimeoutError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise exceptions.TimeoutError("timed out") from None


@contextmanager
def _within(seconds: float, stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` after some seconds; what fails from then on raises a TimeoutError."""
    ends = time.monotonic() + seconds
    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        yield
    except Exception:
        if time.monotonic() >= ends:
            raise TimeoutError("timed out") from None
        raise
    finally:
        timer.cancel()


def _adapter(size: int, pools: dict[str, type[HTTPConnectionPool]]) -> HTTPAdapter:
    from requests.adapters import HTTPAdapter

    class Bounded(HTTPAdapter):
        def init_poolmanager(self, *args: object, **kwargs: object) -> None:
            super().init_poolmanager(*args, **kwargs)  # type: ignore[arg-type]
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, proxy: str, **kwargs: object) -> PoolManager:
            manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
            manager.pool_classes_by_scheme = pools
            return manager

    return Bounded(pool_connections=1, pool_maxsize=size, max_retries=0)


def _read(sock: socket.socket, ends: float, most: int) -> tuple[Answer, bool]:
    """A whole response, and whether another may follow on this connection.

    Raises:
        TimeoutError: it is not complete at ``ends``, or nothing came for the socket's own timeout.
        AnswerTooLarge: it has more than ``most`` bytes.
        OSError, urllib3.exceptions.HTTPError: it was cut short, or is not HTTP.
    """
    from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
    from urllib3.exceptions import ProtocolError

    timeout = sock.gettimeout() or 0.0
    parts = _Parts()
    parts.parser = HttpResponseParser(parts)
    size = 0
    try:
        while not parts.complete:
            left = ends - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            if left < timeout:
                sock.settimeout(left)
            data = sock.recv(_CHUNK)
            size += len(data)
            if size > most:
                raise AnswerTooLarge
            try:
                parts.feed(data)
            except (HttpParserError, HttpParserUpgrade):
                parts.again = False
                if not parts.complete:
                    raise ProtocolError(NOT_HTTP) from None
        parts.answer.body = _decompressed(parts, most)
        return parts.answer, parts.again
    finally:
        parts.parser = None  # the two refer to each other


class _Parts:
    """What the parser has found of a response so far.

    Attributes:
        complete: The whole answer is there.
        again: The connection stays open after it.
    """

    def __init__(self) -> None:
        self.parser: Any = None
        self.answer = Answer()
        self.body: list[bytes] = []
        self.complete = False
        self.again = False
        self._has_head = False
        self._ends_with_connection = False

    def feed(self, data: bytes) -> None:
        """Take bytes as received; none if the server closed the connection."""
        if data:
            self.parser.feed_data(data)
        elif self._ends_with_connection:
            self.complete = True
        else:
            raise ConnectionResetError("The answer was cut short.")

    def on_message_begin(self) -> None:
        if self.complete:  # more than was asked for
            self.again = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            self.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        self._has_head = True
        self.answer.status = self.parser.get_status_code()
        self.again = self.parser.should_keep_alive()
        named = self.answer.headers
        self._ends_with_connection = not {"content-length", "transfer-encoding"} & named.keys()

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self.body.append(body)

    def on_message_complete(self) -> None:
        if self.answer.status in _INTERIM and not self.complete:
            self.answer.headers.clear()
            self._has_head = self._ends_with_connection = self.again = False
        else:
            self.complete = True


def _decompressed(parts: _Parts, most: int) -> bytes:
    body = b"".join(parts.body)
    if parts.answer.headers.get("content-encoding", "identity").lower() in {"gzip", "deflate"}:
        with suppress(zlib.error):  # unreadable; classified as such later
            body = zlib.decompressobj(_GZIP_OR_ZLIB).decompress(body, most + 1)
        if len(body) > most:
            raise AnswerTooLarge
    return body
