from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.braze.nested import (
    NestedProblem,
    canonical_array,
    canonical_object,
    canonical_objects,
    canonical_time,
    read,
    write,
)
from braze_pipeline.braze.shapes import canonical_field
from braze_pipeline.braze.values import (
    CUSTOM_RULES,
    field_rules,
    first_broken_rule,
    identifier_rules,
)
from braze_pipeline.settings import ValueType


@pytest.mark.parametrize(
    ("type_", "value", "code"),
    [
        (ValueType.STRING, "x" * 255, None),
        (ValueType.STRING, "x" * 256, "text_too_long"),
        (ValueType.STRING, "", None),
        (ValueType.STRING, "line\nbreak", None),
        *((ValueType.STRING, f"a{one}b", "text_control") for one in "\x00\x08\x0b\x1f\x7f\x9f"),
        (ValueType.STRING, "2024-01-05", "text_reads_as_time"),
        (ValueType.STRING, "2024-01-05T10:00:00.123Z", "text_reads_as_time"),
        (ValueType.STRING, "2024-01-05T10:00:00:123Z", "text_reads_as_time"),
        (ValueType.STRING, "2024-01-05 10:00:00", "text_reads_as_time"),
        (ValueType.STRING, "01/05/2024", "text_reads_as_time"),
        (ValueType.STRING, "Mon 01 05 10:00:00.UTC 2024", "text_reads_as_time"),
        (ValueType.STRING, "1/5/2024", "text_reads_as_time"),
        (ValueType.STRING, "Mon Jan 05 10:00:00 UTC 2024", "text_reads_as_time"),
        (ValueType.STRING, "2024-01-05T10:00:00+0100", "text_reads_as_time"),
        (ValueType.STRING, "3000-01-05", "text_reads_as_time"),
        (ValueType.STRING, "2024-13-05", None),
        (ValueType.STRING, "3001-01-05", None),
        (ValueType.STRING, "20240105", None),
        (ValueType.INTEGER, 2**53, None),
        (ValueType.INTEGER, -(2**53) - 1, "number_inexact"),
        (ValueType.FLOAT, 1e300, None),
        (ValueType.FLOAT, float("nan"), "number_not_finite"),
        (ValueType.FLOAT, float("-inf"), "number_not_finite"),
        (ValueType.DATE, date(3000, 12, 31), None),
        (ValueType.DATE, date(3001, 1, 1), "date_out_of_range"),
        (ValueType.ARRAY, [str(n) for n in range(500)], None),
        (ValueType.ARRAY, [str(n) for n in range(501)], "array_too_long"),
        (ValueType.ARRAY, ["a", "a"], "array_not_unique"),
        (ValueType.ARRAY, ["a", None], "array_has_null"),
        (ValueType.ARRAY, ["x" * 256], "array_text_too_long"),
        (ValueType.ARRAY, ["a", "a\x00b"], "array_text_control"),
        (ValueType.ARRAY, [f"{n}" + "é" * 250 for n in range(300)], "array_too_large"),
        (ValueType.OBJECT, '{"a":1}', None),
        (ValueType.OBJECT, "[]", "not_an_object"),
        (ValueType.OBJECT, '{"a":"' + "x" * 100_000 + '"}', "object_too_large"),
        (ValueType.OBJECTS, "[]", None),
        (ValueType.OBJECTS, "{}", "not_an_array_of_objects"),
    ],
)
def test_custom_values_at_the_edge_of_each_rule(
    type_: ValueType, value: Any, code: str | None
) -> None:
    assert first_broken_rule(CUSTOM_RULES[type_], value) == code


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("dob", date(1900, 1, 1), "dob_implausible"),
        ("email", "x" * 60 + "@" + "y" * 60 + "." + "z" * 132, None),
        ("email", "x" * 60 + "@" + "y" * 60 + "." + "z" * 133, "text_too_long"),
        ("dob", date(1900, 1, 2), None),
        ("dob", date(2011, 11, 2), "dob_implausible"),
        ("gender", "M", None),
        ("gender", "m", "gender_unknown"),
        ("phone", "+447911123456", None),
        ("phone", "07911123456", "phone_unreadable"),
        ("image_url", "https://example.com/a b.png", "image_url_unreadable"),
        ("image_url", "https://example.com/" + "a" * 1010, "text_too_long"),
        ("email_subscribe", "maybe", "email_subscribe_unknown"),
        ("first_name", "x" * 256, "text_too_long"),
    ],
)
def test_field_values_at_the_edge_of_each_rule(name: str, value: Any, code: str | None) -> None:
    assert first_broken_rule(field_rules(name, today=date(2011, 11, 1)), value) == code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("é" * 493 + "x", None),
        ("é" * 494, "user_id_too_long"),
        (" ", "user_id_empty"),
        ("a\x07", "user_id_control"),
    ],
)
def test_identifiers_are_measured_in_bytes(value: str, code: str | None) -> None:
    assert first_broken_rule(identifier_rules("external_id"), value) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "json_unreadable"),
        ('{"a":1,"a":2}', "nested_duplicate_key"),
        ('{"a":Infinity}', "number_not_finite"),
        ('{"a":1e400}', "number_not_finite"),
        ('{"a":9007199254740993}', "number_inexact"),
        ('{"a":' + "9" * 5000 + "}", "number_inexact"),
        ('{"a":null}', "nested_null"),
        ('{"a":[{"b":null}]}', "nested_null"),
        ('{"a b":1}', "nested_key"),
        ('{"a.b":1}', "nested_key"),
        ('{"a\\u0007b":1}', "nested_key"),
        ('{"$add":1}', "nested_key"),
        ('{"inc":3}', "nested_operator"),
        ('{"add":["a"],"remove":["b"]}', "nested_operator"),
        ('{"":1}', "nested_key"),
        ('{"' + "k" * 256 + '":1}', "nested_key_too_long"),
        ('{"a":"' + "x" * 256 + '"}', "nested_text_too_long"),
        ('{"a":"\\u0007"}', "nested_text_control"),
        ('{"a":"\\ud800"}', "lone_surrogate"),
        ('{"a":{"$time":"tomorrow"}}', "nested_time_unreadable"),
        ('{"a":{"$time":"2024-01-05","b":1}}', "nested_time_unreadable"),
        ('{"a":{"$time":"3001-01-05"}}', "time_out_of_range"),
        ('{"a":' * 51 + "1" + "}" * 51, "nested_too_deep"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested_too_deep"),
        ("[1]", "not_an_object"),
    ],
)
def test_a_nested_value_with_one_bad_part_is_refused_with_its_rule(text: str, code: str) -> None:
    with pytest.raises(NestedProblem) as found:
        canonical_object(read(text))
    assert found.value.code == code


def test_nested_dates_are_marked_as_times() -> None:
    assert canonical_object({"add": 1, "city": "Leeds"}) == {"add": 1, "city": "Leeds"}
    made = canonical_object({"on": "2024-01-05", "at": "2024-01-05T10:00:00+02:00", "no": "2024"})
    assert made == {
        "on": {"$time": "2024-01-05T00:00:00.000Z"},
        "at": {"$time": "2024-01-05T08:00:00.000Z"},
        "no": "2024",
    }
    assert canonical_object({"t": made["at"]})["t"] == made["at"]


def test_an_array_keeps_the_last_of_equal_elements_as_braze_does() -> None:
    assert canonical_array(["a", "b", "a", 1, True]) == ["b", "a", "1", "true"]


@pytest.mark.parametrize("value", [{"a": 1}, [1], ["a"], [None]])
def test_arrays_of_objects_hold_objects_only(value: Any) -> None:
    with pytest.raises(NestedProblem, match="not_an_array_of_objects"):
        canonical_objects(value)


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "2024-02-30", "2024-01-05T25:00"])
def test_times_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(NestedProblem):
        canonical_time(text)


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("current_location", {"longitude": 180, "latitude": -90.0}, True),
        ("current_location", {"longitude": 180.1, "latitude": 0}, False),
        ("current_location", {"longitude": True, "latitude": 0}, False),
        ("current_location", {"longitude": 1.0}, False),
        ("facebook", {"id": "1", "likes": ["x"], "num_friends": 3}, True),
        ("facebook", {"id": 1}, False),
        ("facebook", {}, False),
        ("twitter", {"id": 1, "screen_name": "x", "followers_count": 0}, True),
        ("twitter", {"id": "1"}, False),
        ("twitter", {"followers_count": -1}, False),
        ("push_tokens", [{"app_id": "a", "token": "t" * 300, "device_id": "12345678"}], True),
        ("push_tokens", [{"app_id": "a", "token": "t", "device_id": "1234567"}], False),
        ("push_tokens", {"app_id": "a", "token": "t"}, False),
    ],
)
def test_object_fields_have_their_shape_or_are_refused(
    name: str, value: Any, *, good: bool
) -> None:
    if good:
        assert canonical_field(name, value) == value
    else:
        with pytest.raises(NestedProblem):
            canonical_field(name, value)


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda part: (
        st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=6), part, max_size=4)
    ),
    max_leaves=12,
)


@given(nested)
def test_canonical_objects_are_fixed_points(value: Any) -> None:
    try:
        once = canonical_object(value)
    except NestedProblem:
        return
    assert canonical_object(read(write(once))) == once
    assert write(once) == write(read(write(once)))
