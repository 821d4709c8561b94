from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.braze.fields import CONSENT, CONTROL_KEYS, FIELDS, SETTABLE
from braze_pipeline.braze.names import (
    ALIASES,
    check_name,
    collisions,
    comparison_key,
    field_for,
    nearest_field,
)


def codes(name: str) -> set[str]:
    return {problem.code for problem in check_name(name)}


@pytest.mark.parametrize("name", SETTABLE)
def test_a_settable_field_under_its_own_name_has_no_problem(name: str) -> None:
    assert check_name(name) == ()


@pytest.mark.parametrize("name", [n for n, field in FIELDS.items() if not field.settable])
def test_a_field_that_cannot_be_set_says_why(name: str) -> None:
    (problem,) = check_name(name)
    assert problem.code.startswith("field_")
    assert FIELDS[name].rule in problem.message


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Birthdate", "dob"),
        ("birthday", "dob"),
        ("Date of Birth", "dob"),
        ("DATE_OF_BIRTH", "dob"),
        ("E-mail", "email"),
        ("mail", "email"),
        ("Email", "email"),
        ("EMAIL ", "email"),
        ("First Name", "first_name"),
        ("given name", "first_name"),
        ("GivenName", "first_name"),
        ("forename", "first_name"),
        ("surname", "last_name"),
        ("Mobile", "phone"),
        ("sex", "gender"),
        ("town", "home_city"),
        ("City", "home_city"),
        ("nation", "country"),
        ("tz", "time_zone"),
        ("Time Zone", "time_zone"),
        ("DOB", "dob"),
        ("ｅｍａｉｌ", "email"),
    ],
)
def test_a_shadow_of_a_profile_field_is_refused_with_the_field_to_use(
    name: str, field: str
) -> None:
    shadows = [problem for problem in check_name(name) if problem.code == "shadows_field"]
    assert [problem.suggestion for problem in shadows] == [field]


def test_every_alias_means_a_field_that_exists() -> None:
    assert set(ALIASES) <= set(FIELDS)
    for field, aliases in ALIASES.items():
        for alias in aliases:
            assert field_for(alias.title()) == field


@pytest.mark.parametrize(
    "name",
    [
        "L12M Monetary",
        "Loyalty Status",
        "One and Done",
        "RFM Score",
        "Größe",
        "お気に入り",
        "किताब",
    ],
)
def test_names_of_the_brands_own_pass(name: str) -> None:
    assert check_name(name) == ()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "name_empty"),
        ("   ", "name_empty"),
        (" Tier", "name_untrimmed"),
        ("x" * 256, "name_too_long"),
        ("__tier", "name_reserved"),
        ("a.b", "name_sign"),
        ("$tier", "name_sign"),
        ('a"b', "name_sign"),
        ("a'b", "name_sign"),
        ("a\tb", "name_control"),
        ("a\u200bb", "name_control"),
        ("a\u00a0b", "name_control"),
        ("attributed_network", "field_export_only"),
        ("Update Existing Only", "control_key"),
    ],
)
def test_a_name_that_braze_would_change_or_misread_is_refused(name: str, code: str) -> None:
    assert code in codes(name)


@pytest.mark.parametrize("name", CONTROL_KEYS)
def test_control_keys_are_no_attributes(name: str) -> None:
    assert "control_key" in codes(name)


def test_names_that_differ_in_case_or_spacing_only_collide() -> None:
    problems = collisions(["Value Tier", "Score", "value_tier", "VALUE-TIER", "Score"])
    assert [(p.code, p.suggestion) for p in problems] == [
        ("duplicate_name", "Value Tier"),
        ("duplicate_name", "Value Tier"),
        ("duplicate_name", None),
    ]


def test_names_of_scripts_whose_vowels_are_marks_do_not_collide() -> None:
    assert collisions(["कि", "का"]) == ()


def test_a_misspelled_field_is_near_to_the_right_one() -> None:
    assert nearest_field("frist_name") == "first_name"
    assert nearest_field("l12m monetary") is None


def test_consent_fields_are_known_as_such() -> None:
    assert set(CONSENT) == {"email_subscribe", "push_subscribe", "subscription_groups"}


@given(st.text(max_size=300))
def test_any_text_is_judged_without_a_crash(name: str) -> None:
    for problem in check_name(name):
        assert problem.message
        assert problem.suggestion is None or problem.suggestion != name
    assert comparison_key(comparison_key(name)) == comparison_key(name)
