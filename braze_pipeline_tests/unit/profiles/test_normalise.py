from __future__ import annotations

import csv
import json
import re
import unicodedata
from datetime import date, timedelta
from pathlib import Path

import phonenumbers
import pycountry
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.profiles.normalise import READERS, contact, places
from braze_pipeline.profiles.reasons import message, reasons
from braze_pipeline.settings import ValueType
from braze_pipeline.wordlists import meanings
from braze_pipeline_tests.profiles_world import World, custom, field_of, template

CORPORA = Path(__file__).parents[2] / "corpora"


def rows(path: str) -> list[dict[str, str]]:
    with (CORPORA / path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_example_numbers_of_every_calling_code_are_read_in_three_spellings(world: World) -> None:
    examples = rows("phone_examples/example_numbers.csv")
    assert len({row["calling_code"] for row in examples}) == 215
    lost = []
    for row in examples:
        e164 = f"+{row['calling_code']}{row['national_number']}"
        number = phonenumbers.parse(e164)
        expected = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        spellings = {
            e164: "",
            f"00{e164[1:]}": "",
            phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL): "",
        }
        if row["region"].isalpha() and len(row["region"]) == 2:
            national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
            spellings[national] = row["region"]
        for text, region in spellings.items():
            outcome = contact.phone(text, region)
            assert (outcome.value is None) != (outcome.problem is None)
            if outcome.value != expected:
                lost.append((text, region, outcome))
    # Numbers shorter than E.164 knows, and plans that share a calling code.
    assert len(lost) <= 0.02 * len(examples) * 4, lost[:20]


def test_the_fast_path_of_phones_accepts_nothing_that_the_reader_would_change() -> None:
    pattern = re.compile(contact.fast_phone())
    fast = 0
    for row in rows("phone_examples/example_numbers.csv"):
        for tail in ("", "0", "99"):
            text = f"+{row['calling_code']}{row['national_number']}{tail}"
            if pattern.fullmatch(text):
                fast += 1
                assert contact.phone(text, "").value == text
    assert fast > 500


@given(st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z"))
def test_any_number_of_the_fast_path_stays_as_it_is(text: str) -> None:
    if re.fullmatch(contact.fast_phone(), text):
        assert contact.phone(text, "").value == text


@given(st.from_regex(rf"\A{contact.FAST_EMAIL}\Z"))
def test_any_address_of_the_fast_path_stays_as_it_is(text: str) -> None:
    if len(text) <= 150 and not re.search(contact.SLOW_EMAIL_ENDS, text):
        assert contact.email(text).value == text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("ANNA@EXAMPLE.COM", "anna@example.com"),
        (" <anna@example.com> ", "anna@example.com"),
        ("mailto:anna@example.com", "anna@example.com"),
        ("anna@exämple.de", "anna@xn--exmple-cua.de"),
        ("änna@example.de", "email_not_ascii"),
        ("anna@localhost", "email_unreadable"),
        ("anna@example", "email_unreadable"),
        ("anna@example.c", "email_unreadable"),
        ("anna@example.co.c", "email_unreadable"),
        ("anna@example.1c", "email_unreadable"),
        ("anna@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444", "anna@xn--e1afmkfd.xn--p1ai"),
        ("anna@@example.com", "email_unreadable"),
        (".anna@example.com", "email_unreadable"),
        ("anna@example.com, ben@example.com", "email_unreadable"),
        ("a" * 65 + "@example.com", "email_unreadable"),
    ],
)
def test_addresses_as_people_write_them(raw: str, expected: str) -> None:
    outcome = contact.email(raw)
    assert (outcome.value or outcome.problem) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("EIRE", "IE"),
        ("RSA", "ZA"),
        ("Korea", "KR"),
        ("Korea, Republic of", "KR"),
        ("Hong Kong", "HK"),
        ("USA", "US"),
        ("U.S.A.", "US"),
        ("the Netherlands", "NL"),
        ("England", "GB"),
        ("U.K.", "GB"),
        ("gb", "GB"),
        ("GBR", "GB"),
        ("826", "GB"),
        ("Deutschland", "DE"),
        ("ALLEMAGNE", "DE"),
        ("Österreich", "AT"),
        ("Osterreich", "AT"),
        ("España", "ES"),
        ("Россия", "RU"),
        ("日本", "JP"),
        ("Côte d’Ivoire", "CI"),
        ("Trinidad & Tobago", "TT"),
        ("Czech Republic", "CZ"),
        ("Türkiye", "TR"),
        ("🇫🇷", "FR"),
        ("Áo", "AT"),
        ("A\u0301o", "AT"),
        ("AO", "AO"),
        ("Nga", "RU"),
        ("NGA", "NG"),
        ("nga", "NG"),
        ("Bỉ", "BE"),
        ("Mỹ", "US"),
        ("Anh", "GB"),
        ("Hàn Quốc", "KR"),
        ("Cote d'Ivoire", "CI"),
        ("Peru", "PE"),
        ("Perú", "PE"),
        ("DÉ", "country_unreadable"),
        ("Cô", "country_unreadable"),
        ("ÜK", "country_unreadable"),
        ("Čan", "country_unreadable"),
        ("Channel Islands", "country_not_one"),
        ("West Indies", "country_not_one"),
        ("European Community", "country_not_one"),
        ("Congo", "country_not_one"),
        ("Kongo", "country_not_one"),
        ("BUR", "country_unreadable"),
        ("Kosovo", "country_not_one"),
        ("Unspecified", "country_unreadable"),
        ("N/A", "country_unreadable"),
        ("Atlantis", "country_unreadable"),
    ],
)
def test_countries_as_tables_spell_them(raw: str, expected: str) -> None:
    outcome = places.country(raw)
    assert (outcome.value or outcome.problem) == expected


def test_our_own_words_overrule_no_code_of_iso_3166() -> None:
    for code in places.country_codes():
        assert places.country(code).value == code
        assert places.country(code.lower()).value == code


@given(
    code=st.sampled_from(
        [getattr(c, part) for c in pycountry.countries for part in ("alpha_2", "alpha_3")]
    ),
    at=st.integers(0, 2),
    accent=st.sampled_from("\u0300\u0301\u0302\u0303\u0308\u030c\u0323\u0309\u0327"),
)
def test_a_code_with_an_accent_is_not_a_code(code: str, at: int, accent: str) -> None:
    text = code[: at + 1] + accent + code[at + 1 :]
    names = {"Áo": "AT", "Bỉ": "BE", "Mỹ": "US", "Çad": "TD", "Čad": "TD", "Çin": "CN"}
    known = {unicodedata.normalize("NFC", name.upper()): value for name, value in names.items()}
    assert places.country(text).value == known.get(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize("name", ["countries", "languages", "genders", "zones", "months"])
def test_a_word_list_means_codes_that_exist_and_no_word_has_two_meanings(name: str) -> None:
    file = Path(places.__file__).with_name(f"{name}.txt")
    allowed = {
        "countries": {*places.country_codes(), "-"},
        "languages": places.language_codes(),
        "zones": places.zone_names(),
        "genders": {*"MFONP", "-"},
        "months": [str(n) for n in range(1, 13)],
    }[name]
    assert set(meanings(file).values()) <= set(allowed)
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    words = [word.strip() for line in lines if line for word in line.partition(":")[2].split(",")]
    assert len(words) == len(meanings(file)), [word for word in words if words.count(word) > 1]


def test_every_country_is_known_by_its_own_name_in_many_languages() -> None:
    import gettext

    unread = []
    for locale in ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "ja", "zh_CN", "ar", "el"):
        for country in pycountry.countries:
            name = getattr(country, "common_name", country.name)
            if locale != "en":
                name = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, [locale]).gettext(
                    name
                )
            if places.country(name).value != country.alpha_2:
                unread.append((locale, name, places.country(name)))
    # Congo and Saint Martin name two places each.
    assert len(unread) <= 0.02 * 13 * 249, unread


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("EN-gb", "en"),
        ("en_US.UTF-8", "en"),
        ("English", "en"),
        ("Deutsch", "de"),
        ("français", "fr"),
        ("日本語", "ja"),
        ("deu", "de"),
        ("ger", "de"),
        ("zh-Hant-TW", "zh"),
        ("sr_Latn", "sr"),
        ("es-419", "es"),
        ("ca-valencia", "ca"),
        ("NA", "language_unreadable"),
        ("no_value", "language_unreadable"),
        ("is-null", "language_unreadable"),
        ("iw", "he"),
        ("in", "id"),
        ("Él", "language_unreadable"),
        ("Klingon", "language_unreadable"),
        ("xx", "language_unreadable"),
    ],
)
def test_languages_as_tables_spell_them(raw: str, expected: str) -> None:
    outcome = places.language(raw)
    assert (outcome.value or outcome.problem) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("europe/london", "Europe/London"),
        ("America/New York", "America/New_York"),
        ("Eastern Time (US & Canada)", "America/New_York"),
        ("UTC", "UTC"),
        ("+01:00", "time_zone_unreadable"),
        ("Mars/Olympus", "time_zone_unreadable"),
    ],
)
def test_time_zones_as_tables_spell_them(raw: str, expected: str) -> None:
    outcome = places.time_zone(raw)
    assert (outcome.value or outcome.problem) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Female", "F"),
        ("männlich", "M"),
        ("mujer", "F"),
        ("女性", "F"),
        ("D", "O"),
        ("Prefer not to say", "P"),
        ("unknown", "gender_not_stated"),
        ("1", "gender_unreadable"),
    ],
)
def test_genders_in_words(raw: str, expected: str) -> None:
    outcome = READERS["gender"].read(raw, "")
    assert (outcome.value or outcome.problem) == expected


@pytest.mark.parametrize(
    ("raw", "order", "expected"),
    [
        ("3/4/1990", "dmy", "1990-04-03"),
        ("3/4/1990", "mdy", "1990-03-04"),
        ("3/4/1990", "reject", "date_ambiguous"),
        ("4/4/1990", "reject", "1990-04-04"),
        ("13/4/1990", "mdy", "1990-04-13"),
        ("3.4.1990", "mdy", "1990-04-03"),
        ("1990/4/3", "reject", "1990-04-03"),
        ("19900403", "reject", "1990-04-03"),
        ("1990-04-03T00:00:00Z", "reject", "1990-04-03"),
        ("3 April 1990", "reject", "1990-04-03"),
        ("April 3rd, 1990", "reject", "1990-04-03"),
        ("3. März 1990", "reject", "1990-03-03"),
        ("3-Apr-1990", "reject", "1990-04-03"),
        ("3/4/90", "dmy", "date_two_digit_year"),
        ("3-Apr-90", "dmy", "date_two_digit_year"),
        ("30/02/1990", "dmy", "date_impossible"),
        ("0000-00-00", "dmy", "date_impossible"),
        ("1990", "dmy", "date_unreadable"),
        ("32874", "dmy", "date_unreadable"),
    ],
)
def test_dates_as_people_write_them(raw: str, order: str, expected: str) -> None:
    outcome = READERS["date"].read(raw, order)
    assert (outcome.value or outcome.problem) == expected


@given(st.dates(min_value=date(1000, 1, 1), max_value=date(3000, 12, 31)))
def test_every_day_is_read_in_every_unambiguous_format(day: date) -> None:
    forms = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d %B %Y", "%b %d, %Y")
    for form in forms:
        assert READERS["date"].read(day.strftime(form), "reject").value == day.isoformat()
    assert READERS["date"].read(day.strftime("%d/%m/%Y"), "dmy").value == day.isoformat()
    assert READERS["date"].read(day.strftime("%m/%d/%Y"), "mdy").value == day.isoformat()


PARAMS = {
    "phone": ("", "GB", "US", "AR"),
    "date": ("dmy", "mdy", "reject"),
    "time": ("Europe/London|dmy", "UTC|reject"),
    "array": ("list", "set"),
    "object": ("UTC",),
    "objects": ("UTC",),
    "field": ("current_location", "facebook", "twitter", "push_tokens"),
}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_no_reader_crashes_and_each_gives_a_value_or_a_known_problem(raw: str) -> None:
    check_readers(raw)


def test_no_reader_crashes_on_naughty_strings() -> None:
    for raw in json.loads((CORPORA / "blns" / "blns.json").read_text(encoding="utf-8")):
        check_readers(raw)


def check_readers(raw: str) -> None:
    for kind in READERS.values():
        for params in PARAMS.get(kind.name, ("",)):
            value, problem = kind.read(raw, params)
            assert (value is None) != (problem is None)
            assert problem is None or message(problem) != problem
            if value is not None and kind.name != "time":
                assert kind.read(value, params).value == value


def test_names_in_many_scripts_are_sent_as_they_are_written(world: World) -> None:
    names = [row["name"] for row in rows("popular_names/sample.csv")]
    t = template(field_of("first_name"), custom("Name", ValueType.STRING))
    world.con.execute("CREATE TABLE names AS SELECT * FROM (SELECT unnest(?) AS name)", [names])
    world.give(
        t,
        "SELECT 'c' || row_number() OVER () AS customer_id, name AS first_name, name AS Name "
        "FROM names",
    )
    world.build(t)
    assert world.rejections() == []
    left = [row["first_name"] for row in world.profiles(t).values()]
    assert sorted(left) == sorted(" ".join(name.split()) for name in names)
    assert sorted(row["Name"] for row in world.profiles(t).values()) == sorted(names)


def test_a_placeholder_is_never_a_name_and_people_called_null_are(world: World) -> None:
    t = template(field_of("first_name"), custom("Name", ValueType.STRING))
    people = ["Null", "Nan", "Nane", "Jean-Luc", "D'Arcy", "O", "\u5f20", "NULLA"]
    placeholders = [
        "NULL",
        "null",
        "\\N",
        "N/A",
        "n/a",
        "#N/A",
        "nan",
        "None",
        "-",
        " -- ",
        "?",
        "\u2013",
    ]
    world.con.execute("CREATE TABLE names AS SELECT unnest(?) AS name", [people + placeholders])
    world.give(t, "SELECT name AS customer_id, name AS first_name, name AS Name FROM names")
    world.build(t)
    expected = [(one, "first_name", "text_placeholder") for one in sorted(placeholders)]
    assert world.rejections() == expected
    sent = {row["first_name"] for row in world.profiles(t).values()}
    assert sent == {*people, None}


def test_every_reason_has_its_words() -> None:
    for code in reasons():
        assert message(code) != code


def test_days_of_birth_are_plausible_for_the_as_of_date(world: World) -> None:
    t = template(field_of("dob"))
    days = [date(1900, 1, 1), date(1900, 1, 2), date(2011, 11, 1), date(2011, 11, 1) + timedelta(1)]
    values = ", ".join(f"('c{n}', DATE '{day}')" for n, day in enumerate(days))
    world.give(t, f"FROM (VALUES {values}) AS v(customer_id, dob)")
    world.build(t)
    assert world.reasons("dob") == {"c0": "dob_implausible", "c3": "dob_implausible"}
