"""``/users/track`` answers as Braze does, over real HTTP."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from braze_pipeline.braze.limits import MAX_BODY_BYTES
from braze_pipeline.sandbox import Limits, Sandbox
from braze_pipeline_tests.integration.sandbox.conftest import Post, objects

TRACK = "/users/track"


def test_objects_are_queued_counted_and_written(sandbox: Sandbox, post: Post) -> None:
    answer = post(sandbox, TRACK, objects("1", "2", tier="gold"))
    assert answer.status_code == 201
    assert answer.json() == {"message": "success", "attributes_processed": 2}
    assert sandbox.profile("2") == {"tier": "gold"}
    assert (sandbox.objects_sent("1"), sandbox.attributes_sent("1")) == (1, 1)


def test_refused_objects_are_named_and_write_nothing(sandbox: Sandbox, post: Post) -> None:
    body = objects("1", "2", "3", tier="gold")
    body["attributes"][1]["email"] = "nobody"
    body["attributes"][2]["braze_id"] = "b"
    answer = post(sandbox, TRACK, body)
    assert answer.status_code == 201
    assert answer.json() == {
        "message": "success",
        "attributes_processed": 1,
        "errors": [
            {
                "index": 1,
                "input_array": "attributes",
                "type": "'email' is not a valid email address",
            },
            {
                "index": 2,
                "input_array": "attributes",
                "type": "You must specify only one of 'external_id', 'user_alias' or 'braze_id'",
            },
        ],
    }
    assert (sandbox.profile("2"), sandbox.profile("3")) == ({}, {})


def test_an_alias_beside_an_id_is_refused_in_the_words_of_braze(
    sandbox: Sandbox, post: Post
) -> None:
    body = objects("1")
    body["attributes"][0]["user_alias"] = {"alias_name": "a", "alias_label": "b"}
    (error,) = post(sandbox, TRACK, body).json()["errors"]
    assert error["type"] == (
        "You must specify only one of 'external_id', 'user_alias' or 'braze_id'"
    )


def test_unknown_users_are_silently_ignored(sandbox: Sandbox, post: Post) -> None:
    answer = post(sandbox, TRACK, objects("1", "nobody", tier="gold"))
    assert answer.json() == {"message": "success", "attributes_processed": 2}
    assert sandbox.profile("nobody") is None
    assert sandbox.counts()["objects_ignored"] == 1


def test_what_this_pipeline_never_sends_is_refused(sandbox: Sandbox, post: Post) -> None:
    event = {"external_id": "1", "name": "e", "time": "2011-11-01"}
    answer = post(sandbox, TRACK, objects("1", tier="gold") | {"events": [event]})
    assert (answer.status_code, "attributes" in answer.json()["message"]) == (400, True)
    body = objects("1", "2", tier="gold")
    body["attributes"][1]["visits"] = {"inc": 1}
    [refused] = post(sandbox, TRACK, body).json()["errors"]
    assert (refused["index"], "'visits'" in refused["type"]) == (1, True)
    assert (sandbox.profile("1"), sandbox.profile("2")) == ({"tier": "gold"}, {})


def test_a_request_without_a_valid_object_is_a_400_that_names_them(
    sandbox: Sandbox, post: Post
) -> None:
    answer = post(sandbox, TRACK, objects("1", email="nobody"))
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Valid data must be provided")
    assert answer.json()["errors"][0]["index"] == 0


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b'{"attributes": [NaN]}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_body_that_is_not_a_json_object_is_a_parse_error_in_the_key_error(
    sandbox: Sandbox, post: Post, body: bytes
) -> None:
    answer = post(sandbox, TRACK, body, **{"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("body", [{}, {"attributes": []}, {"attributes": {}}])
def test_a_body_without_objects_is_refused(
    sandbox: Sandbox, post: Post, body: dict[str, Any]
) -> None:
    answer = post(sandbox, TRACK, body)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Valid data must be provided")


def test_more_than_75_objects_are_too_many(sandbox: Sandbox, post: Post) -> None:
    assert post(sandbox, TRACK, objects(*["1"] * 75, tier="gold")).status_code == 201
    answer = post(sandbox, TRACK, objects(*["1"] * 76, tier="gold"))
    assert (answer.status_code, answer.json()["message"]) == (400, "Max Input Length Exceeded")


def test_a_body_over_4_mb_is_too_large(sandbox: Sandbox, post: Post) -> None:
    body = json.dumps(objects("1", tier="gold")).encode()
    padded = body + b" " * (MAX_BODY_BYTES - len(body))
    kind = {"Content-Type": "application/json"}
    assert post(sandbox, TRACK, padded, **kind).status_code == 201
    assert post(sandbox, TRACK, padded + b" ", **kind).status_code == 413


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_another_content_type_is_not_supported(sandbox: Sandbox, post: Post, kind: str) -> None:
    body = json.dumps(objects("1", tier="gold")).encode()
    assert post(sandbox, TRACK, body, **{"Content-Type": kind}).status_code == 415
    right = {"Content-Type": "application/json; charset=utf-8"}
    assert post(sandbox, TRACK, body, **right).status_code == 201


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer another-key", "Basic abc"])
def test_a_wrong_key_is_401_and_the_body_repeats_it(
    sandbox: Sandbox, post: Post, header: str
) -> None:
    answer = post(sandbox, TRACK, objects("1", tier="gold"), Authorization=header)
    key = "another-key" if "another" in header else ""
    assert answer.status_code == 401
    assert answer.json() == {"message": f"Invalid API key: {key}"}
    assert sandbox.profile("1") == {}


def test_a_sandbox_may_accept_any_key_but_not_a_missing_one(post: Post) -> None:
    with Sandbox(api_key=None, users=["1"]) as sandbox:
        body = objects("1", tier="gold")
        assert post(sandbox, TRACK, body, Authorization="Bearer any").status_code == 201
        assert post(sandbox, TRACK, body, Authorization="").status_code == 401


def test_a_key_without_the_permission_is_403(post: Post) -> None:
    keys = {"reader": ["users.export.ids"], "writer": ["users.track"]}
    with Sandbox(api_key=keys, users=["1"]) as sandbox:
        body = objects("1", tier="gold")
        refused = post(sandbox, TRACK, body, Authorization="Bearer reader")
        assert (refused.status_code, "users.track" in refused.text) == (403, True)
        assert post(sandbox, TRACK, body, Authorization="Bearer writer").status_code == 201
        listed = post(sandbox, "/users/export/ids", {}, Authorization="Bearer writer")
        assert listed.status_code == 403


def test_a_trailing_slash_is_403_and_another_address_404(sandbox: Sandbox, post: Post) -> None:
    body = objects("1", tier="gold")
    assert post(sandbox, TRACK + "/", body).status_code == 403
    assert post(sandbox, "/users/trak", body).status_code == 404
    assert requests.get(sandbox.endpoint + TRACK, timeout=20).status_code == 404


def test_every_response_except_429_has_rate_headers(post: Post) -> None:
    with Sandbox(users=["1"], limits=Limits(requests=2, seconds=3600)) as sandbox:
        good = post(sandbox, TRACK, objects("1", tier="gold"))
        bad = post(sandbox, TRACK, b"{", **{"Content-Type": "application/json"})
        over = post(sandbox, TRACK, objects("1", tier="silver"))
    assert good.headers["X-RateLimit-Limit"] == "2"
    assert good.headers["X-RateLimit-Remaining"] == "1"
    assert float(good.headers["X-RateLimit-Reset"]) > time.time()
    assert bad.headers["X-RateLimit-Remaining"] == "0"
    assert over.status_code == 429
    assert 3590 <= int(over.headers["X-Ratelimit-Retry-After"]) <= 3600
    assert "X-RateLimit-Limit" not in over.headers
    assert "Retry-After" not in over.headers
    assert sandbox.profile("1") == {"tier": "gold"}


def test_a_user_can_be_refused_from_now_on(sandbox: Sandbox, post: Post) -> None:
    sandbox.refuse("2", "no")
    answer = post(sandbox, TRACK, objects("1", "2", tier="gold"))
    assert answer.json()["errors"] == [{"index": 1, "input_array": "attributes", "type": "no"}]
    assert (sandbox.profile("1"), sandbox.profile("2")) == ({"tier": "gold"}, {})


def test_requests_are_recorded_without_the_key(tmp_path: Path, post: Post) -> None:
    file = tmp_path / "deep" / "requests.jsonl"
    with Sandbox(users=["1"], record=file) as sandbox:
        post(sandbox, TRACK, objects("1", tier="gold"))
        post(sandbox, TRACK, b"{", **{"Content-Type": "application/json"})
        post(sandbox, TRACK, objects("1", tier=sandbox.api_key))
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert sandbox.api_key not in file.read_text(encoding="utf-8")
    assert [line["status"] for line in lines] == [201, 400, 201]
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert lines[0]["body"] == objects("1", tier="gold")
    assert lines[0]["path"] == TRACK
    assert "authorization" not in lines[0]["headers"]
    assert lines[1]["body"] == "{"


def test_a_restarted_sandbox_keeps_its_port_and_profiles(post: Post) -> None:
    sandbox = Sandbox(users=["1"])
    with sandbox:
        port = sandbox.port
        post(sandbox, TRACK, objects("1", tier="gold"))
    with pytest.raises(requests.ConnectionError):
        requests.get(sandbox.endpoint, timeout=20)
    with sandbox:
        assert sandbox.port == port
        assert sandbox.profile("1") == {"tier": "gold"}


def test_a_taken_port_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=sandbox.port).start()


def test_users_may_be_named_by_braze_id(post: Post) -> None:
    with Sandbox(users=[{"braze_id": "b1"}]) as sandbox:
        body = {"attributes": [{"braze_id": user, "tier": "gold"} for user in ("b1", "b2")]}
        assert post(sandbox, TRACK, body).json()["attributes_processed"] == 2
        assert sandbox.profiles() == {"b1": {"tier": "gold"}}
        assert sandbox.attributes_sent("b1") == 1
        assert sandbox.requests[-1].users == ("b1", "b2")


def test_no_representation_shows_a_key(sandbox: Sandbox) -> None:
    assert sandbox.api_key not in repr(sandbox)
    assert sandbox.api_key not in repr(vars(sandbox)["_endpoints"])
