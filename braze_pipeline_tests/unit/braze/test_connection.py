"""The connection: what goes over the wire, and answers of every form."""

from __future__ import annotations

import gc
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from braze_pipeline.braze import bounded
from braze_pipeline.braze.client import BrazeClient, NoAnswer
from braze_pipeline.braze.request import Body
from braze_pipeline.errors import (
    BrazeUnavailable,
    ConfigurationError,
)
from braze_pipeline_tests.certificates import certificate
from braze_pipeline_tests.fake_http import FakeHttp, Reply, Request, reply, success
from braze_pipeline_tests.unit.braze.client_world import (
    BODY,
    KEY,
    OK,
    TEXT,
    cause_of,
    client_of,
    holds_no_secret,
)


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
    assert request.body == TEXT


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
    body = Body(b'{"attributes":[', memoryview(b",".join([TEXT] * 50_000)), b"]}")
    server.answer = lambda _: reply(201, {"message": "success"})
    assert client.track(body).status == 201
    assert server.requests[0].body == bytes(body)


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
        pytest.param(reply(201, OK) + b"\0", 2, id="a stray byte after"),
        pytest.param(
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"%x\r\n" % len(OK) + OK + b"\r\n0\r\nX-A: 1\r\nContent-Encoding: gzip\r\n\r\n",
            1,
            id="a trailer",
        ),
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


def test_an_answer_that_repeats_the_key_does_not_show_it(
    server: FakeHttp, client: BrazeClient
) -> None:
    server.answer = lambda _: reply(401, {"message": f"Invalid API key: {KEY}"}, {"X-Key": KEY})
    answer = client.track(BODY)
    assert KEY.encode() in answer.body
    assert KEY not in repr(answer)


def test_an_answer_leaves_nothing_for_the_garbage_collector(client: BrazeClient) -> None:
    client.track(BODY)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            client.track(BODY)
        assert not [one for one in gc.get_objects() if isinstance(one, bounded._Parts)]
    finally:
        gc.enable()


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
    assert str(caught.value) == "the proxy or REQUESTS_CA_BUNDLE cannot be used"
    text = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in text
    holds_no_secret(caught.value)
    with pytest.raises(BrazeUnavailable, match=r"(?i)the proxy in HTTPS_PROXY"):
        list(made.custom_attributes())
    made.close()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_if_braze_is_not_reached_through_a_proxy_its_variable_is_named_and_not_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for one in ("https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(one, raising=False)
        monkeypatch.delenv(one.upper(), raising=False)
    made = client_of("https://rest.example.test")
    assert "proxy" not in made.unavailable("timeout").fix
    monkeypatch.setenv(name, "http://someone:s3cret@127.0.0.1:9")
    with pytest.raises(BrazeUnavailable, match=f"Check the proxy in {name}, the network") as caught:
        list(made.custom_attributes())
    made.close()
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


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


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHttp]:
    trusted, context = certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with FakeHttp(tls=context) as server:
        yield server


def test_over_tls_many_requests_share_a_connection(secure: FakeHttp) -> None:
    made = client_of(secure.endpoint)
    large = Body(b'{"attributes":[', memoryview(b",".join([TEXT] * 20_000)), b"]}")
    secure.answer = lambda _: reply(201, OK)
    for body in (BODY, large, BODY):
        assert made.track(body).body == OK
    assert [request.body for request in secure.requests] == [TEXT, bytes(large), TEXT]
    assert secure.connections == 1
    made.close()


def test_a_certificate_that_nobody_vouches_for_or_of_another_host_is_not_accepted(
    secure: FakeHttp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    trusted, context = certificate(other, address="127.0.0.2")
    untrusted = "certificate not trusted: "
    with FakeHttp(tls=context) as elsewhere:
        assert cause_of(client_of(elsewhere.endpoint)) == f"{untrusted}self-signed certificate"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
        assert f"{untrusted}IP address mismatch" in cause_of(client_of(elsewhere.endpoint))
        assert cause_of(client_of(secure.endpoint)) == f"{untrusted}self-signed certificate"
        assert not secure.requests
        assert not elsewhere.requests


def test_a_drip_over_tls_has_a_deadline_too(secure: FakeHttp) -> None:
    def drip(_: Request) -> Iterator[bytes]:
        for byte in reply(201, OK) * 10:
            time.sleep(0.05)
            yield bytes([byte])

    secure.answer = drip
    made = client_of(secure.endpoint, read_timeout=0.5, answer_timeout=0.6)
    assert cause_of(made) == "timeout"
    secure.answer = success
    assert made.track(BODY).status == 201
    made.close()


def tunnel(server: socket.socket, asked: list[bytes]) -> None:
    """A proxy that takes one CONNECT, and passes on what follows."""
    client, _ = server.accept()
    with client:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        asked.append(head)
        host, port = head.split()[1].rsplit(b":", 1)
        with socket.create_connection((host.decode(), int(port))) as target:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=passed_on, args=(target, client), daemon=True)
            back.start()
            passed_on(client, target)
            target.shutdown(socket.SHUT_WR)
            back.join(10)


def passed_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


def test_through_a_proxy_the_key_goes_to_braze_alone(
    secure: FakeHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = threading.Thread(target=tunnel, args=(listening, asked), daemon=True)
        proxy.start()
        port = listening.getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://someone:s3cret@127.0.0.1:{port}")
        made = client_of(secure.endpoint)
        for _ in range(2):
            assert made.track(BODY).status == 201
        made.close()
        proxy.join(10)
    (head,) = asked
    address = secure.endpoint.removeprefix("https://").encode()
    assert head.startswith(b"CONNECT " + address + b" HTTP/1.")
    assert b"proxy-authorization: basic " in head.lower()
    assert KEY.encode() not in head
    assert [request.line for request in secure.requests] == ["POST /users/track HTTP/1.1"] * 2
    assert "proxy-authorization" not in secure.requests[0].headers
    assert secure.requests[0].headers["host"].encode() == address
    assert secure.connections == 1


def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used(
    server: FakeHttp, client: BrazeClient
) -> None:
    def once(request: Request) -> Iterator[bytes]:
        yield success(request)  # and the connection is closed, unannounced

    server.answer = once
    for number in range(1, 4):
        assert client.track(BODY).status == 201
        ends = time.monotonic() + 10
        while server.open_connections and time.monotonic() < ends:
            time.sleep(0.01)
        assert len(server.requests) == server.connections == number
