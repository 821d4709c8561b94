"""Show, reset and forget."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from braze_pipeline.errors import LedgerError, PlanOutdated, UsageError
from braze_pipeline.ledger import in_doubt
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.operations import ledger_commands
from braze_pipeline.operations.forget import CUSTOMER_COLUMNS, USER_COLUMNS, forget_user
from braze_pipeline.plan import stored_plans
from braze_pipeline.settings import ValueType, replace
from braze_pipeline_tests import profiles_world
from braze_pipeline_tests.ledger_world import World, attribute, damage, day, template

Make = Callable[..., World]
T = template(attribute("email", is_field=True), attribute("Spend", ValueType.FLOAT), known="none")


def test_show_has_value_day_run_and_whether_the_user_is_confirmed(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"email": "ana@example.com", "Spend": 1.0}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"email": "ana@example.com", "Spend": 2.0}})
    w.run(day(2))
    (user,) = ledger_commands.show_user(w.con, w.warehouse, "a")
    assert (user.ledger, user.known, user.unconfirmed) == ("braze", None, True)
    assert user.evaluated == {"main": day(2)}
    assert [(e.attribute, e.value, e.as_of, e.run_id, e.how) for e in user.entries] == [
        ("Spend", "2.0", day(2), "run2", "send"),
        ("email", '"ana@example.com"', day(1), "run1", "send"),
    ]
    assert ledger_commands.show_user(w.con, w.warehouse, "nobody") == []


def test_show_has_what_braze_refused(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Spend": 1.0}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Spend": 2.0}})
    w.run(day(2), refuse=["a"])
    (user,) = ledger_commands.show_user(w.con, w.warehouse, "a")
    assert (user.refused_by, user.evaluated) == (("main",), {"main": day(1)})


def test_a_reset_template_is_sent_in_full_once(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"email": "a@example.com", "Spend": 1.0}, "b": {"Spend": 1.0}})
    w.run(day(1))
    assert ledger_commands.reset(w.con, w.warehouse, T) == ("email", "Spend")
    plan = w.run(day(1))
    assert w.sent(plan) == {"a": {"email": "a@example.com", "Spend": 1.0}, "b": {"Spend": 1.0}}
    assert plan.reasons == {"resend": 2}
    assert w.plan(day(1)).planned_users == 0


def test_a_reset_attribute_is_sent_again_and_its_nulls_too(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"email": "a@example.com", "Spend": 1.0}, "b": {"Spend": 1.0}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"email": "a@example.com"}, "b": {"Spend": 1.0}})
    w.run(day(2))
    assert ledger_commands.reset(w.con, w.warehouse, T, ["Spend"]) == ("Spend",)
    w.profiles(day(1), {"b": {"Spend": 7.0}})
    assert w.run(day(1)).planned_users == 0  # the past stays behind what is newer
    assert w.sent(w.run(day(2))) == {"a": {"Spend": None}, "b": {"Spend": 1.0}}
    assert w.plan(day(2)).planned_users == 0


def test_a_reset_attribute_is_sent_again_while_another_user_is_in_doubt(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Spend": 1.0}, "b": {"Spend": 1.0}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Spend": 2.0}, "b": {"Spend": 1.0}})
    w.send(w.plan(day(2)), stop_after=0, lose_ack=True)
    ledger_commands.reset(w.con, w.warehouse, T, ["Spend"])
    assert w.sent(w.run(day(2))) == {"a": {"Spend": 2.0}, "b": {"Spend": 1.0}}


def test_a_reset_outdates_plans_and_knows_its_names(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Spend": 1.0}})
    plan = w.plan(day(1))
    ledger_commands.reset(w.con, w.warehouse, T)
    with pytest.raises(PlanOutdated):
        stored_plans.check_sendable(w.con, w.warehouse, T, plan.plan_id)
    with pytest.raises(UsageError, match="Spent"):
        ledger_commands.reset(w.con, w.warehouse, T, ["Spent"])


def test_a_changed_type_stops_the_attribute_until_it_is_reset(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"email": "a@example.com", "Spend": 1.0}, "b": {"Spend": 2.0}})
    w.run(day(1))
    w.con.execute(f"DROP TABLE {T.table('profiles')}")
    changed = replace(T, attributes=(T.attributes[0], attribute("Spend", ValueType.STRING)))
    w.profiles(day(2), {"a": {"email": "new@example.com", "Spend": "much"}, "b": {}}, t=changed)
    plan = w.run(day(2), t=changed)
    assert w.sent(plan) == {"a": {"email": "new@example.com"}}
    assert plan.stopped_attributes == ("Spend (float to string)",)
    assert w.con.execute(
        "SELECT attribute, reason, stage, customer_id FROM records.rejections"
    ).fetchall() == [("Spend", "type_changed", "plan", None)]
    ledger_commands.reset(w.con, w.warehouse, changed, ["Spend"])
    plan = w.run(day(2), t=changed)
    assert w.sent(plan) == {"a": {"Spend": "much"}, "b": {"Spend": None}}
    assert (plan.stopped_attributes, w.plan(day(2), t=changed).planned_users) == ((), 0)
    assert w.con.execute("SELECT count(*) FROM records.rejections").fetchone() == (0,)


def test_a_type_that_was_only_planned_after_a_reset_can_be_changed_back(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Spend": 1.0}})
    w.run(day(1))
    ledger_commands.reset(w.con, w.warehouse, T, ["Spend"])
    w.con.execute(f"DROP TABLE {T.table('profiles')}")
    changed = replace(T, attributes=(T.attributes[0], attribute("Spend", ValueType.STRING)))
    w.profiles(day(1), {"a": {"Spend": "much"}}, t=changed)
    assert w.plan(day(1), t=changed).planned_users == 1
    w.con.execute(f"DROP TABLE {T.table('profiles')}")
    w.profiles(day(1), {"a": {"Spend": 1.0}})
    plan = w.run(day(1))
    assert (w.sent(plan), plan.stopped_attributes) == ({"a": {"Spend": 1.0}}, ())
    w.con.execute(f"DROP TABLE {T.table('profiles')}")
    w.profiles(day(2), {"a": {"Spend": "much"}}, t=changed)
    assert w.plan(day(2), t=changed).stopped_attributes == ("Spend (float to string)",)


def test_a_reset_attribute_is_sent_again_to_users_rejected_in_another_template(world: Make) -> None:
    other = template(attribute("Tier"), name="other", known="none")
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Spend": 1.0}})
    w.run(day(1))
    w.profiles(day(1), {"a": {"Tier": "x"}}, t=other)
    w.run(day(1), t=other, refuse=["a"])
    assert w.plan(day(1), t=other).held_back_users == 1
    ledger_commands.reset(w.con, w.warehouse, T, ["Tier"])
    assert w.sent(w.plan(day(1), t=other)) == {"a": {"Tier": "x"}}


@pytest.mark.parametrize(
    ("before", "after", "value", "same", "other"),
    [
        (ValueType.INTEGER, ValueType.FLOAT, 5, 5.0, 5.5),
        (ValueType.FLOAT, ValueType.INTEGER, 5.0, 5, 6),
    ],
)
def test_numbers_are_one_type_to_braze(
    world: Make, before: ValueType, after: ValueType, value: float, same: float, other: float
) -> None:
    one, two = template(attribute("N", before)), template(attribute("N", after))
    w = world(one, "a")
    w.profiles(day(1), {"a": {"N": value}}, t=one)
    w.run(day(1), t=one)
    w.con.execute(f"DROP TABLE {one.table('profiles')}")
    w.profiles(day(2), {"a": {"N": same}}, t=two)
    plan = w.run(day(2), t=two)
    assert (plan.planned_users, plan.stopped_attributes) == (0, ())
    w.profiles(day(3), {"a": {"N": other}}, t=two)
    assert w.sent(w.run(day(3), t=two)) == {"a": {"N": other}}
    assert w.plan(day(3), t=two).planned_users == 0


def test_a_forgotten_user_is_nowhere_in_the_warehouse(world: Make) -> None:
    w = world(T, "a b")
    rows: dict[str, dict[str, Any]] = {
        "a": {"email": "ana@example.com", "Spend": 1.0},
        "b": {"Spend": 1.0},
    }
    w.profiles(day(1), rows)
    w.run(day(1), refuse=["a"])
    w.profiles(day(2), {**rows, "a": {"email": "ana2@example.com"}})
    w.run(day(2))
    w.profiles(day(3), {**rows, "a": {"email": "ana3@example.com"}})
    pending = w.plan(day(3))
    extract = w.warehouse.extracts / T.db_schema / "run1" / "customers"
    extract.mkdir(parents=True)
    (extract / "customers.parquet").write_text("a,ana@example.com")
    removed = forget_user(w.con, w.warehouse, [T], "a")
    assert (removed["snapshots"], removed["extracts"]) == (3, 1)
    assert not list(w.warehouse.extracts.rglob("*.parquet"))
    assert ledger_commands.show_user(w.con, w.warehouse, "a") == []
    left = []
    for (table,) in w.con.execute(
        "SELECT DISTINCT schema_name || '.\"' || table_name || '\"' FROM duckdb_tables() "
        "WHERE NOT temporary"
    ).fetchall():
        left += [str(row) for row in w.con.execute(f"SELECT * FROM {table}").fetchall()]
    assert not [row for row in left if "ana" in row.replace("analytics", "") or "'a'" in row]
    assert not list(Path(w.warehouse.snapshots).glob("*.parquet"))
    with pytest.raises(PlanOutdated):
        stored_plans.check_sendable(w.con, w.warehouse, T, pending.plan_id)
    w.profiles(day(4), {"b": {"Spend": 1.0}})
    assert w.plan(day(4)).planned_users == 0


def test_a_person_is_forgotten_under_the_ids_of_all_destinations(world: Make) -> None:
    """The same customer is `a` for one destination and `braze-a` for another; `b` is another."""
    w = world(T, "a b braze-a braze-b")
    d = replace(T.destination, identifier="braze_id")
    other = replace(T, name="other", db_schema="data_other", destination=d)
    w.profiles(day(1), {"a": {"Spend": 1.0}, "b": {"Spend": 1.0}})
    w.profiles(day(1), {"braze-a": {"Spend": 1.0}, "braze-b": {"Spend": 1.0}}, t=other)
    w.con.execute(
        f"UPDATE {other.table('profiles')} SET __customer_id = replace(__user_id, 'braze-', '')"
    )
    w.run(day(1))
    w.run(day(1), t=other)
    forget_user(w.con, w.warehouse, [T, other], "a")
    assert [row[0] for row in w.ledger()] == ["b"]
    assert [row[0] for row in w.ledger("braze_by_braze_id")] == ["braze-b"]
    assert not list(w.warehouse.snapshots.glob("*.parquet"))


def test_forgetting_a_person_who_once_had_an_empty_id_ends_no_doubt_for_everybody(
    world: Make,
) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Spend": 1.0}, "b": {"Spend": 1.0}})
    w.run(day(1))
    w.profiles(day(2), {"": {"Spend": 1.0}, "b": {"Spend": 1.0}})
    w.con.execute(f"UPDATE {T.table('profiles')} SET __customer_id = 'a' WHERE __user_id = ''")
    in_doubt.mark_for_everybody(ledger_of(w.con, T), "import", [1])
    forget_user(w.con, w.warehouse, [T], "a")
    assert ledger_of(w.con, T).in_doubt_for_everybody() == {1}
    assert [row[0] for row in w.ledger()] == ["b"]
    with pytest.raises(UsageError, match="No user"):
        forget_user(w.con, w.warehouse, [T], "")


def test_a_user_is_forgotten_in_templates_that_are_configured_elsewhere_too(world: Make) -> None:
    w = world(T, "a b")
    profiles = profiles_world.World(w.con)
    one = profiles_world.template(profiles_world.field_of("email"), db_schema="elsewhere")
    rows = [f"('{name}', '{name}@example.com')" for name in "abcdefghijklmnopqrstuvwxyz"]
    for n, changed in ((1, "new"), (2, "newer")):
        given = ", ".join([f"('a', '{changed}@example.com')", *rows[1:]])
        query = f"SELECT * FROM (VALUES {given}) AS v(customer_id, email)"
        profiles.write(one, query, day(n))
        profiles.build(one, day(n))
    removed = forget_user(w.con, w.warehouse, [T], "a")
    assert removed["elsewhere.profile_rows"] == 2
    for n in (1, 2):
        assert set(profiles.profiles(one, day(n))) == set("bcdefghijklmnopqrstuvwxyz")
    assert w.con.execute("SELECT count(*) FROM elsewhere.customer_attributes").fetchall() == [(50,)]


def test_values_of_a_forgotten_user_that_the_sources_no_longer_have_are_forgotten(
    world: Make,
) -> None:
    w = world(T, "a b")
    profiles = profiles_world.World(w.con)
    one = profiles_world.template(
        profiles_world.field_of("phone"),
        profiles_world.custom("Home", ValueType.OBJECT),
        default_region="GB",
    )
    for number in ("07911 123 456", "07911 654 321"):
        query = (
            f"SELECT 'a' AS customer_id, '{number}' AS phone, {{'street': 'Via Roma 1'}} AS Home"
        )
        profiles.write(one, query, day(1))
        profiles.build(one, day(1))
    forget_user(w.con, w.warehouse, [T], "a")
    assert w.con.execute("SELECT raw FROM records.normalised_values").fetchall() == []


@pytest.mark.parametrize("damaged", ["end", "footer", "pages"])
def test_a_damaged_snapshot_is_forgotten_and_an_unreadable_folder_is_named(
    world: Make, damaged: str
) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"b": {"Spend": 1.0}})
    w.run(day(1))
    (snapshot,) = w.warehouse.snapshots.glob("*.parquet")
    damage(snapshot, damaged)
    assert forget_user(w.con, w.warehouse, [T], "a")["snapshots"] == 1
    shutil.rmtree(w.warehouse.snapshots)
    w.warehouse.snapshots.write_text("not a folder")
    with pytest.raises(LedgerError, match=r"snapshots cannot be read \(Not a directory\)"):
        forget_user(w.con, w.warehouse, [T], "b")
    assert ledger_commands.show_user(w.con, w.warehouse, "b")


def test_a_table_added_later_forgets_users_too(world: Make) -> None:
    w = world(T, "a b")
    w.con.execute("CREATE TABLE records.added_later (user_id VARCHAR, note VARCHAR)")
    w.con.execute("INSERT INTO records.added_later VALUES ('a', 'x'), ('b', 'y')")
    assert forget_user(w.con, w.warehouse, [T], "a") == {"records.added_later": 1}
    assert w.con.execute("SELECT user_id FROM records.added_later").fetchall() == [("b",)]


def test_a_column_of_the_brand_with_such_a_name_forgets_nobody_else(world: Make) -> None:
    """Another table's `user_id` can be any number: here the id of the customer to be forgotten."""
    names = (attribute("user_id"), attribute("customer_id"))
    t = template(*names, known="none")
    w = world(t, "a b")
    w.profiles(day(1), {"a": {"user_id": "x"}, "b": {"user_id": "a", "customer_id": "a"}})
    w.con.execute(
        f"CREATE OR REPLACE TABLE {t.table('customer_attributes')} AS SELECT * FROM (VALUES "
        "('a', 'x', DATE '2026-01-01'), ('b', 'a', DATE '2026-01-01')) "
        "AS rows(customer_id, user_id, __as_of)"
    )
    forget_user(w.con, w.warehouse, [t], "a")
    for table, column in (("customer_attributes", "customer_id"), ("profiles", "__user_id")):
        left = w.con.execute(f"SELECT {column} FROM {t.table(table)}").fetchall()
        assert left == [("b",)]


def test_no_table_names_a_person_in_a_column_that_forget_does_not_know(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Spend": 1.0}})
    w.run(day(1))
    people = w.con.execute(
        "SELECT DISTINCT column_name FROM duckdb_columns() WHERE NOT internal "
        "AND regexp_matches(column_name, 'user|customer|external_id|braze_id|person') "
        "AND data_type = 'VARCHAR'"
    ).fetchall()
    assert {name for (name,) in people} == {*USER_COLUMNS, *CUSTOMER_COLUMNS}


def test_what_braze_refused_can_be_released(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Spend": 1.0}})
    w.run(day(1), refuse=["a"])
    assert w.plan(day(1)).planned_users == 0
    assert ledger_of(w.con, T).release_refused(T.name) == 1
    assert w.plan(day(1)).planned_users == 1
