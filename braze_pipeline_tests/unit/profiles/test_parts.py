"""Profiles and rejections that stand for many days are stored once, and each day shows its own."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from braze_pipeline.profiles import parts
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
)


def test_days_written_before_an_upgrade_are_not_copied_from(world: World) -> None:
    t = template(custom("Tier", ValueType.STRING))
    assert days(world, t, [ANNA]) == [0]
    as_of_version_6(world.con)
    world.con.execute("ALTER TABLE records.days DROP COLUMN version")
    world.con.execute("ALTER TABLE records.days DROP COLUMN made_from")
    for table in ("counted_elsewhere", "predicted_value_fits", "predictions"):
        world.con.execute(f"DROP TABLE records.{table}")
    world.con.execute("UPDATE records.meta SET schema_version = 2")
    world.con.execute("CREATE TABLE loyal.before AS FROM loyal.profiles")
    world.con.execute("DROP VIEW loyal.profiles")
    for table in ("profile_rows", "profile_days", "profile_replaced"):
        world.con.execute(f"DROP TABLE loyal.{table}")
    world.con.execute("ALTER TABLE loyal.before RENAME TO profiles")
    after = World(world.con)
    for day, rows in ((NEXT, 0), (LAST, 1)):
        after.write(t, PEOPLE.format(ANNA), day)
        assert after.build(t, day).unchanged == rows
        assert after.profiles(t, day) == world.profiles(t)


def as_of_version_6(con: duckdb.DuckDBPyConnection) -> None:
    """Make a database as version 6 of the records left it: rejections were a table."""
    con.execute("CREATE TABLE records.before AS FROM records.rejections")
    con.execute("DROP VIEW records.rejections")
    con.execute("DROP TABLE records.rejection_rows")
    con.execute("DROP TABLE records.profile_rejections")
    con.execute("ALTER TABLE records.before RENAME TO rejections")
    columns_of = {
        "profile_days": "as_of, part, base, base_part",
        "profile_replaced": "as_of, customer_id AS __customer_id",
    }
    for table, columns in columns_of.items():
        con.execute(f"CREATE TABLE loyal.{table} AS SELECT {columns} FROM records.{table}")
        con.execute(f"DROP TABLE records.{table}")
    con.execute(
        "CREATE OR REPLACE VIEW loyal.profiles AS "
        "SELECT d.as_of AS __as_of, r.* EXCLUDE (__as_of, __part) FROM loyal.profile_rows r "
        "JOIN loyal.profile_days d ON r.__as_of = d.as_of AND r.__part = d.part UNION ALL "
        "SELECT d.as_of AS __as_of, r.* EXCLUDE (__as_of, __part) FROM loyal.profile_rows r "
        "JOIN loyal.profile_days d ON r.__as_of = d.base AND r.__part = d.base_part "
        "ANTI JOIN loyal.profile_replaced x "
        "ON x.as_of = d.as_of AND x.__customer_id = r.__customer_id"
    )
    con.execute("UPDATE records.meta SET schema_version = 6")


def test_parts_of_an_earlier_version_are_taken_over_with_their_rejections(world: World) -> None:
    t = template(field_of("email"))
    rows = [f"('{name}', 'no address')" for name in "abcdefghijklmnopqrstuvwxyz"]
    shown = "SELECT * FROM (VALUES {}) AS v(customer_id, email)"
    changed = [rows[0].replace("no address", "a@example.com"), *rows[1:]]
    for day, given in ((DAY, rows), (NEXT, changed)):
        world.write(t, shown.format(", ".join(given)), day)
        world.build(t, day)
    before = [world.profiles(t, DAY), world.profiles(t, NEXT), of_days(world)]
    as_of_version_6(world.con)
    after = World(world.con)
    assert [after.profiles(t, DAY), after.profiles(t, NEXT), of_days(after)] == before
    after.write(t, shown.format(", ".join(changed)), LAST)
    assert after.build(t, LAST).unchanged == 0
    assert [after.profiles(t, DAY), after.profiles(t, NEXT)] == before[:2]
    assert of_days(after) == {DAY: 26, NEXT: 25, LAST: 25}
    after.build(t, DAY)
    assert of_days(after) == {DAY: 26, NEXT: 25, LAST: 25}
    assert after.profiles(t, NEXT) == before[1]


def of_days(world: World) -> dict[date, int]:
    """How many rejections each day has."""
    rows = world.con.execute("SELECT as_of, count(*) FROM records.rejections GROUP BY ALL")
    return dict(rows.fetchall())


def stored(world: World, table: str = "loyal.profile_rows") -> dict[date, int]:
    """How many rows were written for each day."""
    rows = world.con.execute(f"SELECT COLUMNS('^(__)?as_of$'), count(*) FROM {table} GROUP BY ALL")
    return dict(rows.fetchall())


def test_rows_that_stand_are_stored_once_until_too_many_were_replaced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_REPLACED", 0.5)
    t = template(custom("Tier", ValueType.STRING))
    bea, cleo = BEN.replace("gold", "silver"), CAT.replace("silver", "gold")
    assert days(world, t, [ANNA, BEN, CAT], [ANNA, bea, CAT], [ANNA, bea, cleo]) == [0, 2, 2]
    assert stored(world) == {DAY: 3, NEXT: 1, LAST: 3}
    shown = [{user: row["Tier"] for user, row in world.profiles(t, day).items()}
             for day in (DAY, NEXT, LAST)]  # fmt: skip
    assert shown == [
        {"a": "gold", "b": "gold", "c": "silver"},
        {"a": "gold", "b": "silver", "c": "silver"},
        {"a": "gold", "b": "silver", "c": "gold"},
    ]


def test_a_day_that_is_the_base_of_others_may_be_written_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_REPLACED", 1)
    t = template(custom("Tier", ValueType.STRING))
    assert days(world, t, [ANNA, BEN], [ANNA, BEN]) == [0, 2]
    world.write(t, PEOPLE.format(ANNA.replace("gold", "silver")), DAY)
    world.build(t, DAY)
    assert {user: row["Tier"] for user, row in world.profiles(t).items()} == {"a": "silver"}
    assert {user: row["Tier"] for user, row in world.profiles(t, NEXT).items()} == {
        "a": "gold",
        "b": "gold",
    }
    assert stored(world) == {DAY: 3}
    world.write(t, PEOPLE.format(BEN), NEXT)
    world.build(t, NEXT)
    assert stored(world) == {DAY: 1, NEXT: 1}
    assert set(world.profiles(t, NEXT)) == {"b"}


REJECTIONS = "records.profile_rejections"


def test_rejections_that_stand_are_stored_once_until_too_many_were_replaced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_REPLACED", 0.5)
    t = template(field_of("email"))
    bea, dan = BEN.replace("nobody", "b@example.com"), BEN.replace("'b'", "'d'")
    days(world, t, [ANNA, BEN, dan], [ANNA, bea, dan], [ANNA.replace("Anna@", ""), bea, dan])
    assert of_days(world) == {DAY: 2, NEXT: 1, LAST: 2}
    assert stored(world, REJECTIONS) == {DAY: 2, LAST: 2}
    assert {who for who, _, _ in world.rejections()} == {"a", "b", "d"}


def test_rejections_of_a_day_that_is_the_base_of_others_may_be_written_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_REPLACED", 1)
    t = template(field_of("email"))
    last = [ANNA, BEN, CAT.replace("NULL", "'x'")]
    assert days(world, t, [ANNA, BEN, CAT], [ANNA, BEN, CAT], last) == [0, 3, 2]
    world.write(t, PEOPLE.format(ANNA), DAY)
    world.build(t, DAY)
    assert of_days(world) == {NEXT: 1, LAST: 2}
    assert stored(world, REJECTIONS) == {DAY: 1, LAST: 1}
    for day in (NEXT, LAST):
        world.write(t, PEOPLE.format(ANNA), day)
        world.build(t, day)
    assert (world.rejections(), stored(world, REJECTIONS)) == ([], {})


def test_rejections_go_with_the_profiles_of_a_day_beyond_history(world: World) -> None:
    t = template(field_of("email"), history_days=1)
    assert days(world, t, [BEN]) == [0]
    world.write(t, PEOPLE.format(BEN), NEXT)
    world.con.execute("UPDATE records.days SET written_at = '2000-01-01'")
    assert world.build(t, NEXT).unchanged == 1
    assert of_days(world) == {NEXT: 1}
    assert stored(world, REJECTIONS) == {DAY: 1}
    world.write(t, PEOPLE.format(ANNA), LAST)
    world.con.execute("UPDATE records.days SET written_at = '2000-01-01'")
    world.build(t, LAST)
    assert stored(world, REJECTIONS) == {}


def test_rejected_customers_count_as_rows_of_a_base(world: World) -> None:
    t = template(field_of("email", required=True))
    people = [f"('c{n}', 'no address')" for n in range(30)]
    shown = "SELECT * FROM (VALUES {}) AS v(customer_id, email)"
    for n, day in enumerate((DAY, NEXT, LAST)):
        changed = [f"('c{k}', 'c{k}@example.com')" for k in range(n)]
        world.write(t, shown.format(", ".join([*changed, *people[n:]])), day)
        assert world.build(t, day).rejected_rows == 30 - n
    assert stored(world, REJECTIONS) == {DAY: 30}
    assert of_days(world) == {DAY: 30, NEXT: 29, LAST: 28}


def test_a_template_that_moves_to_another_schema_has_its_rejections_once(world: World) -> None:
    first = template(field_of("email"), db_schema="braze__vip")
    days(world, first, [BEN, CAT], [BEN])
    moved = replace(first, db_schema="braze")
    world.write(moved, PEOPLE.format(f"{ANNA}, {CAT.replace('NULL', chr(39) + 'x' + chr(39))}"))
    assert world.build(moved).rejected_values == 1
    assert of_days(world) == {DAY: 1, NEXT: 1}


def test_a_template_that_only_its_case_renames_keeps_its_days(world: World) -> None:
    t = template(field_of("email"), db_schema="braze__vip")
    days(world, t, [BEN])
    renamed = replace(t, db_schema="braze__VIP")
    world.write(renamed, PEOPLE.format(BEN), NEXT)
    world.build(renamed, NEXT)
    assert len(world.profiles(renamed)) == len(world.profiles(renamed, NEXT)) == 1
    assert of_days(world) == {DAY: 1, NEXT: 1}


def test_a_day_that_stands_on_an_empty_one_stays_empty_when_that_is_written_again(
    world: World,
) -> None:
    t = template(custom("Tier", ValueType.STRING))
    for day in (DAY, NEXT):
        world.write(t, PEOPLE.format(ANNA), day, members=["nobody"])
        world.build(t, day)
    world.write(t, PEOPLE.format(ANNA), DAY)
    world.build(t, DAY)
    assert set(world.profiles(t, DAY)) == {"a"}
    assert world.profiles(t, NEXT) == {}


def test_the_rows_of_a_day_beyond_history_stay_while_they_stand_for_a_later_day(
    world: World,
) -> None:
    t = template(custom("Tier", ValueType.STRING), history_days=1)
    assert days(world, t, [ANNA]) == [0]
    world.write(t, PEOPLE.format(ANNA), NEXT)
    world.con.execute("UPDATE records.days SET written_at = '2000-01-01'")
    assert world.build(t, NEXT).unchanged == 1
    assert world.profiles(t, DAY) == {}
    assert set(world.profiles(t, NEXT)) == {"a"}
