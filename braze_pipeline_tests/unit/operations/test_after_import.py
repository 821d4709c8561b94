"""After an import, nothing that Braze was sent since the export is taken for what the file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from braze_pipeline.ledger import endpoint
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.ledger.reset import reset_attributes
from braze_pipeline.operations.bootstrap import import_export
from braze_pipeline.operations.forget import forget_user
from braze_pipeline.operations.transfer import Restored
from braze_pipeline.settings import ValueType, replace
from braze_pipeline.storage import migrations
from braze_pipeline_tests.ledger_world import (
    World,
    attribute,
    day,
    exported,
    restored,
    smaller_requests,
    template,
)

Make = Callable[..., World]


def test_a_value_that_changed_after_the_export_and_changed_back_is_sent_again(
    world: Make, tmp_path: Path
) -> None:
    t = template(attribute("S"), attribute("N"))
    w = world(t, "a b c")
    w.profiles(day(1), {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    for number in range(2, 8):  # more plans than snapshots are kept
        rows = {"a": {"S": str(number)}, "b": {"S": "1"}, "c": {"S": str(number)}}
        w.profiles(day(number), rows)
        w.run(day(number))
    assert restored(w, file) == Restored(
        ledger="braze", in_doubt=2, resent=False, endpoint="http://127.0.0.1:1"
    )
    assert w.run(day(6)).planned_users == 0  # nothing older overwrites
    w.profiles(day(8), {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}, "c": {}})
    plan = w.run(day(8))
    assert w.sent(plan) == {"a": {"S": "1", "N": "n"}, "c": {"S": None}}
    assert w.braze.profiles == {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}, "c": {}}
    assert w.plan(day(8)).planned_users == 0


@pytest.mark.parametrize("then", ["adopted", "emptied", "forgotten"])
def test_what_was_sent_after_the_export_is_sent_again_also_if_the_ledger_moved_or_forgot(
    world: Make, tmp_path: Path, then: str
) -> None:
    t = template(attribute("S"), attribute("N"))
    w = world(t, "a b")
    w.profiles(day(1), {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    w.profiles(day(2), {"a": {"S": "2", "N": "n"}, "b": {"S": "1"}})
    w.run(day(2))
    moved = replace(t, destination=replace(t.destination, endpoint="http://127.0.0.1:2"))
    if then == "adopted":
        endpoint.adopt(w.con, w.warehouse, moved, reason="a new name for the same workspace")
    elif then == "emptied":
        endpoint.start_over(ledger_of(w.con, moved), moved)
    else:
        forget_user(w.con, w.warehouse, [w.t], "a")
    found = restored(w, file)
    assert (found.in_doubt, found.resent) == ((0, True) if then == "emptied" else (1, False))
    w.profiles(day(3), {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}})
    plan = w.run(day(3))
    assert w.sent(plan)["a"]["S"] == "1"
    assert w.braze.profiles == {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}}
    assert ("b" in w.sent(plan)) == (then == "emptied")
    assert w.plan(day(3)).planned_users == 0


def test_an_attribute_that_is_newer_than_the_export_is_not_forgotten(
    world: Make, tmp_path: Path
) -> None:
    w = world(template(attribute("S")), "a b c")
    w.profiles(day(1), {"a": {"S": "1"}, "b": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    w.t = template(attribute("S"), attribute("Points", ValueType.INTEGER))
    w.profiles(day(2), {user: {"S": "1", "Points": 7} for user in "abc"})
    w.run(day(2))
    assert restored(w, file).in_doubt == 3
    w.profiles(day(3), {"a": {"S": "1"}, "b": {"S": "1", "Points": 7}, "c": {}})
    plan = w.run(day(3))
    assert w.sent(plan) == {
        "a": {"Points": None},
        "b": {"Points": 7},
        "c": {"S": None, "Points": None},
    }
    assert plan.new_attributes == ()
    assert w.braze.profiles == {"a": {"S": "1"}, "b": {"S": "1", "Points": 7}, "c": {}}


def test_an_older_day_of_a_template_that_is_newer_than_the_export_overwrites_nothing(
    world: Make, tmp_path: Path
) -> None:
    w = world(template(attribute("S")), "a b")
    w.profiles(day(1), {"a": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    other = template(attribute("Tier"), name="other")
    w.profiles(day(5), {"a": {"Tier": "gold"}, "b": {"Tier": "gold"}}, t=other)
    w.run(day(5), t=other)
    assert restored(w, file).in_doubt == 2
    w.profiles(day(2), {"a": {"Tier": "bronze"}, "b": {"Tier": "bronze"}}, t=other)
    assert w.run(day(2), t=other).planned_users == 0


def test_what_was_in_doubt_before_an_import_is_in_doubt_after_it(
    world: Make, tmp_path: Path
) -> None:
    w = world(template(attribute("S")), "a")
    w.profiles(day(1), {"a": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    w.profiles(day(2), {"a": {"S": "2"}})
    w.send(w.plan(day(2)), stop_after=0, lose_ack=True)
    assert restored(w, file).in_doubt == 1
    w.profiles(day(3), {"a": {"S": "1"}})
    assert w.sent(w.run(day(3))) == {"a": {"S": "1"}}
    assert w.braze.profiles["a"] == {"S": "1"}


def lose_database(w: World) -> None:
    """Journal and snapshots are there."""
    w.con.execute("DROP SCHEMA ledger CASCADE")
    w.con.execute("DROP SCHEMA records CASCADE")
    migrations.upgrade(w.con, w.warehouse.path)


def lose_database_and_snapshots(w: World) -> None:
    """Only the journal is there: the snapshots are older than those that are kept."""
    for snapshot in w.warehouse.snapshots.iterdir():
        snapshot.unlink()
    lose_database(w)


def test_sends_that_only_the_journal_knows_have_everything_sent_again(
    world: Make, tmp_path: Path
) -> None:
    w = world(template(attribute("S")), "a b")
    w.profiles(day(1), {"a": {"S": "1"}, "b": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    w.profiles(day(2), {"a": {"S": "2"}, "b": {"S": "1"}})
    w.run(day(2))
    lose_database(w)
    assert restored(w, file).resent
    w.profiles(day(3), {"a": {"S": "1"}, "b": {"S": "1"}})
    assert set(w.sent(w.run(day(3)))) == {"a", "b"}
    assert w.braze.profiles["a"] == {"S": "1"}
    assert w.plan(day(3)).planned_users == 0
    assert not restored(w, exported(w, tmp_path)).resent


def test_what_was_sent_after_the_export_and_is_null_now_is_cleared_although_no_ledger_has_it(
    world: Make, tmp_path: Path
) -> None:
    w = world(template(attribute("S"), attribute("N")), "a b c d")
    w.profiles(day(1), {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    w.t = template(attribute("S"), attribute("N"), attribute("New"))
    full = {"S": "1", "N": "n", "New": "x"}
    w.profiles(day(2), {"a": full, "b": full, "c": full})
    w.run(day(2))
    lose_database_and_snapshots(w)
    assert restored(w, file).resent
    w.profiles(day(3), {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}, "c": {}})
    assert w.plan(day(3)).unchanged_users == 0
    w.run(day(3))
    assert w.braze.profiles == {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}, "c": {}}
    # Who joins may have values of the lost sends, too. Nobody gets a null twice.
    w.profiles(day(4), {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}, "c": {}, "d": {"S": "1"}})
    nulls = {"N": None, "New": None}
    assert w.sent(w.run(day(4))) == {"d": {"S": "1", **nulls}}
    assert w.plan(day(4)).planned_users == 0


@pytest.mark.parametrize("value", ["rejected", "too large " * 100], ids=["rejected", "too large"])
def test_what_is_null_now_is_cleared_later_for_a_user_whose_object_could_not_be_sent(
    world: Make, tmp_path: Path, value: str
) -> None:
    t = template(attribute("S"), attribute("N"))
    w = world(smaller_requests(t, 75, max_body_bytes=1000), "a b")
    w.profiles(day(1), {"a": {"S": "1"}, "b": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    w.profiles(day(2), {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}})
    w.run(day(2))
    lose_database_and_snapshots(w)
    assert restored(w, file).resent
    w.profiles(day(3), {"a": {"S": value}, "b": {"S": "1"}})
    w.run(day(3), refuse=["a"])
    assert w.braze.profiles["a"] == {"S": "1", "N": "n"}
    w.profiles(day(4), {"a": {"S": "2"}, "b": {"S": "2"}})
    assert w.sent(w.run(day(4))) == {"a": {"S": "2", "N": None}, "b": {"S": "2"}}
    assert w.braze.profiles["a"] == {"S": "2"}
    assert w.plan(day(4)).planned_users == 0


@pytest.mark.parametrize("what", ["value", "row"])
def test_what_is_null_now_is_cleared_later_for_a_user_whose_value_or_row_was_rejected_that_day(
    world: Make, tmp_path: Path, what: str
) -> None:
    t = template(attribute("S"), attribute("N"))
    w = world(t, "a b")
    w.profiles(day(1), {"a": {"S": "1"}, "b": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    w.profiles(day(2), {"a": {"S": "1", "N": "n"}, "b": {"S": "1"}})
    w.run(day(2))
    lose_database_and_snapshots(w)
    assert restored(w, file).resent
    rows = {"a": {"S": "1"}, "b": {"S": "1"}} if what == "value" else {"b": {"S": "1"}}
    w.profiles(day(3), rows, held={"a": ["N"]}, rejected={"a"} - set(rows))
    w.con.execute(
        "INSERT INTO records.rejection_rows (as_of, destination, template, stage, customer_id, "
        "user_id, attribute, reason, message, row_rejected, run_id, rejected_at) "
        "VALUES (?, 'braze', 'main', 'profiles', 'a', 'a', 'N', 'too_long', '', ?, 'r', now())",
        [day(3), what == "row"],
    )
    w.run(day(3))
    assert w.braze.profiles["a"] == {"S": "1", "N": "n"}  # as Braze had it
    w.profiles(day(4), {"a": {"S": "2"}, "b": {"S": "2"}})
    assert w.sent(w.run(day(4))) == {"a": {"S": "2", "N": None}, "b": {"S": "2"}}
    assert w.plan(day(4)).planned_users == 0


@pytest.mark.parametrize("outside", ["audience", "recipient group"])
def test_what_is_null_now_is_cleared_for_a_user_who_joins_after_everything_was_sent_again(
    world: Make, tmp_path: Path, outside: str
) -> None:
    w = world(template(attribute("S"), attribute("N")), "a b")
    w.profiles(day(1), {"a": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    w.profiles(day(2), {"a": {"S": "1"}, "b": {"S": "1", "N": "n"}})
    w.run(day(2))
    lose_database_and_snapshots(w)
    assert restored(w, file).resent
    if outside == "audience":
        w.profiles(day(3), {"a": {"S": "1"}}, left_out=["b"])
    else:
        w.profiles(day(3), {"a": {"S": "1"}, "b": {"S": "1"}}, held={"b": ["N"]})
    w.run(day(3))
    assert w.braze.profiles["b"] == {"S": "1", "N": "n"}
    w.profiles(day(4), {"a": {"S": "1"}, "b": {"S": "1"}})
    w.run(day(4))
    assert w.braze.profiles == {"a": {"S": "1"}, "b": {"S": "1"}}
    assert w.plan(day(4)).planned_users == 0


def test_an_export_of_all_users_of_braze_ends_every_doubt(world: Make, tmp_path: Path) -> None:
    """The way out that docs/ledger.md names: who joins later gets no null without a need."""
    w = world(template(attribute("S"), attribute("N")), "a b c")
    w.profiles(day(1), {"a": {"S": "1"}})
    w.run(day(1))
    file, braze = exported(w, tmp_path), tmp_path / "braze.json"
    w.profiles(day(2), {"a": {"S": "1"}, "b": {"S": "1", "N": "n"}})
    w.run(day(2))
    lose_database_and_snapshots(w)
    assert restored(w, file).resent
    braze.write_text('{"external_id": "b", "custom_attributes": {"S": "1", "N": "n"}}\n')
    import_export(w.con, w.warehouse, w.t, [braze], now=w.now, all_users=True)
    w.profiles(day(3), {"a": {"S": "1"}}, left_out=["b"])
    w.run(day(3))
    w.profiles(day(4), {"a": {"S": "1"}, "b": {"S": "1"}, "c": {"S": "1"}})
    assert w.sent(w.run(day(4))) == {"b": {"N": None}, "c": {"S": "1"}}
    assert w.braze.profiles == {"a": {"S": "1"}, "b": {"S": "1"}, "c": {"S": "1"}}


def test_who_left_after_the_export_has_left_although_no_ledger_knows_of_the_send(
    world: Make, tmp_path: Path
) -> None:
    t = template(attribute("VIP", on_leave="clear"), attribute("S", on_leave="clear"))
    w = world(t, "a b c")
    w.profiles(day(1), {"a": {"S": "1"}, "c": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    w.profiles(day(2), {"a": {"S": "1", "VIP": "y"}, "b": {"VIP": "y"}, "c": {"S": "1"}})
    w.run(day(2))
    lose_database(w)
    assert restored(w, file) == Restored(
        ledger="braze", in_doubt=2, resent=True, endpoint="http://127.0.0.1:1"
    )
    w.profiles(day(3), {"c": {"S": "1"}}, left_out=["a", "b"])
    assert w.run(day(3)).leaving_users == 2
    assert w.braze.profiles == {"a": {}, "b": {}, "c": {"S": "1"}}


def test_what_was_reset_after_the_export_is_sent_again(world: Make, tmp_path: Path) -> None:
    w = world(template(attribute("S"), attribute("T")), "a")
    w.profiles(day(1), {"a": {"S": "1", "T": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    reset_attributes(ledger_of(w.con, w.t), w.t, ["S"])
    w.braze.profiles["a"] = {"S": "by hand", "T": "1"}
    restored(w, file)
    w.profiles(day(2), {"a": {"S": "1", "T": "1"}})
    assert w.sent(w.run(day(2))) == {"a": {"S": "1"}}
    assert w.plan(day(2)).planned_users == 0


def test_a_type_that_a_reset_allowed_after_the_export_is_not_blocked(
    world: Make, tmp_path: Path
) -> None:
    w = world(template(attribute("S")), "a")
    w.profiles(day(1), {"a": {"S": "1"}})
    w.run(day(1))
    file = exported(w, tmp_path)
    number = template(attribute("S", ValueType.INTEGER))
    reset_attributes(ledger_of(w.con, number), number, ["S"])
    w.con.execute(f"DROP TABLE {number.table('profiles')}")  # built with the other type
    w.profiles(day(2), {"a": {"S": 2}}, t=number)
    w.run(day(2), t=number)
    restored(w, file)
    w.profiles(day(3), {"a": {"S": 3}}, t=number)
    assert w.sent(w.run(day(3), t=number)) == {"a": {"S": 3}}
