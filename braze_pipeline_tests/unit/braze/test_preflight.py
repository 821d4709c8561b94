"""What is said of a name, given what Braze has."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.braze.existing_attributes import LOST, AttributeFinding, AttributeState, compare
from braze_pipeline.settings import ValueType
from braze_pipeline_tests.ledger_world import attribute


def listed(name: str, data_type: str | None, **more: Any) -> dict[str, Any]:
    return {"name": name, "data_type": data_type, "status": "Active", "array_length": None, **more}


def one(type_: ValueType, *there: dict[str, Any], stop: bool = True) -> AttributeFinding | None:
    found = compare([attribute("Tier", type_)], there, stop=stop)
    return found[0] if found else None


def state(type_: ValueType, *there: dict[str, Any]) -> AttributeState | None:
    found = one(type_, *there)
    return found.state if found else None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ValueType.STRING, "String"),
        (ValueType.STRING, "String (Automatically Detected)"),
        (ValueType.INTEGER, "Number"),
        (ValueType.FLOAT, "Number"),
        (ValueType.BOOLEAN, "Boolean"),
        (ValueType.DATE, "Time"),
        (ValueType.TIME, "Date"),
        (ValueType.ARRAY, "Array"),
        (ValueType.OBJECT, "Object"),
        (ValueType.OBJECTS, "Object Array"),
        (ValueType.OBJECTS, "Array of Objects"),
    ],
)
def test_nothing_is_said_of_an_attribute_of_the_same_type(ours: ValueType, theirs: str) -> None:
    assert one(ours, listed("Tier", theirs)) is None


def test_a_name_that_braze_does_not_have_is_new_and_may_go() -> None:
    found = one(ValueType.STRING, listed("Other", "String"))
    assert found is not None
    assert (found.state, found.stops) == (AttributeState.NEW, False)


@pytest.mark.parametrize("there", ["tier", "TIER", "Tier ", "T-ier"])
def test_another_spelling_in_braze_is_named_and_held_back(there: str) -> None:
    found = one(ValueType.STRING, listed(there, "String"))
    assert found is not None
    assert (found.state, found.stops) == (AttributeState.OTHER_CASE, True)
    assert there in found.text


def test_where_both_spellings_are_in_braze_ours_is_meant() -> None:
    assert one(ValueType.STRING, listed("tier", "Number"), listed("Tier", "String")) is None


def test_another_type_and_the_blocklist_are_told_apart() -> None:
    assert state(ValueType.STRING, listed("Tier", "Number")) is AttributeState.OTHER_TYPE
    assert state(ValueType.INTEGER, listed("Tier", "Time")) is AttributeState.OTHER_TYPE
    blocked = listed("Tier", "String", status="Blocklisted")
    assert state(ValueType.STRING, blocked) is AttributeState.BLOCKLISTED


def test_a_type_in_unknown_words_is_told_but_stops_nothing() -> None:
    for said in (None, "", "Hologram"):
        found = one(ValueType.STRING, listed("Tier", said))
        assert found is not None
        assert (found.state, found.stops) == (AttributeState.UNCLEAR, False)


def test_an_array_that_braze_cuts_short_is_told() -> None:
    found = one(ValueType.ARRAY, listed("Tier", "Array", array_length=25))
    assert found is not None
    assert (found.state, found.stops) == (AttributeState.SHORT_ARRAY, False)
    assert "25" in found.text
    assert one(ValueType.ARRAY, listed("Tier", "Array", array_length=500)) is None


def test_profile_fields_are_no_custom_attributes() -> None:
    email = attribute("email", is_field=True)
    assert compare([email], [listed("Email", "Number")], stop=True) == ()


def test_a_brand_may_choose_to_be_told_only() -> None:
    found = one(ValueType.STRING, listed("Tier", "Number"), stop=False)
    assert found is not None
    assert not found.stops


_ENTRY = st.dictionaries(
    st.sampled_from(["name", "data_type", "status", "array_length", "tag_names"]),
    st.one_of(st.none(), st.text(max_size=8), st.integers(), st.sampled_from(["Tier", "tier"])),
)


@given(st.lists(_ENTRY, max_size=6), st.sampled_from(list(ValueType)))
def test_whatever_braze_lists_each_name_is_judged_at_most_once(
    there: list[dict[str, Any]], type_: ValueType
) -> None:
    found = compare([attribute("Tier", type_)], there, stop=True)
    assert len(found) <= 1
    for finding in found:
        assert finding.stops == (finding.state in LOST)
        assert "Tier" in finding.text
