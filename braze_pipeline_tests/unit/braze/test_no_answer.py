"""What is no answer, though something may have come; the error says no more than the cause."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial

import pytest

from braze_pipeline.braze.client import BrazeClient, NoAnswer
from braze_pipeline.braze.request import Body
from braze_pipeline.errors import (
    BrazeUnavailable,
)
from braze_pipeline_tests.fake_http import FakeHttp, Reply, Request, reply, success
from braze_pipeline_tests.unit.braze.client_world import BODY, KEY, OK, cause_of, client_of


def test_a_refused_connection_is_no_answer() -> None:
    with FakeHttp() as gone:
        endpoint = gone.endpoint
    assert cause_of(client_of(endpoint)) == "connection refused"


def test_a_name_that_cannot_be_found_is_no_answer() -> None:
    assert cause_of(client_of("https://braze.invalid")) == "name not found"


def test_a_dropped_connection_is_no_answer(server: FakeHttp, client: BrazeClient) -> None:
    server.answer = lambda _: None
    assert cause_of(client) == "connection broken"


def test_a_body_cut_short_is_no_answer(server: FakeHttp, client: BrazeClient) -> None:
    server.answer = lambda _: reply(201, b'{"message":"success"', length=80)
    assert cause_of(client) == "connection broken"


def test_rubbish_is_no_answer(server: FakeHttp, client: BrazeClient) -> None:
    server.answer = lambda _: b"220 mail.example.test ESMTP\r\n\r\n"
    assert cause_of(client) == "not an HTTP answer"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 201 Created\r\nContent-Le",
    ],
)
def test_what_a_server_says_before_its_answer_is_none(
    server: FakeHttp, client: BrazeClient, answer: bytes
) -> None:
    server.answer = lambda _: answer
    assert cause_of(client) == "connection broken"


def test_no_cut_of_an_answer_in_chunks_is_taken_for_the_answer(server: FakeHttp) -> None:
    whole = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    whole += b"%x\r\n" % len(OK) + OK + b"\r\n0\r\n\r\n"
    for cut in range(1, len(whole)):
        answer = whole[:cut]
        server.answer = partial(_always, answer)
        made = client_of(server.endpoint)
        assert cause_of(made) == "connection broken"
        made.close()


def _always(answer: bytes, _: Request) -> Reply:
    return answer


def test_a_silent_server_has_the_time_of_a_whole_answer_and_no_more() -> None:
    for moment in ("never", "late"):
        go = threading.Event()

        def silent(request: Request, go: threading.Event = go, moment: str = moment) -> Reply:
            go.wait(0.9 if moment == "late" else 30)
            return success(request)

        with FakeHttp(answer=silent) as server:
            made = client_of(server.endpoint, read_timeout=20.0, answer_timeout=0.3)
            started = time.monotonic()
            assert cause_of(made) == "timeout"
            assert time.monotonic() - started < 10
            go.set()
            made.close()


def test_a_proxy_whose_answer_to_connect_comes_a_byte_at_a_time_has_a_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    answer = b"HTTP/1.1 200 Connection established\r\nX: " + b"x" * 400
    with FakeHttp(answer=lambda _: drip(answer)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.endpoint)
        made = client_of("https://rest.example.test", read_timeout=5.0, answer_timeout=0.6)
        assert cause_of(made) == "timeout"
        made.close()
    assert proxy.requests[0].line.startswith("CONNECT rest.example.test:443")


def test_a_proxy_that_wants_another_password_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with FakeHttp(answer=lambda _: reply(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.endpoint.replace("//", "//someone:s3cret@"))
        made = client_of("https://rest.example.test")
        assert cause_of(made) == "refused by the proxy"
        made.close()


def test_a_closed_client_sends_nothing(server: FakeHttp) -> None:
    for used in (True, False):
        made = client_of(server.endpoint)
        if used:
            made.track(BODY)
        made.close()
        assert cause_of(made) == "connection failed"
    assert len(server.requests) == 1


def test_a_defect_below_is_named_by_its_type_alone(
    client: BrazeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object) -> None:
        raise LookupError(KEY, given)

    monkeypatch.setattr(client._connections, "send", broken)
    assert cause_of(client) == "LookupError"


def test_an_answer_that_takes_too_long_is_no_answer() -> None:
    late = threading.Event()

    def slow(request: Request) -> Reply:
        late.wait(30)
        return success(request)

    with FakeHttp(answer=slow) as server:
        made = client_of(server.endpoint, read_timeout=0.2)
        assert cause_of(made) == "timeout"
        late.set()
        made.close()


def read_all(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


@pytest.mark.parametrize("size", [2_000_000, 40_000_000])
def test_after_a_timeout_nothing_more_of_the_request_is_sent(size: int) -> None:
    """Neither where the system took all of it at once, nor where it did not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        made = client_of(endpoint, connect_timeout=0.3, read_timeout=0.3)
        with pytest.raises(NoAnswer) as caught:
            made.track(Body(b"x" * size))
        assert caught.value.cause == "timeout"
        connection, _ = server.accept()
        with connection, pytest.raises(ConnectionResetError):
            read_all(connection)
        made.close()


def drip(answer: bytes, *, whole: int = 0) -> Iterator[bytes]:
    """An answer of which the first bytes come at once, and then one byte at a time."""
    yield answer[:whole]
    for byte in answer[whole:]:
        time.sleep(0.05)
        yield bytes([byte])


@pytest.mark.parametrize("part", ["head", "body", "chunks"])
def test_an_answer_that_comes_a_byte_at_a_time_has_a_deadline(part: str) -> None:
    answer = reply(201, b'{"message":"success"}' + b" " * 200)
    if part == "chunks":
        head = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = head + b"1\r\n \r\n" * 50 + b"0\r\n\r\n"
    whole = 0 if part == "head" else answer.index(b"\r\n\r\n") + 4
    with FakeHttp(answer=lambda _: drip(answer, whole=whole)) as server:
        made = client_of(server.endpoint, read_timeout=0.5, answer_timeout=0.6)
        assert cause_of(made) == "timeout"
        with pytest.raises(BrazeUnavailable, match="timeout"):
            list(made.custom_attributes())
        server.answer = success
        assert made.track(BODY).status == 201
        made.close()


def test_an_answer_that_is_slow_but_in_time_is_taken(server: FakeHttp) -> None:
    server.answer = lambda _: drip(reply(201, b'{"message":"success"}'), whole=60)
    made = client_of(server.endpoint, read_timeout=5.0, answer_timeout=5.0)
    assert made.track(BODY).body == b'{"message":"success"}'
    made.close()


@cache
def bomb() -> bytes:
    """A hundred million bytes, packed into a hundred thousand."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return b"".join([packer.compress(bytes(1_000_000)) for _ in range(100)]) + packer.flush()


def endless() -> Iterator[bytes]:
    yield b"HTTP/1.1 201 Created\r\n\r\n"
    while True:
        yield b" " * 100_000


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda: reply(201, bomb(), {"Content-Encoding": "gzip"}), id="packed"),
        pytest.param(endless, id="without end"),
    ],
)
def test_an_answer_that_is_too_large_is_no_answer_and_does_not_fill_the_memory(
    server: FakeHttp, client: BrazeClient, answer: Callable[[], Reply]
) -> None:
    bomb()  # before the clock and the measure run
    server.answer = lambda _: answer()
    tracemalloc.start()
    try:
        assert cause_of(client) == "answer too large"
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    with pytest.raises(BrazeUnavailable, match="answer too large"):
        client.export_ids(["1"], ["external_id"])
    server.answer = success
    assert client.track(BODY).status == 201


def test_a_look_up_may_have_a_larger_answer_than_a_send(
    server: FakeHttp, client: BrazeClient
) -> None:
    server.answer = lambda _: reply(200, b'{"users": [{}]}' + b" " * 5_000_000)
    assert cause_of(client) == "answer too large"
    assert client.export_ids(["1"], ["external_id"]) == [{}]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_packed_answer_is_read_although_none_was_asked_for(
    server: FakeHttp, client: BrazeClient, encoding: str
) -> None:
    body = b'{"message":"success"}'
    packed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body)}[encoding]
    server.answer = lambda _: reply(201, packed, {"Content-Encoding": encoding})
    assert client.track(BODY).body == body
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_a_dropped_connection_does_not_spoil_the_next_request(
    server: FakeHttp, client: BrazeClient
) -> None:
    client.track(BODY)
    server.answer = lambda _: None
    cause_of(client)
    server.answer = success
    assert client.track(BODY).status == 201
