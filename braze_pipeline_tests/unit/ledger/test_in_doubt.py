"""What a request without an answer may have brought is in doubt, and is sent once more."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest

from braze_pipeline.plan import stored_plans
from braze_pipeline.settings import ValueType
from braze_pipeline_tests.ledger_world import (
    World,
    attribute,
    day,
    smaller_requests,
    template,
)

Make = Callable[..., World]

T = smaller_requests(template(attribute("Tier"), attribute("Spend", ValueType.FLOAT)), 2)

MANY = {f"u{n}": {"Tier": f"t{n}", "Spend": n / 2} for n in range(7)}


def test_a_value_that_goes_back_while_a_request_got_no_answer_is_sent_again(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Tier": "X"}, "b": {"Tier": "X"}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Tier": "Y", "Spend": 1.0}, "b": {"Tier": "X"}})
    w.send(w.plan(day(2)), stop_after=0, lose_ack=True, leave_running=True)
    assert w.braze.profiles["a"] == {"Tier": "Y", "Spend": 1.0}
    w.profiles(day(3), {"a": {"Tier": "X"}, "b": {"Tier": "X"}})
    plan = w.run(day(3))
    assert w.sent(plan) == {"a": {"Tier": "X", "Spend": None}}
    assert w.braze.profiles["a"] == {"Tier": "X"}
    assert w.plan(day(3)).planned_users == 0
    assert w.con.execute("SELECT count(*) FROM ledger.in_doubt").fetchone() == (0,)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_value_that_goes_back_after_a_refusal_is_sent_if_an_earlier_attempt_got_no_answer(
    world: Make, parts: int
) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    w.run(day(1))
    w.profiles(day(2), {user: values | {"Tier": "Y"} for user, values in MANY.items()})
    plan = w.plan(day(2))
    w.send(plan, refuse=["u0"], attempt=2, stop_after=1 if parts == 2 else None)
    w.apply_acknowledgements()
    if parts == 2:  # a later send of the plan does not resolve it
        w.send(plan)
        w.apply_acknowledgements()
    assert w.con.execute("SELECT user_id, columns FROM ledger.in_doubt").fetchall() == [("u0", [1])]
    w.apply_acknowledgements()
    w.profiles(day(3), MANY)
    assert w.sent(w.run(day(3))) == {user: {"Tier": v["Tier"]} for user, v in MANY.items()}
    assert w.con.execute("SELECT count(*) FROM ledger.in_doubt").fetchone() == (0,)


@pytest.mark.parametrize("moved_away", [False, True])
def test_a_value_that_goes_back_after_a_refusal_by_a_resumed_send_is_sent(
    world: Make, *, moved_away: bool
) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Tier": "X"}, "b": {"Tier": "X"}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Tier": "Y"}, "b": {"Tier": "Y"}})
    plan = w.plan(day(2))
    w.send(plan, stop_after=0, lose_ack=True, leave_running=True)
    w.apply_acknowledgements()
    w.now += timedelta(minutes=5)
    if moved_away:
        with closing(w.journal()) as journal, journal:
            for table in ("sends", "acknowledgements", "sqlite_sequence"):
                journal.execute(f"DELETE FROM {table}")
    w.send(plan, refuse=["a"])
    w.apply_acknowledgements()
    assert w.braze.profiles["a"] == {"Tier": "Y"}
    w.profiles(day(3), {"a": {"Tier": "X"}, "b": {"Tier": "Y"}})
    assert w.sent(w.run(day(3))) == {"a": {"Tier": "X"}}
    assert w.con.execute("SELECT count(*) FROM ledger.in_doubt").fetchone() == (0,)


def test_a_refusal_at_the_first_attempt_leaves_nothing_in_doubt(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Tier": "X"}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Tier": "Y"}})
    w.run(day(2), refuse=["a"])
    w.profiles(day(3), {"a": {"Tier": "X"}})
    assert w.plan(day(3)).planned_users == 0


def test_an_attribute_stays_in_doubt_until_it_is_acknowledged_itself(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(1), {"a": {"Tier": "X", "Spend": 1.0}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Tier": "Y", "Spend": 2.0}})
    w.send(w.plan(day(2)), stop_after=0, lose_ack=True)
    w.profiles(day(3), {"a": {"Tier": "X", "Spend": 1.0}}, held={"a": ["Spend"]})
    assert w.sent(w.run(day(3))) == {"a": {"Tier": "X"}}
    w.profiles(day(4), {"a": {"Tier": "X", "Spend": 1.0}})
    assert w.sent(w.run(day(4))) == {"a": {"Spend": 1.0}}
    assert w.braze.profiles["a"] == {"Tier": "X", "Spend": 1.0}
    assert w.plan(day(4)).planned_users == 0


def test_who_was_never_attempted_before_a_send_stopped_is_not_in_doubt(world: Make) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    plan = w.plan(day(1))
    users = [row["__user_id"] for row in w.rows(plan) if row["__request"] == 1]

    def in_doubt() -> list[str]:
        w.apply_acknowledgements()
        rows = w.con.execute("SELECT user_id FROM ledger.in_doubt ORDER BY ALL").fetchall()
        return [user for (user,) in rows]

    w.send(plan, stop_after=1, begun=1)
    assert in_doubt() == sorted(users)
    w.now += timedelta(minutes=1)
    w.send(plan, stop_after=0, begun=-1)
    assert in_doubt() == sorted(users)
    w.now += timedelta(minutes=1)
    w.send(plan, stop_after=0)  # killed
    assert len(in_doubt()) == 5


def test_how_far_a_send_got_is_known_once_it_has_ended_though_others_planned_before(
    world: Make,
) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    plan = w.plan(day(1))
    send_id = w.send(plan, stop_after=1, leave_running=True)
    w.apply_acknowledgements()  # as the plan of another template does
    assert w.con.execute("SELECT count(*) FROM ledger.in_doubt").fetchone() == (5,)
    with closing(w.journal()) as con, con:
        con.execute(
            "UPDATE sends SET status = 'failed', ended_at = started_at, summary = ? "
            "WHERE send_id = ?",
            [json.dumps({"begun": 0}), send_id],
        )
    w.apply_acknowledgements()
    assert w.con.execute("SELECT count(*) FROM ledger.in_doubt").fetchone() == (0,)


def test_a_killed_send_that_the_next_one_ends_outdates_no_plan(world: Make) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    w.send(w.plan(day(1)), stop_after=0, leave_running=True)
    w.apply_acknowledgements()
    w.profiles(day(2), MANY)
    plan = w.plan(day(2))
    w.now += timedelta(minutes=1)
    w.send(plan, stop_after=1, begun=0)
    w.apply_acknowledgements()
    stored_plans.check_sendable(w.con, w.warehouse, w.t, plan.plan_id)
    w.send(plan)
    w.apply_acknowledgements()
    assert w.plan(day(2)).planned_users == 0


def test_a_resumed_send_leaves_nothing_in_doubt(world: Make) -> None:
    w = world(T, " ".join(MANY))
    w.profiles(day(1), MANY)
    plan = w.plan(day(1))
    w.send(plan, stop_after=1, lose_ack=True)
    w.apply_acknowledgements()
    assert w.con.execute("SELECT count(*) FROM ledger.in_doubt").fetchone() == (5,)
    w.send(plan)
    w.apply_acknowledgements()
    assert w.con.execute("SELECT count(*) FROM ledger.in_doubt").fetchone() == (0,)
