"""Raw values are read once, by what they depend on; rows are validated page by page."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from braze_pipeline.profiles import cache, contract, software
from braze_pipeline.profiles.normalise import READERS
from braze_pipeline.settings import ValueType
from braze_pipeline_tests.profiles_world import World, custom, field_of, template


def test_a_national_number_belongs_to_the_customers_country_else_to_the_default(
    world: World,
) -> None:
    t = template(
        field_of("phone", region_column="country"), field_of("country"), default_region="GB"
    )
    rows = (
        "('a', '06 12 34 56 78', 'France'), ('b', '07911 123456', 'Unspecified'), "
        "('c', '07911 123456', NULL), ('d', '07911 123456', 'FR'), ('e', '+447911123456', 'FR')"
    )
    world.give(t, f"FROM (VALUES {rows}) AS v(customer_id, phone, country)")
    world.build(t)
    assert {user: row["phone"] for user, row in world.profiles(t).items()} == {
        "a": "+33612345678",
        "b": "+447911123456",
        "c": "+447911123456",
        "d": None,
        "e": "+447911123456",
    }
    assert world.reasons("phone") == {"d": "phone_wrong_length"}


def test_the_region_column_may_be_one_that_is_never_sent(world: World) -> None:
    t = template(field_of("phone", region_column="home"))
    world.give(t, "SELECT 'a' AS customer_id, '06 12 34 56 78' AS phone, 'Frankreich' AS home")
    world.build(t)
    assert world.profiles(t)["a"]["phone"] == "+33612345678"


def test_a_national_number_without_a_country_is_rejected(world: World) -> None:
    t = template(field_of("phone"))
    world.give(t, "SELECT 'a' AS customer_id, '07911 123456' AS phone")
    world.build(t)
    assert world.reasons("phone") == {"a": "phone_without_country"}


def test_text_that_is_too_long_is_rejected_and_not_cached(world: World) -> None:
    t = template(field_of("email"))
    world.give(t, "SELECT 'a' AS customer_id, repeat('x', 400) || '@example.com' AS email")
    world.build(t)
    assert world.reasons("email") == {"a": "email_unreadable"}
    assert world.con.execute(f"SELECT count(*) FROM {cache.TABLE}").fetchone() == (0,)


def test_a_new_version_of_a_reader_reads_all_values_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = template(field_of("gender"))
    world.give(t, "SELECT 'a' AS customer_id, 'female' AS gender")
    assert world.build(t).new_raw_values == 1
    newer = replace(READERS["gender"], version=READERS["gender"].version + 1)
    monkeypatch.setattr(cache, "READERS", {**READERS, "gender": newer})
    assert world.build(t).new_raw_values == 1
    assert world.build(t).new_raw_values == 0


def test_a_new_version_of_a_library_reads_all_values_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = template(field_of("phone", region_column="country"))
    world.give(t, "SELECT 'a' AS customer_id, '07911 123456' AS phone, 'GB' AS country")
    assert world.build(t).new_raw_values == 2
    monkeypatch.setattr(software, "version", lambda library: f"the next one of {library}")
    assert world.build(t).new_raw_values == 2


def test_old_values_are_dropped_from_the_cache_over_time(world: World) -> None:
    t = template(field_of("email"))
    values = ", ".join(f"('c{n}', 'C{n}@x.org')" for n in range(200))
    world.give(t, f"FROM (VALUES {values}) AS v(customer_id, email)")
    world.build(t)
    left = []
    for days in (89, 135, 181):
        cache.prune(world.con, date(2011, 11, 2) + timedelta(days=days))
        found = world.con.execute(f"SELECT count(*) FROM {cache.TABLE}").fetchone()
        left.append(int(found[0]) if found else -1)
    assert left[0] == 200
    assert 40 < left[1] < 160
    assert left[2] == 0


@pytest.mark.parametrize("page", [1, 7, 20, 1000])
def test_the_size_of_a_page_changes_nothing(
    world: World, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract.find_failures, "__kwdefaults__", {"page": page})
    t = template(custom("A", ValueType.STRING), field_of("dob"))
    world.give(
        t,
        "SELECT 'c' || n AS customer_id, repeat('x', 250 + n::INTEGER % 10) AS A, "
        "DATE '1899-12-25' + n::INTEGER AS dob FROM range(20) AS r(n)",
    )
    summary = world.build(t)
    assert summary.rejected_by_reason == {"text_too_long": 8, "dob_implausible": 8}
    assert set(world.reasons("A")) == {f"c{n}" for n in range(20) if n % 10 > 5}
    assert set(world.reasons("dob")) == {f"c{n}" for n in range(8)}


def test_pages_of_raw_values_are_all_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PAGE", 3)
    t = template(field_of("email"))
    values = ", ".join(f"('c{n}', 'C{n}@x.org')" for n in range(10))
    world.give(t, f"FROM (VALUES {values}) AS v(customer_id, email)")
    assert world.build(t).new_raw_values == 10
    assert {row["email"] for row in world.profiles(t).values()} == {
        f"c{n}@x.org" for n in range(10)
    }


def test_no_value_is_in_the_exception_of_a_broken_mapping(world: World) -> None:
    import pyarrow as pa

    from braze_pipeline.errors import ContractBroken
    from braze_pipeline.profiles import schema

    t = template(custom("A", ValueType.INTEGER))
    frame = schema.frame_of(pa.table({"__user_id": ["planted-1"], "A": ["planted-2"]}))
    with pytest.raises(ContractBroken) as found:
        schema.refusals(schema.build_schema(t), frame, (), first=0)
    assert "planted" not in str(found.value)
    assert found.value.__suppress_context__


def test_the_default_region_is_for_customers_without_a_country(world: World) -> None:
    t = template(field_of("phone", region_column="country"), default_region="US")
    world.give(
        t,
        "SELECT customer_id, '80123 45678' AS phone, country FROM (VALUES ('in', 'IN'), "
        "('none', NULL), ('unknown', 'Unknown'), ('unreadable', 'India (South)')) "
        "AS v(customer_id, country)",
    )
    world.build(t)
    phones = {user: row["phone"] for user, row in world.profiles(t).items()}
    assert phones == {
        "in": "+918012345678",
        "none": "+18012345678",
        "unknown": "+18012345678",
        "unreadable": None,
    }
    assert world.reasons("phone") == {"unreadable": "phone_without_country"}
