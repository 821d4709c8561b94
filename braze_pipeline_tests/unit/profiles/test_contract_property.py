"""For any input: what is sent passes an independent check, and the rest is rejected once."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import category

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braze_pipeline.settings import AttributeSettings, TemplateSettings, ValueType
from braze_pipeline_tests.checker import complaints
from braze_pipeline_tests.profiles_world import World, custom, field_of, template

CORPORA = Path(__file__).parents[2] / "corpora"
WHITE = " \t\n\r\f\v\u00a0\u3000\ufeff"
# What a person would call blank; Python's own idea of it has four control characters besides.
BLANK = {*WHITE, "\x85", *(c for c in map(chr, range(0x10000)) if category(c).startswith("Z"))}


@cache
def naughty() -> tuple[str, ...]:
    found = json.loads((CORPORA / "blns" / "blns.json").read_text(encoding="utf-8"))
    return tuple(text for text in found if not re.search("[\ud800-\udfff]", text))


HAND_MADE = (
    "2024-01-05",
    "01/05/2024",
    "2024-01-05 10:00:00",
    "2024-01-05T10:00:00Z",
    "3/4/1990",
    "31.12.1999",
    "1900-01-01",
    "9999-12-31",
    "4 July 1976",
    "+447911123456",
    "07911 123456",
    "0044 7911 123456",
    "Anna@Example.COM",
    "o'brien@example.co.uk",
    "x@exämple.de",
    "EIRE",
    "Korea",
    "Channel Islands",
    "english",
    "en_GB",
    "europe/paris",
    "Female",
    "unknown",
    "1e400",
    "9007199254740993",
    "1,234",
    "-0.0",
    "nan",
    "true",
    "null",
    "[]",
    "{}",
    '["a", "a", null]',
    '["b", "a", "b"]',
    '{"a": null}',
    '{"a": {"$time": "2024-01-05"}}',
    '{"a": {"$time": "soon"}}',
    '{"a.b": 1}',
    '{"a": "2024-01-05"}',
    '{"a": 1, "a": 2}',
    '{"a": NaN}',
    '{"a": "\\ud800"}',
    '[{"a": 1}, {"b": [1, 2, {"c": "x"}]}]',
    '{"longitude": 0.1, "latitude": 51.5}',
    '{"longitude": 500, "latitude": 51.5}',
    '{"id": 5, "screen_name": "x"}',
    '{"id": "5", "likes": ["x"]}',
    '[{"subscription_group_id": "x", "subscription_state": "subscribed"}]',
    '[{"app_id": "x", "token": "y"}]',
    "https://example.com/a.png",
    "x" * 255,
    "x" * 256,
    "é" * 255,
    "[" * 200,
    '{"a":' * 60 + "1" + "}" * 60,
    json.dumps({"a": ["x" * 250] * 500}),
    json.dumps([f"{n}" for n in range(501)]),
)

texts = st.one_of(
    st.none(),
    st.sampled_from(HAND_MADE),
    st.sampled_from(naughty()),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300),
    st.from_regex(r"\A[+0]?[0-9 ()-]{4,16}\Z"),
    st.from_regex(r"\A[A-Za-z0-9._+-]{1,12}@[a-z0-9.-]{1,12}\.[a-z]{1,4}\Z"),
    st.from_regex(r"\A[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}\Z"),
    st.datetimes().map(str),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda part: (
            st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=6), part, max_size=4)
        ),
        max_leaves=8,
    ).map(json.dumps),
)
doubles = st.none() | st.floats() | st.integers(-(2**60), 2**60).map(float)
integers = st.none() | st.integers(-(2**63), 2**63 - 1)
days = st.none() | st.dates()
moments = st.none() | st.datetimes()
lists = st.none() | st.lists(
    st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6), max_size=6
)
structs = st.none() | st.fixed_dictionaries(
    {
        "a": st.none() | st.floats(),
        "b": st.none() | st.dates(),
        "c": st.none() | st.text(max_size=3),
    }
)

FIELD_NAMES = (
    "first_name",
    "home_city",
    "email",
    "phone",
    "dob",
    "gender",
    "country",
    "language",
    "time_zone",
    "current_location",
    "image_url",
    "email_open_tracking_disabled",
    "marked_email_as_spam_at",
    "push_tokens",
    "facebook",
    "twitter",
)

TYPED: dict[str, tuple[ValueType, st.SearchStrategy[Any], pa.DataType]] = {
    "double as float": (ValueType.FLOAT, doubles, pa.float64()),
    "double as integer": (ValueType.INTEGER, doubles, pa.float64()),
    "double as text": (ValueType.STRING, doubles, pa.float64()),
    "integer as float": (ValueType.FLOAT, integers, pa.int64()),
    "integer as integer": (ValueType.INTEGER, integers, pa.int64()),
    "integer as boolean": (ValueType.BOOLEAN, integers, pa.int64()),
    "boolean as boolean": (ValueType.BOOLEAN, st.none() | st.booleans(), pa.bool_()),
    "boolean as integer": (ValueType.INTEGER, st.none() | st.booleans(), pa.bool_()),
    "day as date": (ValueType.DATE, days, pa.date32()),
    "day as time": (ValueType.TIME, days, pa.date32()),
    "day as text": (ValueType.STRING, days, pa.date32()),
    "moment as time": (ValueType.TIME, moments, pa.timestamp("us")),
    "moment as date": (ValueType.DATE, moments, pa.timestamp("us")),
    "list as array": (ValueType.ARRAY, lists, pa.list_(pa.string())),
    "list as text": (ValueType.STRING, lists, pa.list_(pa.string())),
    "struct as object": (
        ValueType.OBJECT,
        structs,
        pa.struct([("a", pa.float64()), ("b", pa.date32()), ("c", pa.string())]),
    ),
    **{f"text as {one.value}": (one, texts, pa.string()) for one in ValueType},
}

ATTRIBUTES: tuple[AttributeSettings, ...] = (
    *(field_of(name, region_column="country" if name == "phone" else None) for name in FIELD_NAMES),
    *(custom(name, type_) for name, (type_, _, _) in TYPED.items()),
)
KINDS = {name: type_.value for name, (type_, _, _) in TYPED.items()}

rows = st.fixed_dictionaries(
    dict.fromkeys(FIELD_NAMES, texts) | {name: one[1] for name, one in TYPED.items()}
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    con = duckdb.connect(str(tmp_path_factory.mktemp("contract") / "warehouse.duckdb"))
    yield World(con)
    con.close()


def contract() -> TemplateSettings:
    return template(*ATTRIBUTES, default_region="GB", time_zone="Europe/London")


def table_of(given_rows: list[dict[str, Any]]) -> pa.Table:
    columns = {"customer_id": pa.array([f"c{n}" for n in range(len(given_rows))])}
    for attribute in ATTRIBUTES:
        type_ = TYPED[attribute.name][2] if attribute.name in TYPED else pa.string()
        columns[attribute.name] = pa.array([row[attribute.name] for row in given_rows], type_)
    return pa.table(columns)


def is_no_value(attribute: AttributeSettings, raw: Any) -> bool:
    """Null, blank text where text stands for something else, and JSON's null."""
    if raw is None:
        return True
    if not isinstance(raw, str):
        return False
    if attribute.type is ValueType.STRING and not attribute.is_field:
        return False
    if attribute.name in {"first_name", "home_city"} and set(raw) <= BLANK:
        return True
    nested = attribute.type in {ValueType.ARRAY, ValueType.OBJECT, ValueType.OBJECTS}
    return not raw.strip(WHITE) or (nested and raw.strip(WHITE) == "null")


def as_sent(attribute: AttributeSettings, value: Any) -> Any:
    match attribute.type:
        case ValueType.DATE:
            return value.isoformat()
        case ValueType.TIME:
            return value.isoformat(timespec="milliseconds") + "Z"
        case ValueType.OBJECT | ValueType.OBJECTS:
            return json.loads(value)
        case _:
            return value


@settings(
    max_examples=6,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
@given(given_rows=st.lists(rows, min_size=1, max_size=6))
def test_what_is_sent_passes_an_independent_check_and_the_rest_is_rejected_once(
    shared: World, given_rows: list[dict[str, Any]]
) -> None:
    t = contract()
    shared.con.execute("DROP SCHEMA IF EXISTS loyal CASCADE")
    shared.con.execute("DELETE FROM records.profile_rejections")
    shared.give(t, table_of(given_rows))
    summary = shared.build(t)
    profiles = shared.profiles(t)
    assert summary.profiles == len(given_rows)
    rejections = Counter((customer, name) for customer, name, _ in shared.rejections())
    assert set(rejections.values()) <= {1}
    for number, raw in enumerate(given_rows):
        row = profiles[f"c{number}"]
        assert complaints(sent_object(row), kinds=KINDS) == []
        for attribute in ATTRIBUTES:
            check_fate(
                attribute, raw[attribute.name], row, rejections[f"c{number}", attribute.name]
            )


def sent_object(row: dict[str, Any]) -> dict[str, Any]:
    values = {a.name: as_sent(a, row[a.name]) for a in ATTRIBUTES if row[a.name] is not None}
    # Consent that a template asked for by name.
    return {"external_id": row["__user_id"], **values}


def check_fate(
    attribute: AttributeSettings, raw: Any, row: dict[str, Any], rejections: int
) -> None:
    held = attribute.name in row["__held"]
    assert held == bool(rejections), attribute.name
    if is_no_value(attribute, raw):
        assert row[attribute.name] is None, attribute.name
        assert not rejections, attribute.name
    else:
        assert (row[attribute.name] is not None) == (not rejections), attribute.name


def test_naughty_strings_of_the_world_run_through_every_attribute(shared: World) -> None:
    t = contract()
    shared.con.execute("DROP SCHEMA IF EXISTS loyal CASCADE")
    shared.con.execute("DELETE FROM records.profile_rejections")
    typed = {name: None for name, (_, _, type_) in TYPED.items() if type_ != pa.string()}
    given_rows = [{a.name: text for a in ATTRIBUTES} | typed for text in (*naughty(), *HAND_MADE)]
    shared.give(t, table_of(given_rows))
    shared.build(t)
    profiles = shared.profiles(t)
    rejections = Counter((customer, name) for customer, name, _ in shared.rejections())
    for number, raw in enumerate(given_rows):
        row = profiles[f"c{number}"]
        assert complaints(sent_object(row), kinds=KINDS) == []
        for attribute in ATTRIBUTES:
            check_fate(
                attribute, raw[attribute.name], row, rejections[f"c{number}", attribute.name]
            )


@settings(max_examples=60)
@given(number=st.floats(allow_nan=False, allow_infinity=False), precision=st.integers(0, 6))
def test_rounding_is_stable_and_near(shared: World, number: float, precision: int) -> None:
    from braze_pipeline.profiles.numbers import floating

    value, _ = floating("x", "x::VARCHAR", "double", precision)
    once, twice = shared.con.execute(
        f"WITH a AS (SELECT {value} AS x FROM (SELECT ?::DOUBLE AS x)) SELECT x, {value} FROM a",
        [number],
    ).fetchone() or (None, None)
    assert once == twice
    assert math.isclose(once, number, rel_tol=1e-9, abs_tol=0.5 * 10.0**-precision + 1e-9)
    assert math.copysign(1, once) == 1 or once != 0


def test_the_independent_check_finds_faults() -> None:
    day = date(2024, 1, 5)
    bad: dict[str, Any] = {
        "first_name": "x" * 256,
        "email": "nobody",
        "phone": "07911",
        "dob": (day + timedelta(days=9)).isoformat(),
        "country": "UK",
        "text as string": "2024-01-05",
        "text as array": ["a", "a"],
        "text as object": {"a": None},
        "double as float": math.inf,
        "integer as integer": 2**53 + 1,
        "created_at": datetime(2024, 1, 5).isoformat(),  # noqa: DTZ001
    }
    assert len(complaints({"external_id": "", **bad}, kinds=KINDS)) == len(bad) + 1
