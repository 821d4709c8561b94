"""Acknowledgements into the ledger: exact, repeatable, and safe at any instant."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from braze_pipeline.errors import LedgerError, NotBuilt, PlanOutdated
from braze_pipeline.ledger import watermarks
from braze_pipeline.plan import stored_plans
from braze_pipeline.settings import ValueType
from braze_pipeline.storage import journal
from braze_pipeline_tests.ledger_world import (
    World,
    attribute,
    damage,
    day,
    smaller_requests,
    template,
)

Make = Callable[..., World]
T = smaller_requests(template(attribute("Tier"), attribute("Spend", ValueType.FLOAT)), 2)
MANY = {f"u{n}": {"Tier": f"t{n}", "Spend": n / 2} for n in range(7)}


def state(w: World) -> list[Any]:
    """Everything the ledger says, but for wall-clock times of applying them."""
    tables = [
        "attributes",
        "templates",
        "acks",
        "refused",
        "in_doubt",
        "ledgers",
        "applied_sends",
        "pending_watermarks",
    ]
    rows = [
        w.con.execute(f"SELECT * FROM ledger.{name} ORDER BY ALL").fetchall() for name in tables
    ]
    return [
        w.ledger(),
        *rows,
        w.con.execute("SELECT count(*) FROM records.rejections").fetchall(),
    ]


def test_the_ledger_keeps_value_day_time_and_run_of_each_attribute(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Tier": "x", "Spend": 1.0}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Tier": "x", "Spend": 2.0}})
    w.run(day(2))
    found = w.con.execute(
        "SELECT l.value_1, x.as_of, x.run_id, l.value_2, y.as_of, y.run_id, y.acknowledged_at > "
        "x.acknowledged_at FROM ledger.braze_users l JOIN ledger.acks x ON x.ack_no = l.ack_1 "
        "JOIN ledger.acks y ON y.ack_no = l.ack_2"
    ).fetchall()
    assert found == [("x", day(1), "run1", 2.0, day(2), "run2", True)]


def test_applying_twice_changes_nothing(world: Make) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    plan = w.plan(day(1))
    w.send(plan, refuse=["u3"])
    assert (w.apply_acknowledgements().accepted, w.apply_acknowledgements().accepted) == (6, 0)
    before = state(w)
    with closing(w.journal()) as journal, journal:
        journal.execute("UPDATE sends SET folded_at = NULL")
    assert w.apply_acknowledgements().sends == 0
    assert state(w) == before


def test_a_kill_between_the_ledger_and_the_journal_is_harmless(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    w.send(w.plan(day(1)))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal, "mark_applied", killed)
        with pytest.raises(KeyboardInterrupt):
            w.apply_acknowledgements()
    before = state(w)
    w.apply_acknowledgements()
    assert state(w) == before
    assert w.plan(day(1)).planned_users == 0


def test_a_kill_while_applying_leaves_nothing_half_done(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    w.send(w.plan(day(1)), refuse=["u1"])
    before = state(w)

    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(watermarks, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            w.apply_acknowledgements()
    assert state(w) == before
    assert w.apply_acknowledgements().accepted == 6


def test_a_send_that_still_runs_is_applied_as_far_as_it_got(world: Make) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    plan = w.plan(day(1))
    w.send(plan, stop_after=2, leave_running=True)
    assert (w.apply_acknowledgements().accepted, w.apply_acknowledgements().accepted) == (4, 0)
    w.send(plan, refuse=["u5"])
    second = w.apply_acknowledgements()
    assert second.accepted + second.refused == 3
    assert stored_plans.load(w.con, plan.plan_id).status == "sent"
    assert w.con.execute(
        "SELECT accepted_users, refused_users FROM records.plans WHERE plan_id = ?",
        [plan.plan_id],
    ).fetchone() == (7 - second.refused, second.refused)


def test_after_a_crash_only_what_was_not_acknowledged_is_planned(world: Make) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    w.send(w.plan(day(1)), stop_after=2, lose_ack=True, leave_running=True)
    plan = w.run(day(1))
    assert plan.planned_users == 3
    assert w.braze.profiles == MANY
    assert w.plan(day(1)).planned_users == 0


def test_a_plan_is_sendable_until_something_else_changes_the_ledger(world: Make) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    old = w.plan(day(1))
    stored_plans.check_sendable(w.con, w.warehouse, T, old.plan_id)
    w.send(old, stop_after=1)
    w.apply_acknowledgements()
    stored_plans.check_sendable(w.con, w.warehouse, T, old.plan_id)  # a resume
    w.profiles(day(2), MANY)
    new = w.plan(day(2))
    w.send(new)
    w.apply_acknowledgements()
    with pytest.raises(PlanOutdated, match="another day was sent"):
        stored_plans.check_sendable(w.con, w.warehouse, T, old.plan_id)
    with pytest.raises(NotBuilt, match="no plan"):
        stored_plans.check_sendable(w.con, w.warehouse, T, "none")


def test_what_was_taken_out_of_the_template_is_not_sent_by_resuming_an_earlier_plan(
    world: Make,
) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    old = w.plan(day(1))
    w.send(old, stop_after=1)
    w.apply_acknowledgements()
    without_spend = T.model_copy(update={"attributes": T.attributes[:1]})
    with pytest.raises(PlanOutdated, match="removed from the template: "):
        stored_plans.check_sendable(w.con, w.warehouse, without_spend, old.plan_id)


def test_an_older_plan_is_outdated_by_a_newer_day_that_found_nothing_to_send(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Tier": "X"}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Tier": "Y"}})
    old = w.plan(day(2))
    w.profiles(day(3), {"a": {"Tier": "X"}})
    assert w.plan(day(3)).status == "sent"
    with pytest.raises(PlanOutdated):
        stored_plans.check_sendable(w.con, w.warehouse, T, old.plan_id)


def test_a_plan_is_resumed_although_another_template_sent_its_own_attributes_meanwhile(
    world: Make,
) -> None:
    t = smaller_requests(T, 1)
    other = template(attribute('"Visits", $[*]'), name="other")
    w = world(t, " ".join(MANY))
    w.profiles(day(1), MANY, t=t)
    plan = w.plan(day(1))
    w.send(plan, stop_after=1)
    w.profiles(day(2), {user: {'"Visits", $[*]': "3"} for user in MANY}, t=other)
    w.run(day(2), t=other)
    stored_plans.check_sendable(w.con, w.warehouse, t, plan.plan_id)
    w.send(plan)
    w.apply_acknowledgements()
    assert {user: w.braze.profiles[user]["Tier"] for user in MANY} == {
        user: values["Tier"] for user, values in MANY.items()
    }
    for one, of_day in ((t, 1), (other, 2)):
        assert w.plan(day(of_day), t=one).planned_users == 0


def test_a_plan_is_outdated_by_a_template_that_sent_one_of_its_attributes(world: Make) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    old = w.plan(day(1))
    renamed = template(*T.attributes, name="renamed")
    w.profiles(day(1), {"a": {"Tier": "new"}}, t=renamed)
    w.run(day(1), t=renamed)
    with pytest.raises(PlanOutdated):
        stored_plans.check_sendable(w.con, w.warehouse, T, old.plan_id)


def test_a_refusal_is_recorded_and_the_same_object_not_sent_again(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Tier": "bad"}, "b": {"Tier": "x"}})
    plan = w.run(day(1), refuse=["a"])
    assert w.con.execute(
        "SELECT user_id, customer_id, stage, reason, message, status, attempt, request_id, run_id "
        "FROM records.rejections"
    ).fetchall() == [
        (
            "a",
            "a",
            "send",
            "refused_by_braze",
            "not a good object",
            201,
            1,
            f"{plan.plan_id}/0",
            "run1",
        )
    ]
    plan = w.plan(day(1))
    assert (plan.planned_users, plan.held_back_users, plan.unchanged_users) == (0, 1, 1)
    w.profiles(day(2), {"a": {"Tier": "good"}, "b": {"Tier": "x"}})
    assert w.sent(w.run(day(2))) == {"a": {"Tier": "good"}}
    assert w.con.execute("SELECT count(*) FROM ledger.refused").fetchone() == (0,)


def test_a_refusal_that_is_no_fault_of_the_value_is_tried_again(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Tier": "x"}})
    plan = w.plan(day(1))
    w.send(plan, refuse=["a"], status=503)
    w.apply_acknowledgements()
    assert w.plan(day(1)).planned_users == 1


@pytest.mark.parametrize("damaged", [None, "end", "footer", "pages"])
def test_a_send_whose_snapshot_is_gone_or_damaged_is_skipped_and_reported(
    world: Make, damaged: str | None
) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Tier": "x"}})
    plan = w.plan(day(1))
    w.send(plan)
    snapshot = w.warehouse.snapshot(plan.plan_id)
    if damaged:
        damage(snapshot, damaged)
    else:
        snapshot.unlink()
    assert (w.apply_acknowledgements().skipped, w.apply_acknowledgements().skipped) == (1, 0)
    assert w.plan(day(1)).planned_users == 1


@pytest.mark.parametrize("pragma", ["", "PRAGMA journal_mode = WAL"])
def test_a_journal_that_has_no_tables_yet_is_as_good_as_none(world: Make, pragma: str) -> None:
    """A process was killed, or is just about to create them."""
    w = world(T)
    w.warehouse.journal_path.unlink()
    w.warehouse.journal_path.touch()
    if pragma:
        with closing(w.journal()) as journal:
            journal.execute(pragma)
    assert w.apply_acknowledgements().sends == 0
    w.profiles(day(0), {"a": {"Tier": "x"}})
    assert w.plan(day(0)).planned_users == 1


def test_a_broken_journal_is_named(world: Make) -> None:
    w = world(T, "a")
    w.warehouse.journal_path.write_bytes(b"not a database, but long enough to be read as one" * 9)
    with pytest.raises(LedgerError, match=r"w\.journal\.sqlite"):
        w.apply_acknowledgements()
