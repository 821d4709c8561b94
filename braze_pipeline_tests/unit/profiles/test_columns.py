"""Columns of every DuckDB type, into every type of Braze."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.profiles.numbers import floating
from braze_pipeline.settings import ValueType
from braze_pipeline_tests.checker import complaints
from braze_pipeline_tests.profiles_world import World, custom, field_of, template
from braze_pipeline_tests.unit.profiles.test_contract_property import as_sent

SOURCES = (
    "true",
    "(-7)::TINYINT",
    "200::UTINYINT",
    "9223372036854775807::BIGINT",
    "18446744073709551615::UBIGINT",
    "170141183460469231731687303715884105727::HUGEINT",
    "(-170141183460469231731687303715884105728)::HUGEINT",
    "12.50::DECIMAL(9, 2)",
    "9007199254740993::DECIMAL(38, 0)",
    "7::DECIMAL(38, 10)",
    "1.5::FLOAT",
    "'inf'::DOUBLE",
    "1e300::DOUBLE",
    "-0.0::DOUBLE",
    "DATE '2011-07-01'",
    "'infinity'::DATE",
    "'-infinity'::TIMESTAMP",
    "DATE '0044-03-15 (BC)'",
    "DATE '4000-01-01'",
    "TIMESTAMP_S '2011-07-01 10:00:00'",
    "TIMESTAMP_NS '2011-07-01 10:00:00.123456789'",
    "TIMESTAMPTZ '2011-07-01 10:00:00+02'",
    "TIME '10:00:00'",
    "INTERVAL 3 DAY",
    "'gold'::ENUM ('gold', 'silver')",
    "uuid()",
    "'ab'::BLOB",
    "'{\"a\": 1}'::JSON",
    '\'["a", "b"]\'::JSON',
    "'\"text\"'::JSON",
    "'17'::JSON",
    "'null'::JSON",
    "[1, 2, 2]",
    "[1.5, NULL]",
    "['a', 'b']::VARCHAR[2]",
    "[[1], [2]]",
    "[{'a': 1}, {'a': 2}]",
    "[]::VARCHAR[]",
    "{'a': 1, 'b': {'c': TIMESTAMP '2011-07-01 10:00:00'}}",
    "{'a': NULL}",
    "{'a': 'nan'::DOUBLE}",
    "{'a': ['ab'::BLOB]}",
    "['101'::BIT]",
    "[{'until': DATE 'infinity'}]",
    "MAP {'k': 'v'}",
    "MAP {'a.b': 1}",
    "NULL",
)


@pytest.mark.parametrize("source", SOURCES)
def test_a_column_of_any_type_is_sent_in_a_valid_form_or_rejected(
    world: World, source: str
) -> None:
    attributes = tuple(
        custom(type_.name, type_, column="given", precision=2) for type_ in ValueType
    )
    t = template(*attributes, time_zone="Europe/London")
    world.give(t, f"SELECT 'a' AS customer_id, {source} AS given")
    world.build(t)
    row = world.profiles(t)["a"]
    rejected = {name for _, name, _ in world.rejections()}
    sent = {a.name: as_sent(a, row[a.name]) for a in attributes if row[a.name] is not None}
    kinds = {a.name: a.type.value for a in attributes}
    assert complaints({"external_id": "a", **sent}, kinds=kinds) == []
    assert set(row["__held"]) == rejected
    if source == "NULL":
        assert not sent
        assert not rejected
    elif source != "'null'::JSON":
        assert set(sent) | rejected == set(kinds)
        assert not set(sent) & rejected


@pytest.mark.parametrize(
    ("source", "type_", "expected"),
    [
        ("7::DECIMAL(38, 10)", ValueType.INTEGER, 7),
        ("7.5::DECIMAL(9, 2)", ValueType.INTEGER, None),
        ("' +7.0 '", ValueType.INTEGER, 7),
        ("'1,234'", ValueType.INTEGER, None),
        ("'1_000'", ValueType.FLOAT, None),
        ("'1e2'", ValueType.FLOAT, 100.0),
        ("2.675::DECIMAL(9, 3)", ValueType.FLOAT, 2.68),
        ("2.675::DOUBLE", ValueType.FLOAT, 2.68),
        ("629.925::DOUBLE", ValueType.FLOAT, 629.93),
        ("-629.925::DOUBLE", ValueType.FLOAT, -629.93),
        ("1.005::FLOAT", ValueType.FLOAT, 1.01),
        ("'1.005'", ValueType.FLOAT, 1.01),
        ("0.995::DOUBLE", ValueType.FLOAT, 1.0),
        ("'YES'", ValueType.BOOLEAN, True),
        ("0", ValueType.BOOLEAN, False),
        ("2", ValueType.BOOLEAN, None),
        ("17", ValueType.STRING, "17"),
        ("''", ValueType.STRING, ""),
        ("' kept '", ValueType.STRING, " kept "),
        ("'\"text\"'::JSON", ValueType.STRING, "text"),
        ("17.0::DOUBLE", ValueType.STRING, "17"),
        ("17.5::FLOAT", ValueType.STRING, "17.5"),
        ("17.00::DECIMAL(9, 2)", ValueType.STRING, "17.00"),
        ("DATE '2011-07-01'", ValueType.STRING, None),
        ("['b', 'a', 'b']", ValueType.ARRAY, ["a", "b"]),
        ("[3, 1, 3]", ValueType.ARRAY, ["1", "3"]),
        ("[3.0::DOUBLE, 1.5, 3]", ValueType.ARRAY, ["1.5", "3"]),
        ('\'["b", "a", "b"]\'', ValueType.ARRAY, ["a", "b"]),
        ("['x', NULL]", ValueType.ARRAY, None),
        ("range(501)", ValueType.ARRAY, None),
        ("list_concat(range(500), range(500))", ValueType.ARRAY, [str(n) for n in range(500)]),
        ("MAP {'k': 'v'}", ValueType.OBJECT, '{"k":"v"}'),
        ("[{'b': 1, 'a': 2}]", ValueType.OBJECTS, '[{"a":2,"b":1}]'),
        ("{'a': NULL}", ValueType.OBJECT, None),
        (
            "{'FLOAT': 2.7::FLOAT, 'f': [0.1::FLOAT], 'e': 'FLOAT'::ENUM ('FLOAT')}",
            ValueType.OBJECT,
            '{"FLOAT":2.7,"e":"FLOAT","f":[0.1]}',
        ),
        ("MAP {'k': 2.7::FLOAT}", ValueType.OBJECT, '{"k":2.7}'),
        ("'ab'::BLOB", ValueType.STRING, None),
        ("'101'::BIT", ValueType.STRING, None),
    ],
)
def test_what_a_source_value_becomes(
    world: World, source: str, type_: ValueType, expected: Any
) -> None:
    t = template(custom("A", type_, precision=2))
    world.give(t, f"SELECT 'a' AS customer_id, {source} AS A")
    world.build(t)
    assert world.profiles(t)["a"]["A"] == expected


@given(
    places=st.integers(0, 12),
    digits=st.lists(st.integers(-(10**13), 10**13), min_size=1, max_size=20),
    last=st.sampled_from([5, 0, 4, 6, 49, 51]),
)
def test_a_number_is_rounded_half_up_on_the_digits_it_is_written_with(
    places: int, digits: list[int], last: int
) -> None:
    # Around the middle of two, with as many digits as a double holds.
    shift = places + len(str(last))
    written = [Decimal(f"{one}{last}").scaleb(-shift) for one in digits]
    wanted = [float(one.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)) for one in written]
    for type_, family in (("DOUBLE", "double"), ("DECIMAL(38, 14)", "decimal"), ("VARCHAR", "")):
        value, _ = floating("x", "x", family, places)
        query = f"SELECT {value} FROM (SELECT unnest(?::VARCHAR[])::{type_} AS x)"
        found = duckdb.execute(query, [[format(one, "f") for one in written]]).fetchall()
        assert [one for (one,) in found] == wanted


def test_minus_zero_is_sent_as_zero(world: World) -> None:
    t = template(
        custom("A", ValueType.FLOAT, precision=2), custom("B", ValueType.FLOAT, column="A")
    )
    world.give(t, "SELECT 'a' AS customer_id, (-0.001)::DOUBLE AS A")
    world.build(t)
    row = world.profiles(t)["a"]
    assert math.copysign(1, row["A"]) == 1
    assert row["B"] == -0.001


def test_the_order_of_a_set_does_not_count_and_that_of_a_list_does(world: World) -> None:
    t = template(
        custom("Set", ValueType.ARRAY, column="given", array_as="set"),
        custom("List", ValueType.ARRAY, column="given"),
    )
    world.give(t, "SELECT 'a' AS customer_id, ['c', 'a', 'b'] AS given")
    world.build(t)
    row = world.profiles(t)["a"]
    assert row["Set"] == ["a", "b", "c"]
    assert row["List"] == ["c", "a", "b"]


@pytest.mark.parametrize("type_", ["DOUBLE", "DECIMAL(18, 2)", "BIGINT", "VARCHAR"])
def test_a_phone_number_gets_no_digits_from_the_type_of_its_column(
    world: World, type_: str
) -> None:
    t = template(field_of("phone", region_column="country"))
    world.give(t, f"SELECT 'a' AS customer_id, 3471234567::{type_} AS phone, 'IT' AS country")
    world.build(t)
    assert world.profiles(t)["a"]["phone"] == "+393471234567"


@pytest.mark.parametrize("name", ["encode('Jürgen')", "{'a': 'Anna'}", "['Anna']", "'[1]'::JSON"])
def test_a_name_that_is_no_text_is_rejected(world: World, name: str) -> None:
    t = template(field_of("first_name"))
    world.give(t, f"SELECT 'a' AS customer_id, {name} AS first_name")
    world.build(t)
    assert world.profiles(t)["a"]["first_name"] is None
    assert world.reasons("first_name") == {"a": "not_text"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("'nan'::DOUBLE", "number_not_finite"),
        ("-('nan'::DOUBLE)", "number_not_finite"),
        ("'inf'::FLOAT", "number_not_finite"),
        ("'infinity'::DATE", "date_out_of_range"),
        ("'-infinity'::TIMESTAMP", "time_out_of_range"),
        ("'infinity'::TIMESTAMPTZ", "time_out_of_range"),
    ],
)
def test_infinity_and_nan_are_rejected_and_never_sent_as_words(
    world: World, value: str, reason: str
) -> None:
    t = template(
        custom("Text", ValueType.STRING, column="one"),
        custom("Array", ValueType.ARRAY, column="many"),
        custom("Set", ValueType.ARRAY, column="many", array_as="set"),
        field_of("home_city", column="one"),
    )
    world.give(t, f"SELECT 'a' AS customer_id, {value} AS one, [NULL, {value}] AS many")
    world.build(t)
    for name in ("Text", "Array", "Set", "home_city"):
        assert world.profiles(t)["a"][name] is None
        assert world.reasons(name) == {"a": reason}


@pytest.mark.parametrize(
    ("value", "type_", "reason"),
    [
        ("{'a': 'ab'::BLOB}", ValueType.OBJECT, "nested_binary"),
        ("[{'a': ['101'::BIT]}]", ValueType.OBJECTS, "nested_binary"),
        ("['ab'::BLOB]", ValueType.ARRAY, "nested_binary"),
        ("{'until': DATE 'infinity'}", ValueType.OBJECT, "time_out_of_range"),
        ("{'a': [TIMESTAMP '-infinity', NULL]}", ValueType.OBJECT, "time_out_of_range"),
        ("[{'a': 1, 'b': TIMESTAMPTZ 'infinity'}]", ValueType.OBJECTS, "time_out_of_range"),
    ],
)
def test_bytes_and_infinite_times_inside_a_value_are_rejected(
    world: World, value: str, type_: ValueType, reason: str
) -> None:
    t = template(custom("A", type_))
    world.give(t, f"FROM (VALUES ('a', {value}), ('b', NULL)) AS v(customer_id, A)")
    world.build(t)
    assert world.profiles(t)["a"]["A"] is None
    assert world.reasons("A") == {"a": reason}


@pytest.mark.parametrize("number", ["12345678901234567.89", "-9007199254740993.5"])
def test_a_decimal_beyond_2_to_the_53_is_rejected_and_never_rounded(
    world: World, number: str
) -> None:
    t = template(
        custom("Decimal", ValueType.FLOAT),
        custom("Rounded", ValueType.FLOAT, column="decimal", precision=1),
        custom("Text", ValueType.FLOAT),
        custom("Nested", ValueType.OBJECT),
        custom("Json", ValueType.OBJECT),
    )
    decimal = f"{number}::DECIMAL(38, 2)"
    world.give(
        t,
        f"SELECT 'a' AS customer_id, {decimal} AS decimal, '{number}' AS Text, "
        f"{{'a': {decimal}}} AS Nested, '{{\"a\": {number}}}' AS Json",
    )
    world.build(t)
    for name in ("Decimal", "Rounded", "Text", "Nested", "Json"):
        assert world.profiles(t)["a"][name] is None
        assert world.reasons(name) == {"a": "number_inexact"}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("19.99::DECIMAL(38, 2)", 19.99),
        ("4503599627370495.25::DECIMAL(38, 2)", 4503599627370495.0),
        ("9007199254740992.00::DECIMAL(38, 2)", 9007199254740992.0),
        ("123456789012345680::DOUBLE", 123456789012345680.0),
        ("1e300::DOUBLE", 1e300),
    ],
)
def test_numbers_that_lose_no_whole_digit_are_sent(
    world: World, number: str, expected: float
) -> None:
    t = template(custom("A", ValueType.FLOAT), custom("Nested", ValueType.OBJECT))
    world.give(t, f"SELECT 'a' AS customer_id, {number} AS A, {{'a': {number}}} AS Nested")
    world.build(t)
    assert world.profiles(t)["a"]["A"] == expected
    assert json.loads(world.profiles(t)["a"]["Nested"]) == {"a": expected}


def test_names_and_words_inside_a_value_may_be_those_of_types_and_of_infinity(world: World) -> None:
    t = template(custom("A", ValueType.OBJECT))
    names = "'BLOB': 'infinity', 'DATE': '-infinity', 'infinity': 'say \"infinity\"'"
    value = f"{{{names}, 'x': 'DATE'::ENUM ('DATE')}}"
    world.give(t, f"SELECT 'a' AS customer_id, {value} AS A")
    world.build(t)
    sent = json.loads(world.profiles(t)["a"]["A"])
    assert sent == {
        "BLOB": "infinity",
        "DATE": "-infinity",
        "infinity": 'say "infinity"',
        "x": "DATE",
    }


@pytest.mark.parametrize(
    "local", ["2011-10-30 00:59", "2011-10-30 01:30", "2011-10-30 02:00", "2011-03-27 01:30"]
)
def test_a_local_time_is_the_same_instant_as_a_timestamp_and_as_text(
    world: World, local: str
) -> None:
    t = template(
        custom("Timestamp", ValueType.TIME),
        custom("Text", ValueType.TIME),
        time_zone="Europe/London",
    )
    world.give(t, f"SELECT 'a' AS customer_id, TIMESTAMP '{local}' AS Timestamp, '{local}' AS Text")
    world.build(t)
    row = world.profiles(t)["a"]
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/London"))
    assert row["Timestamp"] == row["Text"] == moment.astimezone(UTC).replace(tzinfo=None)
