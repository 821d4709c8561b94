"""The connection: what goes over the wire, what never does, and what no exception may hold."""

from __future__ import annotations

import gzip
import logging
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from braze_pipeline.braze.client import BrazeClient, NoAnswer
from braze_pipeline.braze.redaction import Secret
from braze_pipeline.errors import (
    BrazeUnavailable,
    ConfigurationError,
    InvalidCredentials,
    MissingPermission,
    RateLimitExhausted,
    WrongInstance,
)
from braze_pipeline.settings import DestinationSettings
from braze_pipeline_tests.fake_http import FakeHttp, Reply, Request, reply, success

KEY = "planted-key-7f3a91c5-do-not-show"
OK = b'{"message":"success"}'
BODY = b'{"attributes":[{"external_id":"u1","first_name":"Planted Person"}]}'


def client_of(endpoint: str, **more: Any) -> BrazeClient:
    destination = DestinationSettings(name="braze", endpoint=endpoint, **more)
    return BrazeClient(destination, Secret(KEY), pool=4)


@pytest.fixture
def server() -> Iterator[FakeHttp]:
    with FakeHttp() as fake:
        yield fake


@pytest.fixture
def client(server: FakeHttp) -> Iterator[BrazeClient]:
    made = client_of(server.endpoint, read_timeout=2.0)
    yield made
    made.close()


# -- what goes out ----------------------------------------------------------------------------


def test_a_track_request_is_a_post_of_json_with_the_key_as_bearer(
    server: FakeHttp, client: BrazeClient
) -> None:
    answer = client.track(BODY)
    assert answer.status == 201
    request = server.requests[0]
    assert request.line == "POST /users/track HTTP/1.1"  # no trailing slash: that is a 403
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"].startswith("application/json")
    assert "content-encoding" not in request.headers
    assert request.body == BODY


def test_one_connection_serves_many_requests(server: FakeHttp, client: BrazeClient) -> None:
    for _ in range(5):
        client.track(BODY)
    assert server.connections == 1


def test_a_closed_client_keeps_no_connection(server: FakeHttp) -> None:
    made = client_of(server.endpoint)
    made.track(BODY)
    made.close()
    ends = time.monotonic() + 10
    while server.open_connections and time.monotonic() < ends:
        time.sleep(0.01)
    assert not server.open_connections


def test_a_large_body_arrives_whole(server: FakeHttp, client: BrazeClient) -> None:
    body = b'{"attributes":[' + b",".join([BODY] * 50_000) + b"]}"
    server.answer = lambda _: reply(201, {"message": "success"})
    assert client.track(body).status == 201
    assert server.requests[0].body == body


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        pytest.param(reply(201, OK, {"Connection": "close"}), 2, id="the server closes"),
        pytest.param(reply(201, OK, {"Connection": "keep-alive"}), 1, id="the server keeps it"),
        pytest.param(reply(201, OK).replace(b"HTTP/1.1", b"HTTP/1.0"), 2, id="an older server"),
        pytest.param(reply(201, OK) + reply(500, b"{}"), 2, id="more than was asked for"),
        pytest.param(b"HTTP/1.1 201 Created\r\n\r\n" + OK, 2, id="without a length"),
        pytest.param(
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
             b"5\r\n" + OK[:5] + b"\r\n" + b"%x\r\n" % (len(OK) - 5) + OK[5:] + b"\r\n0\r\n\r\n",
            1,
            id="in chunks",
        ),
        pytest.param(b"HTTP/1.1 103 Early\r\nX-A: 1\r\n\r\n" + reply(201, OK), 1, id="hints first"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + reply(201, OK), 1, id="continue before"),
    ],
)  # fmt: skip
def test_answers_of_every_form_are_read_whole(
    server: FakeHttp, client: BrazeClient, answer: bytes, connections: int
) -> None:
    server.answer = lambda _: answer
    server.stays_open = b"Created\r\n\r\n" not in answer
    for _ in range(2):
        got = client.track(BODY)
        assert (got.status, got.body) == (201, OK)
        assert "x-a" not in got.headers
    assert server.connections == connections


def _in_parts(parts: tuple[bytes, ...], _: Request) -> Reply:
    return iter(parts)


def test_an_answer_may_come_in_any_parts(server: FakeHttp) -> None:
    whole = reply(201, OK, {"X-RateLimit-Remaining": "7"})
    for cut in range(1, len(whole)):
        parts = (whole[:cut], whole[cut:])
        server.answer = partial(_in_parts, parts)
        made = client_of(server.endpoint)
        got = made.track(BODY)
        assert (got.status, got.body, got.headers["x-ratelimit-remaining"]) == (201, OK, "7")
        made.close()


def test_a_redirect_is_not_followed(server: FakeHttp, client: BrazeClient) -> None:
    server.answer = lambda _: reply(302, headers={"Location": f"{server.endpoint}/elsewhere"})
    assert client.track(BODY).status == 302
    assert len(server.requests) == 1


def test_netrc_does_not_replace_the_key(
    server: FakeHttp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    made = client_of(server.endpoint)
    made.track(BODY)
    made.close()
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_cookies_are_not_kept(server: FakeHttp, client: BrazeClient) -> None:
    server.answer = lambda request: success(request).replace(
        b"HTTP/1.1 201 Status\r\n", b"HTTP/1.1 201 Status\r\nSet-Cookie: a=b\r\n"
    )
    client.track(BODY)
    client.track(BODY)
    assert "cookie" not in server.requests[1].headers


def test_a_proxy_of_the_standard_variables_is_used(
    server: FakeHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", server.endpoint)
    monkeypatch.setenv("http_proxy", server.endpoint)
    made = client_of("http://127.0.0.1:9")
    answer = made.track(BODY)
    made.close()
    assert answer.status == 201
    assert server.requests[0].line == "POST http://127.0.0.1:9/users/track HTTP/1.1"


def test_no_proxy_is_obeyed(server: FakeHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    made = client_of(server.endpoint)
    assert made.track(BODY).status == 201
    made.close()


@pytest.mark.parametrize(
    "endpoint", ["http://rest.example.test", "ftp://127.0.0.1", "http://10.0.0.1", "127.0.0.1:80"]
)
def test_an_address_that_would_carry_the_key_in_clear_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        client_of(endpoint)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REQUESTS_CA_BUNDLE", "/no/such/file.pem"),
        ("https_proxy", "http://"),
        ("https_proxy", "http://user:s3cret@proxy:99999"),
        ("https_proxy", "ftp://user:s3cret@proxy"),
    ],
)
def test_what_the_environment_names_and_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for other in ("no_proxy", "NO_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    made = client_of("https://rest.example.test")
    with pytest.raises(NoAnswer) as caught:
        made.track(BODY)
    assert str(caught.value) == "HTTPS_PROXY or REQUESTS_CA_BUNDLE cannot be used"
    text = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in text
    _holds_no_secret(caught.value)
    with pytest.raises(BrazeUnavailable, match="HTTPS_PROXY"):
        list(made.custom_attributes())
    made.close()


def test_certificates_are_verified_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "")
    with FakeHttp(answer=lambda _: None) as plain:
        made = client_of(plain.endpoint.replace("http:", "https:"), connect_timeout=2.0)
        with pytest.raises(NoAnswer):
            made.track(BODY)
        assert vars(made._connections._pool)["cert_reqs"] == "CERT_REQUIRED"
        made.close()


# -- no answer --------------------------------------------------------------------------------


def causes(client: BrazeClient) -> str:
    with pytest.raises(NoAnswer) as caught:
        client.track(BODY)
    _holds_no_secret(caught.value)
    return str(caught.value)


def test_a_refused_connection_is_no_answer() -> None:
    with FakeHttp() as gone:
        endpoint = gone.endpoint
    assert causes(client_of(endpoint)) == "connection refused"


def test_a_name_that_cannot_be_found_is_no_answer() -> None:
    assert causes(client_of("https://braze.invalid")) == "name not found"


def test_a_dropped_connection_is_no_answer(server: FakeHttp, client: BrazeClient) -> None:
    server.answer = lambda _: None
    assert causes(client) == "connection broken"


def test_a_body_cut_short_is_no_answer(server: FakeHttp, client: BrazeClient) -> None:
    server.answer = lambda _: reply(201, b'{"message":"success"', length=80)
    assert causes(client) == "connection broken"


def test_rubbish_is_no_answer(server: FakeHttp, client: BrazeClient) -> None:
    server.answer = lambda _: b"220 mail.example.test ESMTP\r\n\r\n"
    assert causes(client)


def test_an_answer_that_takes_too_long_is_no_answer() -> None:
    import threading

    late = threading.Event()

    def slow(request: Request) -> Reply:
        late.wait(30)
        return success(request)

    with FakeHttp(answer=slow) as server:
        made = client_of(server.endpoint, read_timeout=0.2)
        assert causes(made) == "timeout"
        late.set()
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
        assert causes(made) == "timeout"
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
        assert causes(client) == "answer too large"
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
    assert causes(client) == "answer too large"
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
    causes(client)
    server.answer = success
    assert client.track(BODY).status == 201


# -- errors for the operator ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(401, {"message": f"Invalid API key: {KEY}"}), InvalidCredentials),
        (reply(403, {"message": "Access Denied"}), MissingPermission),
        (reply(404, b"<html>"), WrongInstance),
        (reply(200, b"<html>login</html>"), WrongInstance),
        (reply(429, {"message": "over"}), RateLimitExhausted),
        (reply(503, b""), BrazeUnavailable),
        (None, BrazeUnavailable),
    ],
)
def test_what_a_read_meets_is_a_typed_error_without_the_key(
    server: FakeHttp, client: BrazeClient, answer: Reply, expected: type[Exception]
) -> None:
    server.answer = lambda _: answer
    with pytest.raises(expected) as caught:
        client.export_ids(["u1"], ["first_name"])
    assert type(caught.value) is expected
    _holds_no_secret(caught.value)


def test_a_missing_permission_is_named() -> None:
    with FakeHttp(answer=lambda _: reply(403, {"message": "Access Denied"})) as server:
        made = client_of(server.endpoint)
        with pytest.raises(MissingPermission, match=r"users\.export\.ids"):
            made.export_ids(["u1"], ["first_name"])
        with pytest.raises(MissingPermission, match=r"custom_attributes\.get"):
            list(made.custom_attributes())
        made.close()


def _holds_no_secret(error: BaseException) -> None:
    """Not the key nor the body: in no text, and in nothing that hangs on the exception."""
    seen: list[BaseException] = []
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        chain += [one.__cause__, one.__context__]
        text = f"{one} {one!r} {one.args} {getattr(one, '__dict__', {})}"
        text += "".join(traceback.format_exception(one))
        assert KEY not in text
        assert "Planted Person" not in text
        request = getattr(one, "request", None)
        assert request is None, "the exception carries the request with its headers"


def test_logs_of_the_http_library_hold_neither_key_nor_body(
    server: FakeHttp, client: BrazeClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        client.track(BODY)
        server.answer = lambda _: None
        with pytest.raises(NoAnswer):
            client.track(BODY)
    assert caplog.records
    assert KEY not in caplog.text
    assert "Planted Person" not in caplog.text


def test_a_client_shows_its_address_and_not_its_key(client: BrazeClient) -> None:
    assert KEY not in repr(client)


def test_a_verdict_has_lost_the_key_and_the_values(client: BrazeClient) -> None:
    from braze_pipeline.braze.client import Answer

    echoed = f'{{"message": "Invalid API key: {KEY}"}}'.encode()
    assert KEY not in client.classify(Answer(401, {}, echoed), objects=1).text
    named = b'{"attributes_processed":0,"message":"success","errors":[{"index":0,"type":'
    named += b"\"'ada@example.com' is not an e-mail\"}]}"
    assert "ada" not in client.classify(Answer(201, {}, named), objects=1).refused[0]


# -- reading ----------------------------------------------------------------------------------


def test_users_are_read_by_external_id_with_the_fields_asked_for(
    server: FakeHttp, client: BrazeClient
) -> None:
    server.answer = lambda _: reply(
        201, {"message": "success", "users": [{"external_id": "u1"}], "invalid_user_ids": ["u2"]}
    )
    assert client.export_ids(["u1", "u2"], ["first_name"]) == [{"external_id": "u1"}]
    request = server.requests[0]
    assert request.line == "POST /users/export/ids HTTP/1.1"
    assert request.body == b'{"external_ids": ["u1", "u2"], "fields_to_export": ["first_name"]}'


def test_no_more_than_fifty_users_are_read_at_once(client: BrazeClient) -> None:
    with pytest.raises(ValueError, match="50"):
        client.export_ids([str(number) for number in range(51)], ["first_name"])


def test_custom_attributes_come_page_by_page(server: FakeHttp, client: BrazeClient) -> None:
    def pages(request: Request) -> bytes:
        if "cursor=two%2B" in request.line:
            return reply(200, {"attributes": [{"name": "c"}]})
        link = '<https://elsewhere.example.test/custom_attributes/?cursor=two%2B>; rel="next"'
        return reply(200, {"attributes": [{"name": "a"}, {"name": "b"}]}, headers={"Link": link})

    server.answer = pages
    assert [one["name"] for one in client.custom_attributes()] == ["a", "b", "c"]
    # The cursor is followed, the address is not: the key stays with the destination.
    assert len(server.requests) == 2


def test_pages_that_never_end_are_not_read_for_ever(server: FakeHttp, client: BrazeClient) -> None:
    link = '</custom_attributes?cursor=same>; rel="next"'
    server.answer = lambda _: reply(200, {"attributes": [{"name": "a"}]}, headers={"Link": link})
    names = [one["name"] for one in client.custom_attributes()]
    assert len(names) == 2
