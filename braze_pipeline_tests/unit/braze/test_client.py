"""What is asked of Braze, and the errors for the operator, which hold no key and no value."""

from __future__ import annotations

import logging

import pytest

from braze_pipeline.braze.client import BrazeClient, NoAnswer
from braze_pipeline.errors import (
    BrazeUnavailable,
    InvalidCredentials,
    MissingPermission,
    RateLimitExhausted,
    WrongInstance,
)
from braze_pipeline_tests.fake_http import FakeHttp, Reply, Request, reply
from braze_pipeline_tests.unit.braze.client_world import (
    BODY,
    KEY,
    client_of,
    holds_no_secret,
)


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
    holds_no_secret(caught.value)


@pytest.mark.parametrize("listed", ["absent", None, {}, 5, "x"])
def test_an_answer_without_its_list_is_not_taken_for_an_empty_one(
    server: FakeHttp, client: BrazeClient, listed: object
) -> None:
    body: dict[str, object] = {"message": "success"}
    if listed != "absent":
        body |= {"users": listed, "attributes": listed}
    server.answer = lambda _: reply(200, body)
    with pytest.raises(WrongInstance):
        client.export_ids(["u1"], ["first_name"])
    with pytest.raises(WrongInstance):
        list(client.custom_attributes())


def test_a_missing_permission_is_named() -> None:
    with FakeHttp(answer=lambda _: reply(403, {"message": "Access Denied"})) as server:
        made = client_of(server.endpoint)
        with pytest.raises(MissingPermission, match=r"users\.export\.ids"):
            made.export_ids(["u1"], ["first_name"])
        with pytest.raises(MissingPermission, match=r"custom_attributes\.get"):
            list(made.custom_attributes())
        made.close()


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
    from braze_pipeline.braze.bounded import Answer

    echoed = f'{{"message": "Invalid API key: {KEY}"}}'.encode()
    assert KEY not in client.classify(Answer(401, {}, echoed), objects=1).text
    named = b'{"attributes_processed":0,"message":"success","errors":[{"index":0,"type":'
    named += b"\"'ada@example.com' is not an e-mail\"}]}"
    assert "ada" not in client.classify(Answer(201, {}, named), objects=1).refused[0]


def test_users_are_read_by_external_id_with_the_fields_asked_for(
    server: FakeHttp, client: BrazeClient
) -> None:
    server.answer = lambda _: reply(
        201, {"message": "success", "users": [{"external_id": "u1"}], "invalid_user_ids": ["u2"]}
    )
    waited: list[int] = []
    found = client.export_ids(
        ["u1", "u2"],
        ["first_name"],
        before_request=lambda: waited.append(len(server.requests)),
    )
    assert found == [{"external_id": "u1"}]
    assert waited == [0]  # for the rate limit
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
