"""What each response of Braze means: one test for each known behaviour."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.braze.answers import (
    ResponseAction,
    ResponseOutcome,
    classify,
    remaining_requests,
    seconds_until_reset,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"


def answer(
    status: int, body: object, *, objects: int = 5, headers: dict[str, str] | None = None
) -> ResponseOutcome:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return classify(status, lower, raw, objects=objects, now=NOW)


def success(objects: int = 5, **more: Any) -> dict[str, Any]:
    return {"message": "success", "attributes_processed": objects, **more}


def refusal(index: Any, text: str = "bad value", **more: Any) -> dict[str, Any]:
    return {"index": index, "input_array": "attributes", "type": text, **more}


# -- successes --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202])
def test_every_success_status_accepts_all_objects(status: int) -> None:
    outcome = answer(status, success())
    assert outcome.action is ResponseAction.DONE
    assert outcome.refused == {}


def test_queued_is_a_success() -> None:
    assert answer(202, {"message": "queued"}).action is ResponseAction.DONE


def test_the_case_of_success_does_not_matter() -> None:
    assert answer(201, success() | {"message": "Success"}).action is ResponseAction.DONE


def test_an_empty_list_of_errors_refuses_nobody() -> None:
    nothing: list[Any] = [[], None, {}, ""]
    for empty in nothing:
        outcome = answer(201, success(errors=empty))
        assert outcome == ResponseOutcome(ResponseAction.DONE)


def test_objects_named_under_a_success_are_refused_and_the_others_accepted() -> None:
    body = {
        "attributes_processed": 2,
        "errors": [refusal(1, "not a state"), refusal(3, "not a state"), refusal(4, "one id only")],
        "message": "success",
    }
    outcome = answer(201, body)
    assert outcome.action is ResponseAction.DONE
    assert outcome.refused == {1: "not a state", 3: "not a state", 4: "one id only"}


def test_an_error_without_its_array_is_about_the_attributes() -> None:
    body = success(4, errors=[{"index": 2, "type": "bad"}])
    assert answer(201, body).refused == {2: "bad"}


def test_an_index_written_as_a_string_still_names_its_object() -> None:
    body = success(4, errors=[refusal("2")])
    assert answer(201, body).refused == {2: "bad value"}


def test_an_index_that_is_named_twice_is_refused_once() -> None:
    body = success(4, errors=[refusal(2, "first"), refusal(2, "second")])
    outcome = answer(201, body)
    assert outcome.action is ResponseAction.DONE
    assert outcome.refused == {2: "first"}


def test_an_error_that_says_its_text_elsewhere_is_still_read() -> None:
    for name in ("message", "error"):
        body = success(4, errors=[{"index": 0, name: "bad"}])
        assert answer(201, body).refused == {0: "bad"}


def test_a_missing_message_is_no_failure_when_the_count_accounts_for_all() -> None:
    assert answer(201, {"attributes_processed": 5}).action is ResponseAction.DONE


# -- successes that do not account for every object -------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        "a bare string",
        {"type": "no index", "input_array": "attributes"},
        refusal(5),
        refusal(-1),
        refusal(True),
        refusal(None),
        refusal("first"),
        refusal(1.5),
        refusal(0, input_array="events"),
        {"EMAIL_BAD_FORMAT": "code as key"},
        7,
        None,
        ["nested"],
    ],
)
def test_an_error_that_names_no_object_makes_the_request_be_split(error: object) -> None:
    outcome = answer(201, success(4, errors=[error]))
    assert outcome.action is ResponseAction.SPLIT
    assert outcome.text


def test_an_error_that_names_no_object_is_a_warning_where_braze_counts_all_of_them() -> None:
    warned = answer(201, success(5, errors=["a minor warning"]))
    assert (warned.action, warned.refused) == (ResponseAction.DONE, {})
    both = answer(201, success(4, errors=[refusal(2), "a minor warning"]))
    assert (both.action, both.refused) == (ResponseAction.DONE, {2: "bad value"})


def test_errors_that_are_no_list_make_the_request_be_split() -> None:
    assert answer(201, success(4, errors="something is wrong")).action is ResponseAction.SPLIT


def test_a_fatal_message_under_201_accepts_nobody() -> None:
    outcome = answer(201, {"message": "fatal error message", "errors": ["minor error message"]})
    assert outcome.action is ResponseAction.SPLIT
    assert outcome.text


def test_a_fatal_message_under_201_is_told_apart_from_a_bare_refusal() -> None:
    assert answer(201, {"message": "fatal error message"}).cause == "fatal message"
    assert answer(201, success(4, errors=["bare"])).cause == "untied error"


@pytest.mark.parametrize("processed", [0, 4, 6])
def test_a_count_that_does_not_add_up_makes_the_request_be_split(processed: int) -> None:
    assert answer(201, success(processed)).action is ResponseAction.SPLIT


def test_a_count_that_does_not_add_up_with_the_refused_makes_the_request_be_split() -> None:
    assert answer(201, success(5, errors=[refusal(1)])).action is ResponseAction.SPLIT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        HTML,
        b'{"message":"succ',
        b"[]",
        b'"success"',
        b"null",
        b"{}",
        b'{"errors":[]}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"message":null,"attributes_processed":null}',
        b'{"message":5,"attributes_processed":true}',
    ],
)
def test_a_success_that_says_nothing_readable_accepts_nobody(body: bytes) -> None:
    outcome = answer(201, body)
    assert outcome.action is ResponseAction.RETRY
    assert outcome.cause == "unreadable answer"


# -- 400 and 413 ------------------------------------------------------------------------------


def test_a_400_that_names_objects_refuses_these_and_sends_the_others_again() -> None:
    body = {"message": "Valid data must be provided", "errors": [refusal(0), refusal(3)]}
    outcome = answer(400, body)
    assert outcome.action is ResponseAction.RESEND
    assert sorted(outcome.refused) == [0, 3]


def test_a_400_that_names_all_objects_is_the_end_of_them() -> None:
    text = "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields."
    body = {"message": text, "errors": [refusal(index) for index in range(5)]}
    outcome = answer(400, body)
    assert outcome.action is ResponseAction.DONE
    assert sorted(outcome.refused) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Error while parsing request body. Please check your syntax."},
        {"message": "Max Input Length Exceeded"},
        {"message": "Valid data must be provided", "errors": ["no index"]},
        {"message": "Valid data must be provided", "errors": [refusal(0), refusal(9)]},
        HTML,
        b"",
        b"[]",
    ],
)
def test_a_400_that_ties_to_no_object_makes_the_request_be_split(body: object) -> None:
    assert answer(400, body).action is ResponseAction.SPLIT


def test_a_parse_error_is_told_by_its_own_field() -> None:
    assert answer(400, {"error": "Error while parsing"}).text == "Error while parsing"


@pytest.mark.parametrize("body", [{"message": "too large"}, HTML, b""])
def test_a_413_makes_the_request_be_split(body: object) -> None:
    assert answer(413, body).action is ResponseAction.SPLIT


# -- what ends the run ------------------------------------------------------------------------


def test_a_401_is_about_the_key() -> None:
    outcome = answer(401, {"message": "Invalid API key: abc"})
    assert outcome.action is ResponseAction.UNAUTHORIZED
    assert outcome.text == "Invalid API key: abc"


def test_a_403_is_about_permission() -> None:
    assert answer(403, {"message": "Access Denied"}).action is ResponseAction.FORBIDDEN


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [HTML, b"", b"[]", {"status": "blocked"}])
def test_a_401_or_403_without_a_message_is_a_proxys_and_not_about_the_key(
    status: int, body: object
) -> None:
    outcome = answer(status, body)
    assert (outcome.action, outcome.cause) == (ResponseAction.NOT_BRAZE, str(status))


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, HTML), (400, b""), (400, {"status": "bad"}), (200, {"message": "Welcome"})],
)
def test_what_is_not_brazes_refuses_nobody(status: int, body: object) -> None:
    assert answer(status, body).action is ResponseAction.SPLIT  # it may be about the size
    outcome = answer(status, body, objects=1)
    assert (outcome.action, outcome.cause) == (ResponseAction.NOT_BRAZE, str(status))


def test_what_is_brazes_still_refuses_a_single_object() -> None:
    for status, body in ((400, {"message": "Bad"}), (400, {"error": "Bad"}), (413, HTML)):
        assert answer(status, body, objects=1).action is ResponseAction.SPLIT
    fatal = {"message": "fatal error message", "errors": ["minor error message"]}
    assert answer(201, fatal, objects=1).action is ResponseAction.SPLIT


@pytest.mark.parametrize("status", [301, 302, 307, 404, 405, 410, 415, 418, 204])
def test_what_braze_never_answers_to_this_path_is_another_server(status: int) -> None:
    assert answer(status, HTML).action is ResponseAction.NOT_BRAZE


# -- what passes ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520, 529])
def test_failures_of_the_server_are_tried_again(status: int) -> None:
    outcome = answer(status, HTML)
    assert outcome.action is ResponseAction.RETRY
    assert outcome.cause == str(status)
    assert outcome.wait is None


def test_a_failing_server_may_name_a_wait() -> None:
    assert answer(503, b"", headers={"Retry-After": "7"}).wait == 7.0


def test_the_reset_of_the_hourly_limit_does_not_delay_a_retry() -> None:
    assert answer(503, b"", headers={"X-RateLimit-Reset": "3000"}).wait is None


# -- 429 --------------------------------------------------------------------------------------


def waits(**headers: str) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    outcome = answer(429, {"message": "over"}, headers=named)
    assert outcome.action is ResponseAction.THROTTLED
    return outcome.wait


def test_a_429_waits_as_long_as_brazes_own_header_says() -> None:
    assert waits(X_Ratelimit_Retry_After="12") == 12.0


def test_a_429_waits_as_long_as_the_standard_header_says() -> None:
    assert waits(Retry_After="9") == 9.0


def test_brazes_own_header_comes_before_the_standard_one() -> None:
    assert waits(Retry_After="9", X_Ratelimit_Retry_After="3") == 3.0


def test_a_429_may_name_a_date() -> None:
    moment = format_datetime(NOW + timedelta(seconds=40), usegmt=True)
    assert waits(Retry_After=moment) == 40.0


def test_a_date_in_the_past_means_no_wait() -> None:
    moment = format_datetime(NOW - timedelta(seconds=40), usegmt=True)
    assert waits(Retry_After=moment) == 0.0


def test_a_429_without_retry_after_waits_until_the_reset() -> None:
    assert waits(X_RateLimit_Reset="20") == 20.0
    assert waits(X_RateLimit_Reset=str(int(NOW.timestamp()) + 30)) == 30.0


def test_a_429_with_empty_or_odd_headers_names_no_wait() -> None:
    assert waits() is None
    assert waits(X_Ratelimit_Retry_After="", Retry_After="", X_RateLimit_Reset="") is None
    assert waits(X_Ratelimit_Retry_After="soon", Retry_After="-5", X_RateLimit_Reset="nan") is None


def test_an_empty_header_does_not_hide_the_next_one() -> None:
    assert waits(X_Ratelimit_Retry_After="", Retry_After="4") == 4.0


# -- the limit's headers ----------------------------------------------------------------------


def test_the_reset_is_read_as_a_moment_or_as_seconds() -> None:
    assert seconds_until_reset({"x-ratelimit-reset": "90"}, now=NOW) == 90.0
    epoch = str(int(NOW.timestamp()) + 90)
    assert seconds_until_reset({"x-ratelimit-reset": epoch}, now=NOW) == 90.0
    assert seconds_until_reset({"x-ratelimit-reset": "1000000000"}, now=NOW) == 0.0
    assert seconds_until_reset({"x-ratelimit-reset": ""}, now=NOW) is None
    assert seconds_until_reset({}, now=NOW) is None


def test_the_remaining_requests_are_read() -> None:
    assert remaining_requests({"x-ratelimit-remaining": "0"}) == 0
    assert remaining_requests({"x-ratelimit-remaining": " 12 "}) == 12
    assert remaining_requests({"x-ratelimit-remaining": ""}) is None
    assert remaining_requests({}) is None


# -- whatever comes ---------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["index", "input_array", "type", "message", "error", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(
    status=st.sampled_from([200, 201, 202, 400]),
    message=JSON | st.just("success"),
    processed=JSON | st.integers(3, 5),
    errors=JSON | st.lists(st.builds(refusal, JSON)),
)
def test_an_object_is_accepted_only_if_the_response_accounts_for_it(
    status: int, message: object, processed: object, errors: object
) -> None:
    body = {"message": message, "attributes_processed": processed, "errors": errors}
    outcome = answer(status, body)
    assert all(0 <= index < 5 for index in outcome.refused)
    if outcome.action is not ResponseAction.DONE:
        return
    accepted = 5 - len(outcome.refused)
    if status == 400:
        assert accepted == 0
    listed = errors if isinstance(errors, list) else [errors] if errors else []
    if type(processed) is int and processed + len(outcome.refused) == 5:
        return
    # Every error names an object that is refused: none was passed over.
    assert all(isinstance(error, dict) for error in listed)
    named = {int(error["index"]) for error in listed if isinstance(error, dict)}
    assert named == set(outcome.refused)


@given(status=st.integers(100, 599), body=st.binary(max_size=60))
def test_any_response_can_be_classified(status: int, body: bytes) -> None:
    assert isinstance(answer(status, body), ResponseOutcome)
