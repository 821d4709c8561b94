"""Only rows that changed are read; the outcome is the one that reading every row would have."""

from __future__ import annotations

from datetime import date

import pytest

from braze_pipeline.profiles import software, unchanged
from braze_pipeline.profiles.rules import codes_by_day, rules_of
from braze_pipeline.settings import ValueType, replace
from braze_pipeline_tests.profiles_world import DAY, World, custom, field_of, template
from braze_pipeline_tests.unit.profiles.days_of_people import (
    ANNA,
    BEN,
    CAT,
    LAST,
    NEXT,
    PEOPLE,
    days,
    people,
)


def test_only_rows_that_changed_or_are_new_are_read(world: World) -> None:
    t = template(field_of("email"), custom("Tier", ValueType.STRING))
    bea = BEN.replace("'gold'", "'silver'")
    assert days(world, t, [ANNA, BEN], [ANNA, bea, CAT], [CAT, ANNA]) == [0, 1, 2]
    assert {user: row["Tier"] for user, row in world.profiles(t, NEXT).items()} == {
        "a": "gold",
        "b": "silver",
        "c": "silver",
    }
    assert set(world.profiles(t, LAST)) == {"a", "c"}


def test_a_copied_rejection_is_of_the_day_and_run_that_copied_it(world: World) -> None:
    t = template(field_of("email"))
    world.write(t, "SELECT 'b' AS customer_id, 'nobody' AS email")
    world.build(t)
    world.write(t, "SELECT 'b' AS customer_id, 'nobody' AS email", NEXT)
    summary = world.build(t, NEXT)
    assert (summary.unchanged, summary.rejected_by_reason) == (1, {"email_unreadable": 1})
    rows = world.con.execute(
        "SELECT * EXCLUDE (as_of) FROM records.rejections ORDER BY as_of"
    ).fetchall()
    assert rows[0] == rows[1]


def test_a_column_that_nothing_reads_may_change(world: World) -> None:
    t = template(field_of("email"))
    assert days(world, t, [ANNA], [ANNA.replace("gold", "silver")]) == [0, 1]


def test_a_birth_date_in_the_future_is_accepted_once_its_day_has_come(world: World) -> None:
    assert days(world, people(), [ANNA, CAT], [ANNA, CAT], [ANNA, CAT]) == [0, 1, 2]
    assert world.profiles(people())["a"]["dob"] is None
    assert world.profiles(people(), NEXT)["a"]["dob"] == date(2011, 11, 2)


def test_rules_that_follow_the_day_only_loosen_and_birth_dates_have_the_only_one() -> None:
    named = [field_of(name) for name in ("email", "phone", "dob", "country", "gender", "language")]
    typed = [custom(kind.value, kind) for kind in ValueType]
    assert {a.name: codes_by_day(a) for a in (*named, *typed) if codes_by_day(a)} == {
        "dob": ("dob_implausible",)
    }
    (early,), (late,) = (rules_of(field_of("dob"), today=day) for day in (DAY, NEXT))
    assert early.test == late.test == "between"
    assert isinstance(early.argument, tuple)
    assert isinstance(late.argument, tuple)
    assert (early.argument[0], early.argument[1]) == (late.argument[0], DAY)
    assert late.argument[1] == NEXT


def test_of_a_user_with_two_rows_nothing_is_taken_from_the_day_before(world: World) -> None:
    destination = replace(template().destination, identifier="braze_id")
    t = template(
        custom("Tier", ValueType.STRING), destination=destination, identifier_column="braze_id"
    )
    shown = "FROM (VALUES {}) AS v(customer_id, braze_id, tier)"
    one, two = "('1', 'x', 'gold')", "('2', 'x', 'silver')"
    for day, rows, sent in (
        (DAY, [two], "silver"),
        (NEXT, [one, two], "gold"),
        (LAST, [two], "silver"),
    ):
        world.write(t, shown.format(", ".join(rows)), day)
        world.build(t, day)
        assert world.profiles(t, day)["x"]["Tier"] == sent
    assert [row for row in world.rejections() if row[2] == "user_id_duplicate"] == [
        ("2", None, "user_id_duplicate")
    ]


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        (ValueType.STRING, "0.0::DOUBLE", "'-0.0'::DOUBLE"),
        (ValueType.STRING, "0.0::FLOAT", "'-0.0'::FLOAT"),
        (ValueType.STRING, "INTERVAL '1 month'", "INTERVAL '30 days'"),
        (ValueType.ARRAY, "[0.0::DOUBLE]", "['-0.0'::DOUBLE]"),
        (ValueType.OBJECT, "{'a': 1.5::DOUBLE}", "{'a': NULL::DOUBLE}"),
        (ValueType.ARRAY, "['a', 'b']", "['a, b']"),
        (ValueType.ARRAY, "['a']", "['a', NULL]"),
        (ValueType.STRING, "'a'", "'A'"),
        (ValueType.STRING, "''", "NULL::VARCHAR"),
    ],
)
def test_values_that_are_equal_in_sql_but_differ_as_text_are_read(
    world: World, type_: ValueType, before: str, after: str
) -> None:
    t = template(custom("Value", type_))
    for day, value in ((DAY, before), (NEXT, after), (LAST, after)):
        world.write(t, f"SELECT 'a' AS customer_id, {value} AS value", day)
    assert [world.build(t, day).unchanged for day in (DAY, NEXT, LAST)] == [0, 0, 1]


@pytest.mark.parametrize(
    "more",
    [
        {"default_region": "FR"},
        {"time_zone": "Asia/Tokyo"},
        {"attributes": (field_of("email", required=True), custom("Tier", ValueType.STRING))},
        {"attributes": (field_of("email"),)},
    ],
)
def test_a_change_of_the_template_reads_every_row(world: World, more: dict[str, object]) -> None:
    t = template(field_of("email"), custom("Tier", ValueType.STRING))
    assert days(world, t, [ANNA, CAT], [ANNA, CAT]) == [0, 2]
    world.write(t, PEOPLE.format(f"{ANNA}, {CAT}"), LAST)
    assert world.build(replace(t, **more), LAST).unchanged == 0


def test_new_software_reads_every_row(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert days(world, people(), [CAT], [CAT]) == [0, 1]
    monkeypatch.setattr(software, "_version", lambda library: f"{library} 999")
    software.software.cache_clear()
    world.write(people(), PEOPLE.format(CAT), LAST)
    assert world.build(people(), LAST).unchanged == 0
    software.software.cache_clear()


def test_the_libraries_that_decide_values_are_installed_under_these_names() -> None:
    versions = software.software()
    assert all(f"{library} " in " | ".join(versions) for library in ("duckdb", "phonenumbers"))
    missing = {name for name in software.LIBRARIES if name in versions}
    assert missing <= {"tzdata"}


def test_a_day_whose_attributes_were_written_again_is_not_copied_from(world: World) -> None:
    t = template(custom("Tier", ValueType.STRING))
    assert days(world, t, [ANNA, CAT]) == [0]
    world.write(t, PEOPLE.format(ANNA.replace("gold", "silver")), DAY)
    world.write(t, PEOPLE.format(ANNA.replace("gold", "silver")), NEXT)
    assert world.build(t, NEXT).unchanged == 0
    assert world.profiles(t, NEXT)["a"]["Tier"] == "silver"


def test_a_column_that_went_and_came_back_is_not_compared(world: World) -> None:
    t = template(custom("Tier", ValueType.STRING))
    assert days(world, t, [ANNA]) == [0]
    without = PEOPLE.format(ANNA).replace("FROM", "SELECT customer_id FROM")
    world.write(t, without, NEXT)
    world.write(t, PEOPLE.format("('a', NULL, NULL, NULL)"), NEXT)
    assert world.build(t, NEXT).unchanged == 0
    assert world.profiles(t, NEXT)["a"]["Tier"] is None


def test_an_older_day_is_not_copied_from_a_newer_one(world: World) -> None:
    t = people()
    world.write(t, PEOPLE.format(ANNA), NEXT)
    world.build(t, NEXT)
    world.write(t, PEOPLE.format(ANNA), DAY)
    assert world.build(t, DAY).unchanged == 0
    assert world.profiles(t)["a"]["dob"] is None


def test_a_customer_without_an_outcome_on_the_day_before_is_read(world: World) -> None:
    t = template(custom("Tier", ValueType.STRING))
    world.write(t, PEOPLE.format(f"{ANNA}, {CAT}"), DAY, members=["a"])
    world.build(t)
    world.con.execute("DELETE FROM loyal.profile_rows WHERE __customer_id = 'a'")
    world.write(t, PEOPLE.format(f"{ANNA}, {CAT}"), NEXT)
    summary = world.build(t, NEXT)
    assert (summary.unchanged, summary.profiles) == (0, 2)


def test_a_rule_taken_for_independent_of_the_day_would_be_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "codes_by_day", lambda attribute: ())
    assert days(world, people(), [ANNA], [ANNA]) == [0, 1]
    assert world.profiles(people(), NEXT)["a"]["dob"] is None
