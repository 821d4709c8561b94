"""The key comes back in no text, whatever form it takes; nor do the values that Braze quotes."""

from __future__ import annotations

import base64
import json
import pickle
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.braze.redaction import (
    REDACTED,
    Redactor,
    Secret,
    read_api_key,
    safe_text,
)
from braze_pipeline.errors import InvalidCredentials

KEY = 'pl4nted-"k/y"+with=odd%signs-0123456789'
redact = Redactor(Secret(KEY))


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        KEY.upper(),
        KEY.lower(),
        quote(KEY, safe=""),
        quote(KEY),
        json.dumps(KEY),
        json.dumps(json.dumps(KEY)),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("="),
        repr(KEY.encode()),
        KEY[:20] + "…",
        KEY[:10] + "****",
        "****" + KEY[-10:],
    ],
)
def test_no_form_of_the_key_stays_in_a_text(form: str) -> None:
    clean = redact(f"Invalid API key: {form} (of 2)")
    assert clean.startswith("Invalid API key: ")
    assert REDACTED in clean
    for start in range(len(form) - 8):
        assert form[start : start + 8] not in clean.replace(REDACTED, "")


@pytest.mark.parametrize("before", ["Bearer ", "key:", "x"])
def test_the_key_inside_a_longer_base64_text_is_taken_out(before: str) -> None:
    clean = redact(base64.b64encode(f"{before}{KEY} and more".encode()).decode())
    form = base64.b64encode(f"{before}{KEY} and more".encode()).decode()
    kept = clean.split(REDACTED)
    assert len(kept) == 2
    assert len(kept[0]) <= len(before) * 4 // 3 + 2
    assert len(form) - sum(map(len, kept)) >= len(KEY)


@given(
    key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
)
def test_any_key_in_any_text_is_taken_out(key: str, before: str, after: str) -> None:
    assert key not in Redactor(Secret(key))(before + key + after)


def test_other_text_is_left_as_it_is() -> None:
    text = "'email_subscribe' must be 'subscribed' (object 12)"
    assert redact(text) == text


def test_a_short_key_is_taken_out_too() -> None:
    assert "k3y" not in Redactor(Secret("k3y"))("Invalid API key: k3y")


def test_a_secret_shows_in_no_repr_and_in_no_traceback() -> None:
    secret = Secret(KEY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", repr([secret]), repr(redact)]
    try:
        raise ValueError(secret)
    except ValueError:
        shown.append(traceback.format_exc())
    assert all(KEY not in text for text in shown)
    assert not hasattr(secret, "__dict__")


def test_a_secret_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret(KEY))


# -- values in Braze's sentences ---------------------------------------------------------------


@pytest.mark.parametrize(
    "sentence",
    [
        "'ada@example.com' is not a valid email",
        "ada@example.com is not a valid email",
        'value "Ada Lovelace" is too long',
        "phone +44 7700 900123 is not valid",
        '{"email": "ada@example.com", "first_name": "Ada Lovelace"}',
        "external_id 'Ada Lovelace' is blacklisted",
        "“Ada Lovelace” is refused",
        "«Ada Lovelace» is refused",
        "value: `Ada Lovelace`",
    ],
)
def test_values_in_a_sentence_are_masked(sentence: str) -> None:
    clean = safe_text(sentence, redact)
    for value in ("ada@example", "Lovelace", "7700", "900123"):
        assert value not in clean


def test_names_of_fields_and_states_stay_because_they_tell_what_is_wrong() -> None:
    sentence = "'email_subscribe' must be 'subscribed', 'unsubscribed', or 'opted_in'"
    assert safe_text(sentence, redact) == sentence
    only_one = "You must specify only one of 'external_id', 'user_alias' or 'braze_id'"
    assert safe_text(only_one, redact) == only_one


def test_values_that_were_sent_do_not_come_back_even_where_nothing_marks_them() -> None:
    sentence = "Ada Lovelace is not a name, nor is Lovelace, of M"
    clean = safe_text(sentence, redact, values=["Ada Lovelace", "Lovelace", "M", ""])
    assert clean == "… is not a name, nor is …, of M"


def test_a_sentence_can_be_stored_though_it_has_half_a_character() -> None:
    half = json.loads('"bad \\ud83d, good \\ud83d\\ude00"')
    assert safe_text(half, redact).encode().decode() == "bad ?, good \N{GRINNING FACE}"


def test_an_apostrophe_quotes_nothing() -> None:
    assert safe_text("Braze can't and won't take it", redact) == "Braze can't and won't take it"


def test_a_sentence_loses_the_key_before_anything_else() -> None:
    assert KEY not in safe_text(f"Invalid API key: {KEY}", redact)
    assert KEY[:10] not in safe_text(f"Invalid API key: {KEY}", redact)


def test_a_long_sentence_is_cut_and_white_space_is_one_space() -> None:
    clean = safe_text("far\n  too  long " * 100, redact)
    assert len(clean) <= 300
    assert "\n" not in clean
    assert "  " not in clean


# -- reading it from the environment -----------------------------------------------------------


def test_the_key_is_read_from_the_variable_that_is_named() -> None:
    assert read_api_key({"OTHER_KEY": KEY}, "OTHER_KEY").reveal() == KEY


@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_missing_key_is_told_with_the_name_of_the_variable(value: str | None) -> None:
    environ = {} if value is None else {"BRAZE_API_KEY": value}
    with pytest.raises(InvalidCredentials, match="BRAZE_API_KEY"):
        read_api_key(environ, "BRAZE_API_KEY")


@pytest.mark.parametrize("value", ["two words", "line\nend", "nön-ascii", "tab\there"])
def test_what_cannot_be_a_key_is_told_without_showing_it(value: str) -> None:
    with pytest.raises(InvalidCredentials) as caught:
        read_api_key({"BRAZE_API_KEY": value}, "BRAZE_API_KEY")
    assert value not in str(caught.value)
