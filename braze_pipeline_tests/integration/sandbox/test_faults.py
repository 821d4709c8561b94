"""Each fault reaches a real client as described, and writes exactly what it promises."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from braze_pipeline.sandbox import Fault, FaultKind, FaultPlan, Overlap, Sandbox
from braze_pipeline_tests.integration.sandbox.conftest import Post, objects

TRACK = "/users/track"
WRITES = {FaultKind.RESET_AFTER, FaultKind.SLOW}


def meet(sandbox: Sandbox, post: Post, fault: Fault | FaultKind, **how: Any) -> requests.Response:
    sandbox.script([fault])
    return post(sandbox, TRACK, objects("1", "2", "3", tier="gold"), **how)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.THROTTLED, 429),
        (FaultKind.THROTTLED_PLAINLY, 429),
        (FaultKind.THROTTLED_SILENTLY, 429),
        (FaultKind.REQUEST_TIMEOUT, 408),
        (FaultKind.SERVER_ERROR, 500),
        (FaultKind.BAD_GATEWAY, 502),
        (FaultKind.UNAVAILABLE, 503),
        (FaultKind.GATEWAY_TIMEOUT, 504),
        (FaultKind.UNAUTHORIZED, 401),
        (FaultKind.FORBIDDEN, 403),
        (FaultKind.TOO_LARGE, 413),
        (FaultKind.FATAL_MESSAGE, 201),
    ],
)
def test_an_answer_before_the_write_writes_nothing(
    sandbox: Sandbox, post: Post, kind: FaultKind, status: int
) -> None:
    answer = meet(sandbox, post, kind)
    assert answer.status_code == status
    assert sandbox.counts()["objects_applied"] == 0
    assert sandbox.requests[-1].fault == kind
    assert post(sandbox, TRACK, objects("1", tier="gold")).status_code == 201


def test_a_429_states_the_wait_in_one_of_three_ways(sandbox: Sandbox, post: Post) -> None:
    ours = meet(sandbox, post, Fault(kind=FaultKind.THROTTLED, seconds=7))
    plain = meet(sandbox, post, Fault(kind=FaultKind.THROTTLED_PLAINLY, seconds=8))
    silent = meet(sandbox, post, FaultKind.THROTTLED_SILENTLY)
    assert ours.headers["x-ratelimit-retry-after"] == "7"
    assert plain.headers["retry-after"] == "8"
    for answer in (ours, plain, silent):
        assert "x-ratelimit-limit" not in answer.headers
    assert "retry-after" not in silent.headers


def test_a_401_repeats_the_key_and_a_502_is_html(sandbox: Sandbox, post: Post) -> None:
    assert sandbox.api_key in meet(sandbox, post, FaultKind.UNAUTHORIZED).text
    page = meet(sandbox, post, FaultKind.BAD_GATEWAY)
    assert page.text.startswith("<html>")
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER])
def test_a_reset_breaks_the_connection(
    sandbox: Sandbox, post: Post, kind: FaultKind, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(requests.ConnectionError, match="reset"):
        meet(sandbox, post, kind)
    assert sandbox.counts()["objects_applied"] == (3 if kind in WRITES else 0)
    assert sandbox.requests[-1].status == 0
    sandbox.stop()
    assert caplog.messages == []


@pytest.mark.parametrize("kind", [FaultKind.SLOW, FaultKind.STALLED])
def test_a_slow_response_comes_after_the_client_disconnected(
    sandbox: Sandbox, post: Post, kind: FaultKind
) -> None:
    with pytest.raises(requests.ReadTimeout):
        meet(sandbox, post, Fault(kind=kind, seconds=60), timeout=0.2)
    assert sandbox.counts()["objects_applied"] == (3 if kind in WRITES else 0)
    assert post(sandbox, TRACK, objects("1", "2", "3", tier="gold")).status_code == 201
    assert sandbox.overlaps == []


def test_a_truncated_body_breaks_off_after_the_write(
    sandbox: Sandbox, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        meet(sandbox, post, FaultKind.TRUNCATED)
    assert sandbox.counts()["objects_applied"] == 3
    sandbox.stop()
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        (FaultKind.EMPTY_BODY, 201, ""),
        (FaultKind.HTML_BODY, 201, "<html>"),
        (FaultKind.STATUS_200, 200, '{"attributes_processed": 3'),
        (FaultKind.STATUS_202, 202, '{"attributes_processed": 3'),
        (FaultKind.NO_MESSAGE, 201, '{"attributes_processed": 3}'),
    ],
)
def test_an_odd_success_has_written_everything(
    sandbox: Sandbox, post: Post, kind: FaultKind, status: int, text: str
) -> None:
    answer = meet(sandbox, post, kind)
    assert answer.status_code == status
    assert answer.text.startswith(text)
    assert sandbox.counts()["objects_applied"] == 3


@pytest.mark.parametrize(
    ("kind", "errors"),
    [
        (FaultKind.REFUSED, [{"index": 1, "input_array": "attributes"}]),
        (FaultKind.REFUSED_BARE, [{}]),
        (FaultKind.REFUSED_NO_INDEX, [{"input_array": "attributes"}]),
        (FaultKind.REFUSED_NO_ARRAY, [{"index": 1}]),
        (FaultKind.REFUSED_TWICE, [{"index": 1, "input_array": "attributes"}] * 2),
        (FaultKind.REFUSED_OUT_OF_RANGE, [{"index": 4, "input_array": "attributes"}]),
        (FaultKind.REFUSED_NO_MESSAGE, [{"index": 1, "input_array": "attributes"}]),
    ],
)
def test_a_refused_object_is_not_written(
    sandbox: Sandbox, post: Post, kind: FaultKind, errors: list[dict[str, Any]]
) -> None:
    document = meet(sandbox, post, Fault(kind=kind, victim=4)).json()
    if kind is FaultKind.REFUSED_BARE:
        assert all(isinstance(one, str) for one in document["errors"])
    else:
        assert [{k: v for k, v in one.items() if k != "type"} for one in document["errors"]] == (
            errors
        )
    assert ("message" in document) == (kind is not FaultKind.REFUSED_NO_MESSAGE)
    assert document["attributes_processed"] == 2
    assert [sandbox.profile(user) for user in "123"] == [{"tier": "gold"}, {}, {"tier": "gold"}]


def test_a_400_that_names_one_object_writes_none(sandbox: Sandbox, post: Post) -> None:
    answer = meet(sandbox, post, Fault(kind=FaultKind.REFUSED_ALL, victim=4))
    assert answer.status_code == 400
    assert [one["index"] for one in answer.json()["errors"]] == [1]
    assert sandbox.counts()["objects_applied"] == 0


def test_one_seed_gives_the_same_responses(post: Post) -> None:
    mix = {FaultKind.THROTTLED: 0.3, FaultKind.UNAVAILABLE: 0.3}

    def answers() -> list[int]:
        with Sandbox(users=["1"], fault_plan=FaultPlan(seed=3, mix=mix)) as sandbox:
            body = objects("1", tier="gold")
            return [post(sandbox, TRACK, body).status_code for _ in range(30)]

    first = answers()
    assert set(first) == {201, 429, 503}
    assert first == answers()


def test_a_user_in_two_requests_at_once_is_recorded(sandbox: Sandbox, post: Post) -> None:
    sandbox.script([Fault(kind=FaultKind.SLOW, seconds=2)])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, sandbox, TRACK, objects("1", "2", tier="gold"))
        while not sandbox.requests:
            assert not first.done()
        assert post(sandbox, TRACK, objects("2", "3", tier="gold")).status_code == 201
        assert first.result().status_code == 201
    assert sandbox.overlaps == [Overlap("2", 1, 2)]
    assert post(sandbox, TRACK, objects("1", "2", "3", tier="gold")).status_code == 201
    assert len(sandbox.overlaps) == 1


def test_latency_does_not_keep_a_sandbox_from_stopping() -> None:
    sandbox = Sandbox(users=["1"], latency=600).start()
    key = {"Authorization": f"Bearer {sandbox.api_key}"}

    def send() -> None:
        with pytest.raises(requests.ConnectionError):
            requests.post(
                sandbox.endpoint + TRACK,
                json=objects("1", tier="gold"),
                headers=key,
                timeout=60,
            )

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(send)
        while not sandbox.requests:
            assert not waiting.done()
        sandbox.stop()
        waiting.result()
    assert sandbox.profile("1") == {"tier": "gold"}
    assert json.dumps(sandbox.counts())
