"""What a custom attribute stores, as Braze's docs describe it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.ledger.layout import kind
from braze_pipeline.sandbox.coercion import DROPPED, CustomAttribute, DataType, detect
from braze_pipeline.settings import Json, ValueType


def coerced(kind: DataType, value: Json) -> object:
    return CustomAttribute("a", kind).coerce(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, DataType.BOOLEAN),
        (3, DataType.NUMBER),
        (3.5, DataType.NUMBER),
        ("gold", DataType.STRING),
        ("", DataType.STRING),
        ("2011-11-01", DataType.TIME),
        (["a"], DataType.ARRAY),
        ([], DataType.ARRAY),
        ({"city": "Rome"}, DataType.OBJECT),
        ([{"city": "Rome"}], DataType.ARRAY_OF_OBJECTS),
    ],
)
def test_the_first_value_sets_the_type(value: Json, kind: DataType) -> None:
    assert detect(value) is kind


@pytest.mark.parametrize(
    "text",
    [
        "2011-11-01",
        "2011-11-01T10:20:30Z",
        "2011-11-01T10:20:30+01:00",
        "2011-11-01T10:20:30:123Z",
        "2011-11-01T10:20:30.123456Z",
        "2011-11-01T10:20:30",
        "2011-11-01 10:20:30",
        "11/30/2011",
        "Tue 11 01 10:20:30.UTC 2011",
    ],
)
def test_every_documented_format_is_a_time(text: str) -> None:
    assert detect(text) is DataType.TIME


@pytest.mark.parametrize(
    "text", ["2011-13-01", "30/11/2011", "3001-01-01", "2011-11-1", "tomorrow"]
)
def test_anything_else_is_a_string(text: str) -> None:
    assert detect(text) is DataType.STRING


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        (DataType.STRING, 5, "5"),
        (DataType.STRING, 5.5, "5.5"),
        (DataType.STRING, True, DROPPED),
        (DataType.STRING, "x" * 255, "x" * 255),
        (DataType.STRING, "x" * 256, DROPPED),
        (DataType.NUMBER, "5", 5),
        (DataType.NUMBER, "5.5", 5.5),
        (DataType.NUMBER, "five", DROPPED),
        (DataType.NUMBER, "inf", DROPPED),
        (DataType.NUMBER, True, DROPPED),
        (DataType.NUMBER, "", DROPPED),
        (DataType.BOOLEAN, "T", True),
        (DataType.BOOLEAN, 1, True),
        (DataType.BOOLEAN, "FALSE", False),
        (DataType.BOOLEAN, "yes", DROPPED),
        (DataType.TIME, "tomorrow", DROPPED),
        (DataType.TIME, "2011-11-01", "2011-11-01"),
        (DataType.ARRAY, "a", DROPPED),
        (DataType.ARRAY, ["a", None], DROPPED),
        (DataType.OBJECT, ["a"], DROPPED),
        (DataType.ARRAY_OF_OBJECTS, {"a": 1}, DROPPED),
    ],
)
def test_a_value_is_coerced_to_the_type_or_silently_dropped(
    kind: DataType, value: Json, stored: object
) -> None:
    assert coerced(kind, value) == stored


def test_the_type_does_not_drift_after_the_first_value() -> None:
    attribute = CustomAttribute("tier")
    assert attribute.coerce(1) == 1
    assert attribute.coerce("gold") is DROPPED
    assert attribute.type is DataType.NUMBER


@given(st.lists(st.sampled_from("abcdef") | st.integers(0, 3), max_size=30))
def test_an_array_keeps_each_value_once_at_its_last_position(items: list[Json]) -> None:
    stored = coerced(DataType.ARRAY, list(items))
    expected: list[Json] = []
    for item in items:
        if item in expected:
            expected.remove(item)
        expected.append(item)
    assert stored == expected


def test_an_array_beyond_its_length_loses_the_oldest() -> None:
    stored = coerced(DataType.ARRAY, [str(number) for number in range(502)])
    assert isinstance(stored, list)
    assert (len(stored), stored[0], stored[-1]) == (500, "2", "501")


@pytest.mark.parametrize(
    "value",
    [
        {"a": None},
        {"a": {"b": [{"c": None}]}},
        {"a": {"$time": "tomorrow"}},
        {"a": {"$time": "3001-01-01"}},
        {"a.b": 1},
        {"$a": 1},
        {"a b": 1},
        {"a": "x" * 256},
        {"a": ["x" * 250] * 500},
    ],
)
def test_one_bad_part_drops_a_nested_value_as_a_whole(value: Json) -> None:
    assert coerced(DataType.OBJECT, value) is DROPPED
    assert coerced(DataType.ARRAY_OF_OBJECTS, [value]) is DROPPED


@pytest.mark.parametrize("ours", ValueType)
def test_each_of_our_types_has_its_counterpart_by_name(ours: ValueType) -> None:
    """A sandbox that is started again creates the ledger's attributes by these names."""
    assert DataType[kind(ours).upper()]
