from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.braze.fields import CONTROL_KEYS, FIELDS, SENDABLE
from braze_pipeline.braze.names import FIELD_WORDS, check_name, comparison_key, field_for


def codes(name: str) -> set[str]:
    return {problem.code for problem in check_name(name)}


@pytest.mark.parametrize("name", SENDABLE)
def test_a_field_that_may_leave_has_no_problem_under_its_own_name(name: str) -> None:
    assert check_name(name) == ()


@pytest.mark.parametrize("name", [n for n in FIELDS if n not in SENDABLE])
def test_a_field_that_may_not_leave_says_why_whatever_the_template_says(name: str) -> None:
    (problem,) = check_name(name)
    assert problem.code.startswith("field_")
    assert FIELDS[name].rule in problem.message
    assert check_name(name, custom=True) == (problem,)


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
        ("Customer DOB", "dob"),
        ("Birth", "dob"),
        ("Customer E-mail", "email"),
        ("Customer's E-mail", "email"),
        ("userEmail", "email"),
        ("Customer Sex", "gender"),
        ("emial", "email"),
        ("Frist Name", "first_name"),
        ("Contry", "country"),
        ("genders", "gender"),
        ("External ID", "external_id"),
        ("Location", "current_location"),
        ("locale", "language"),
        ("first", "first_name"),
        ("Avatar", "image_url"),
        ("Phone #", "phone"),
    ],
)
def test_a_near_miss_of_a_profile_field_is_refused_unless_it_is_meant(
    name: str, field: str
) -> None:
    near = [problem for problem in check_name(name) if problem.code == "near_field"]
    assert [problem.suggestion for problem in near] == [field]
    assert "`custom: true`" in near[0].message
    assert {problem.code for problem in check_name(name, custom=True)} <= {"name_untrimmed"}


@pytest.mark.parametrize("name", ["alias", "Purchases", "Email Opt In", "Update Existing Only"])
def test_a_near_miss_of_what_cannot_be_sent_suggests_no_field_and_is_usable_too(name: str) -> None:
    (problem,) = check_name(name)
    assert (problem.code, problem.suggestion) == ("near_field", None)
    assert check_name(name, custom=True) == ()


def test_every_word_for_a_field_means_a_field_that_exists() -> None:
    for word, field in FIELD_WORDS.items():
        assert field_for(word.title()) == field
        assert field_for(f"Customer {word}") == field


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
        "Customer's Tier",
        "Loyalty.Tier",
        'Spend ("net")',
        "$ spent",
        "back\\slash",
        "attributed_network",
        "Phone 2",
        "Last Contact",
        "Billing Country",
        "Mystery Box",
        "Contacts",
        "User",
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
        ("a\tb", "name_control"),
        ("a\ud800", "name_control"),
    ],
)
def test_a_name_that_braze_would_change_or_misread_is_refused(name: str, code: str) -> None:
    assert code in codes(name)
    assert code in {problem.code for problem in check_name(name, custom=True)}


@pytest.mark.parametrize("name", ["a\u200bb", "a\u00a0b", "می\u200cخواهم"])
def test_a_character_that_is_not_seen_is_refused_unless_it_is_meant(name: str) -> None:
    assert codes(name) == {"name_invisible"}
    assert check_name(name, custom=True) == ()


@pytest.mark.parametrize("name", CONTROL_KEYS)
def test_control_keys_are_no_attributes(name: str) -> None:
    assert "control_key" in codes(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Spend €", "Spend ($)"),
        ("Spend €", "Spend"),
        ("Share %", "Share"),
        ("Orders #", "Orders"),
        ("Tier A+", "Tier A"),
        ("Risk <5", "Risk >5"),
        ("R&D", "RD"),
        ("Likes ❤", "Likes ★"),
        ("?!", "..."),
    ],
)
def test_names_that_differ_in_a_symbol_are_two_names(one: str, other: str) -> None:
    assert comparison_key(one) != comparison_key(other)


@pytest.mark.parametrize(
    "name", ["spend_%", "Spend-%", "SPEND ( ％ )", "“Spend” %", "Spend.%", "Spend \N{MINUS SIGN} %"]
)
def test_names_that_differ_in_spelling_only_are_one_name(name: str) -> None:
    assert comparison_key(name) == comparison_key("Spend %")


def test_names_of_scripts_whose_vowels_are_marks_differ() -> None:
    assert comparison_key("कि") != comparison_key("का")


@given(field=st.sampled_from(sorted(FIELDS)), data=st.data())
def test_a_field_in_any_other_spelling_is_a_near_miss_with_a_way_out(
    field: str, data: st.DataObject
) -> None:
    words = [data.draw(st.sampled_from([w, w.upper(), w.title()])) for w in field.split("_")]
    name = data.draw(st.sampled_from(["_", " ", "-", ""])).join(words)
    if name not in FIELDS:
        assert [p.code for p in check_name(name)] == ["near_field"]
        assert check_name(name, custom=True) == ()


@given(st.text(max_size=300))
def test_any_text_is_judged_without_a_crash(name: str) -> None:
    for problem in check_name(name):
        assert problem.message
        assert problem.suggestion is None or problem.suggestion != name
    assert comparison_key(comparison_key(name)) == comparison_key(name)
