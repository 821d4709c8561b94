"""Comparing our custom attributes with those that Braze has."""

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


def one(type_: ValueType, *there: dict[str, Any], block: bool = True) -> AttributeFinding | None:
    found = compare([attribute("Tier", type_)], there, block=block)
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
def test_an_attribute_of_the_same_type_gives_no_finding(ours: ValueType, theirs: str) -> None:
    assert one(ours, listed("Tier", theirs)) is None


def test_a_name_that_braze_does_not_have_is_new_and_is_sent() -> None:
    found = one(ValueType.STRING, listed("Other", "String"))
    assert found is not None
    assert (found.state, found.blocked) == (AttributeState.NEW, False)


@pytest.mark.parametrize("there", ["tier", "TIER", "Tier ", "T-ier"])
def test_an_attribute_that_braze_spells_differently_is_blocked(there: str) -> None:
    found = one(ValueType.STRING, listed(there, "String"))
    assert found is not None
    assert (found.state, found.blocked) == (AttributeState.OTHER_CASE, True)
    assert there in found.text
    assert "Braze's spelling in `as`" in found.text


def test_an_attribute_that_differs_in_a_symbol_is_another_one() -> None:
    found = one(ValueType.STRING, listed("Tier €", "String"), listed("Tier %", "String"))
    assert found is not None
    assert found.state is AttributeState.NEW


def test_our_spelling_counts_when_braze_has_both() -> None:
    assert one(ValueType.STRING, listed("tier", "Number"), listed("Tier", "String")) is None


def test_another_type_and_the_blocklist_are_different_states() -> None:
    assert state(ValueType.STRING, listed("Tier", "Number")) is AttributeState.OTHER_TYPE
    assert state(ValueType.INTEGER, listed("Tier", "Time")) is AttributeState.OTHER_TYPE
    blocked = listed("Tier", "String", status="Blocklisted")
    assert state(ValueType.STRING, blocked) is AttributeState.BLOCKLISTED


@pytest.mark.parametrize(
    "there", [listed("Tier", "Number"), listed("Tier", "String", status="Blocklisted")]
)
def test_what_braze_dropped_is_sent_again_by_what_the_finding_says(there: dict[str, Any]) -> None:
    found = one(ValueType.STRING, there)
    assert found is not None
    assert (
        "If values were sent before, run `braze-pipeline ledger reset --attribute NAME`"
        in found.text
    )


def test_an_unknown_type_name_is_reported_but_not_blocked() -> None:
    for said in (None, "", "Hologram"):
        found = one(ValueType.STRING, listed("Tier", said))
        assert found is not None
        assert (found.state, found.blocked) == (AttributeState.UNCLEAR, False)


def test_a_shorter_array_limit_in_braze_is_reported() -> None:
    found = one(ValueType.ARRAY, listed("Tier", "Array", array_length=25))
    assert found is not None
    assert (found.state, found.blocked) == (AttributeState.SHORT_ARRAY, False)
    assert "25" in found.text
    assert one(ValueType.ARRAY, listed("Tier", "Array", array_length=500)) is None


def test_profile_fields_are_not_compared() -> None:
    email = attribute("email", is_field=True)
    assert compare([email], [listed("Email", "Number")], block=True) == ()


def test_a_template_may_report_without_blocking() -> None:
    found = one(ValueType.STRING, listed("Tier", "Number"), block=False)
    assert found is not None
    assert not found.blocked


_ENTRY = st.dictionaries(
    st.sampled_from(["name", "data_type", "status", "array_length", "tag_names"]),
    st.one_of(st.none(), st.text(max_size=8), st.integers(), st.sampled_from(["Tier", "tier"])),
)


@given(st.lists(_ENTRY, max_size=6), st.sampled_from(list(ValueType)))
def test_each_name_gives_at_most_one_finding_whatever_braze_lists(
    there: list[dict[str, Any]], type_: ValueType
) -> None:
    found = compare([attribute("Tier", type_)], there, block=True)
    assert len(found) <= 1
    for finding in found:
        assert finding.blocked == (finding.state in LOST)
        assert "Tier" in finding.text
