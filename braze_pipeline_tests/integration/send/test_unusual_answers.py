"""Answers that Braze should not give: each user still ends with the outcome that Braze meant."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from braze_pipeline.errors import (
    BrazeUnavailable,
    PipelineError,
    RateLimitExhausted,
    WrongInstance,
)
from braze_pipeline.send import SendResult, send_plan
from braze_pipeline.storage.journal import Journal, refused
from braze_pipeline_tests.fake_http import FakeHttp, Reply, Request, reply, success
from braze_pipeline_tests.integration.send.plans import (
    SECRET,
    destination,
    job,
    outcome,
    users,
    write_snapshot,
)

HALF = "bad \\ud83d"
"""JSON's escape of the first half of an emoji, as a truncated text may end."""


def send(
    folder: Path,
    answer: Callable[[Request], Reply],
    ids: list[str],
    *,
    journal: type[Journal] = Journal,
    size: int = 75,
    **changes: object,
) -> SendResult:
    snapshot = write_snapshot(folder / "plan.parquet", ids, size=size)
    with FakeHttp(answer=answer) as server:
        return send_plan(
            job(snapshot, destination(server.endpoint, **changes)),
            secret=SECRET,
            journal=journal(folder / "journal.sqlite"),
        )


def refusing(user: str, text: bytes) -> Callable[[Request], Reply]:
    """Braze refuses one user; ``text`` is the sentence as it stands in the JSON."""

    def answer(request: Request) -> Reply:
        if user not in request.users:
            return success(request)
        index = request.users.index(user)
        body = {
            "message": "success",
            "attributes_processed": len(request.users) - 1,
            "errors": [{"index": index, "input_array": "attributes", "type": "TEXT"}],
        }
        return reply(201, json.dumps(body).encode().replace(b"TEXT", text))

    return answer


def test_half_a_character_in_a_sentence_of_brazes_loses_no_answer(tmp_path: Path) -> None:
    ids = users(20)
    result = send(tmp_path, refusing(ids[8], HALF.encode()), ids, size=1, max_in_flight=4)
    assert outcome(result) == (19, 1, 0)
    assert dict(result.refused) == {"bad ?": 1}


def test_a_wrong_byte_in_a_sentence_of_brazes_does_not_make_the_answer_unreadable(
    tmp_path: Path,
) -> None:
    ids = users(150)
    result = send(tmp_path, refusing(ids[80], b"bad \xc3"), ids)
    assert outcome(result) == (149, 1, 0)
    assert result.requests == 2


def test_values_of_the_user_are_not_stored_where_braze_repeats_them_without_quotes(
    tmp_path: Path,
) -> None:
    ids = ["Johann Sebastian", "Anna Magdalena"]
    result = send(tmp_path, refusing(ids[1], b"user Anna Magdalena is not allowed"), ids)
    assert dict(result.refused) == {"user \N{HORIZONTAL ELLIPSIS} is not allowed": 1}
    fatal = reply(400, {"message": "Johann Sebastian is not allowed"})
    (tmp_path / "journal.sqlite").unlink()
    result = send(tmp_path, lambda _: fatal, ids[:1])
    assert dict(result.refused) == {"\N{HORIZONTAL ELLIPSIS} is not allowed": 1}


@pytest.mark.parametrize(
    "foreign",
    [
        reply(400, b"<html>The plain HTTP request was sent to HTTPS port</html>"),
        reply(403, b"<html>Attention Required!</html>"),
        reply(200, {"message": "Welcome"}),
    ],
)
def test_an_answer_that_is_not_brazes_ends_the_send_and_rejects_nobody(
    tmp_path: Path, foreign: bytes
) -> None:
    result = send(tmp_path, lambda _: foreign, users(80))
    assert outcome(result) == (0, 0, 80)
    assert isinstance(result.stopped_by, WrongInstance)
    assert "proxy or firewall" in result.stopped_by.fix
    assert "Braze says" not in str(result.stopped_by)


@pytest.mark.parametrize("status", [200, 201])
def test_a_page_that_stays_in_place_of_brazes_answer_is_named_when_the_send_gives_up(
    tmp_path: Path, status: int
) -> None:
    page = reply(status, b"<html>please log in</html>")
    result = send(tmp_path, lambda _: page, users(80), retry_budget_seconds=0.5)
    assert outcome(result) == (0, 0, 80)
    assert isinstance(result.stopped_by, BrazeUnavailable)
    assert (
        "keeps failing (unreadable answer). A proxy or firewall may have" in result.stopped_by.what
    )


def in_turn(*answers: Reply) -> Callable[[Request], Reply]:
    """These answers, then successes; for a send with one request in flight."""
    left = list(answers)
    return lambda request: left.pop(0) if left else success(request)


FAILED = reply(503)


def test_the_journal_tells_which_refusals_came_after_an_attempt_without_an_answer(
    tmp_path: Path,
) -> None:
    ids = users(2)
    refuses = refusing(ids[0], b"bad")
    lost: list[str] = []

    def answer(request: Request) -> Reply:
        if lost:
            return refuses(request)
        lost.append(request.line)
        return None

    send(tmp_path, answer, ids, size=1, max_in_flight=1)
    path = tmp_path / "journal.sqlite"
    assert [row[:3] for row in refused(path, "plan")] == [(0, 0, 2)]
    path.unlink()
    send(tmp_path, answer, ids, size=1, max_in_flight=1)
    assert [row[:3] for row in refused(path, "plan")] == [(0, 0, 1)]


def test_the_journal_tells_which_refusals_came_after_a_success_that_named_no_object(
    tmp_path: Path,
) -> None:
    """Braze took one user and rejected the other; sent again alone, it rejected the first too."""
    ids = users(2)
    untied = {"message": "success", "attributes_processed": 1, "errors": ["bad"]}
    fatal = reply(201, {"message": "Fatal: not queued", "errors": ["not queued"]})
    answers = in_turn(reply(201, untied), fatal)
    assert outcome(send(tmp_path, answers, ids, max_in_flight=1)) == (1, 1, 0)
    assert [row[:3] for row in refused(tmp_path / "journal.sqlite", "plan")] == [(0, 0, 3)]


def test_a_user_rejected_alone_by_a_success_may_have_been_taken(tmp_path: Path) -> None:
    answers = in_turn(reply(201, {"message": "success", "errors": ["bad"]}))
    assert outcome(send(tmp_path, answers, users(1))) == (0, 1, 0)
    assert [row[:3] for row in refused(tmp_path / "journal.sqlite", "plan")] == [(0, 0, 2)]


def test_what_braze_asked_to_wait_is_no_time_in_which_it_failed(tmp_path: Path) -> None:
    wait = reply(429, {"message": "over"}, {"X-Ratelimit-Retry-After": "1"})
    answers = in_turn(FAILED, wait, FAILED)
    result = send(tmp_path, answers, users(10), retry_budget_seconds=0.5)
    assert outcome(result) == (10, 0, 0)
    assert dict(result.retries) == {"503": 2, "429": 1}


def test_a_wait_that_is_longer_than_the_run_may_wait_is_not_begun(tmp_path: Path) -> None:
    wait = reply(429, {"message": "over"}, {"X-Ratelimit-Retry-After": "10"})
    result = send(tmp_path, in_turn(wait), users(10), max_throttle_seconds=4)
    assert type(result.stopped_by) is RateLimitExhausted
    assert outcome(result) == (0, 0, 10)


def test_a_failing_server_does_not_make_the_send_wait_for_a_reset(tmp_path: Path) -> None:
    used_up = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3000"}
    result = send(tmp_path, in_turn(reply(503, b"", used_up)), users(10))
    assert outcome(result) == (10, 0, 0)
    assert result.throttled_seconds == 0


class _Broken(Journal):
    """A journal that fails in a way nobody foresaw as soon as answers are to be recorded."""

    def _connect(self) -> sqlite3.Connection:
        if threading.current_thread().name == "journal":
            raise RuntimeError("ada@example.com")
        return super()._connect()


def test_a_journal_that_fails_in_whatever_way_ends_the_send(tmp_path: Path) -> None:
    result = send(tmp_path, success, users(20), journal=_Broken, size=1, max_in_flight=4)
    assert outcome(result) == (0, 0, 20)
    assert type(result.stopped_by) is PipelineError
    assert "RuntimeError" in result.stopped_by.what
    assert "ada" not in str(result.stopped_by)
