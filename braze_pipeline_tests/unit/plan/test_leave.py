"""What happens to users who left the audience."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from braze_pipeline.ledger.ledger import Ledger, ledger_of
from braze_pipeline.ledger.reset import reset_attributes
from braze_pipeline.send.result import SendResult
from braze_pipeline.send.step import all_refused
from braze_pipeline.settings import ValueType, replace
from braze_pipeline_tests.ledger_world import World, attribute, day, smaller_requests, template

Make = Callable[..., World]
T = template(
    attribute("Tier", on_leave="clear"),
    attribute("VIP", ValueType.BOOLEAN, on_leave="set", leave_value=False),
    attribute("Likes", ValueType.ARRAY, on_leave="set", leave_value=["none"]),
    attribute("Spend", ValueType.FLOAT),
)
FULL = {"Tier": "gold", "VIP": True, "Likes": ["x"], "Spend": 1.0}


def test_by_default_braze_is_left_untouched(world: Make) -> None:
    w = world(template(attribute("Tier")), "a b")
    w.profiles(day(1), {"a": {"Tier": "x"}, "b": {"Tier": "x"}})
    w.run(day(1))
    w.profiles(day(2), {"b": {"Tier": "x"}}, left_out=["a"])
    assert w.run(day(2)).planned_users == 0


def test_attributes_are_cleared_or_set_once(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": FULL, "b": FULL})
    w.run(day(1))
    w.profiles(day(2), {"b": FULL}, left_out=["a"])
    plan = w.run(day(2))
    assert w.sent(plan) == {"a": {"Tier": None, "VIP": False, "Likes": ["none"]}}
    assert plan.reasons == {"left audience": 1}
    assert (plan.profiles, plan.planned_users, plan.unchanged_users, plan.leaving_users) == (
        1,
        1,
        1,
        1,
    )
    for number in (2, 3):
        w.profiles(day(number), {"b": FULL}, left_out=["a"])
        assert w.run(day(number)).planned_users == 0
    assert w.braze.profiles["a"] == {"VIP": False, "Likes": ["none"], "Spend": 1.0}


def test_who_left_and_was_rejected_by_braze_stays_in_the_counts_until_it_is_sent(
    world: Make,
) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": FULL, "b": FULL})
    w.run(day(1))
    w.profiles(day(2), {"b": FULL}, left_out=["a"])
    w.run(day(2), refuse=["a"])
    plan = w.run(day(2))
    assert (plan.planned_users, plan.leaving_users, plan.held_back_users) == (0, 1, 1)
    assert plan.profiles + plan.leaving_users == plan.unchanged_users + plan.held_back_users
    # Braze has all that it should have of the only user with a profile.
    nothing = SendResult(accepted_users=0, rejected_users=0, not_attempted_users=0)
    assert all_refused(plan, nothing) is None

    Ledger(w.con, plan.ledger).release_refused(T.name)
    plan = w.run(day(2))
    assert set(w.sent(plan)) == {"a"}
    assert (plan.leaving_users, plan.held_back_users) == (1, 0)


def test_a_deleted_customer_has_left(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": FULL, "b": FULL})
    w.run(day(1))
    w.profiles(day(2), {"b": FULL})
    assert set(w.sent(w.run(day(2)))) == {"a"}


def test_a_user_whose_identifier_changed_has_left_under_the_old_one(world: Make) -> None:
    t = replace(T, identifier_column="note")
    w = world(t, "a b")
    w.profiles(day(1), {"a": FULL})
    w.run(day(1))
    w.profiles(day(2), {"b": FULL})
    # The customer, who is still in the audience, had the identifier a, and now has b.
    w.con.execute(f"UPDATE {t.table('audience')} SET customer_id = 'c'")
    w.con.execute(
        f"UPDATE {t.table('customer_attributes')} SET note = customer_id, customer_id = 'c'"
    )
    assert set(w.sent(w.run(day(2)))) == {"a", "b"}


def test_who_comes_back_gets_everything_that_differs(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": FULL, "b": FULL})
    w.run(day(1))
    w.profiles(day(2), {"b": FULL})
    w.run(day(2))
    w.profiles(day(3), {"a": FULL, "b": FULL})
    assert w.sent(w.run(day(3))) == {"a": {"Tier": "gold", "VIP": True, "Likes": ["x"]}}
    assert w.braze.profiles["a"] == FULL


def test_a_row_that_was_rejected_today_has_not_left(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": FULL, "b": FULL})
    w.run(day(1))
    w.profiles(day(2), {"b": FULL}, rejected=["a"])
    assert w.run(day(2)).planned_users == 0
    w.profiles(day(3), {"b": FULL})
    assert set(w.sent(w.run(day(3)))) == {"a"}


def test_who_left_by_the_newest_day_of_a_range_is_cleared_though_its_first_were_carried_out(
    world: Make,
) -> None:
    t = template(attribute("Tier", on_leave="clear"), attribute("Points"))
    w = world(t, "a b")
    rows = {"a": {"Tier": "gold", "Points": "1"}, "b": {"Tier": "gold", "Points": "1"}}
    for number in (1, 2):
        w.profiles(day(number), rows)
        w.run(day(number))
    for number in (2, 3):  # the audience is smaller from the second day on
        w.profiles(day(number), {"b": rows["b"]}, left_out=["a"])
    w.profiles(day(1), {"a": {"Tier": "silver", "Points": "0"}, "b": rows["b"]})
    plan = w.run(day(1), day(2), day(3))
    assert w.sent(plan) == {"a": {"Tier": None}}
    assert w.braze.profiles == {"a": {"Points": "1"}, "b": rows["b"]}  # `keep` is of the row's day


def test_who_left_by_the_newest_day_of_a_range_is_cleared_though_an_older_day_ran_after_it(
    world: Make,
) -> None:
    t = template(attribute("Tier", on_leave="clear"))
    w = world(t, "a b")
    w.profiles(day(2), {"b": {"Tier": "gold"}}, left_out=["a"])
    w.run(day(2))
    w.profiles(day(1), {"a": {"Tier": "gold"}, "b": {"Tier": "gold"}})
    assert w.sent(w.run(day(1))) == {"a": {"Tier": "gold"}}
    assert w.sent(w.run(day(1), day(2))) == {"a": {"Tier": None}}
    assert w.run(day(1), day(2)).planned_users == 0


def test_a_user_never_sent_is_not_touched_on_leave(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {}, "b": FULL})
    w.run(day(1))
    w.profiles(day(2), {"b": FULL}, left_out=["a"])
    assert w.run(day(2)).planned_users == 0


def test_a_backfill_takes_nobody_out(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(5), {"a": FULL, "b": FULL})
    w.run(day(5))
    w.profiles(day(4), {"b": FULL}, left_out=["a"])
    assert w.run(day(4)).planned_users == 0


def test_a_day_whose_audience_was_not_built_takes_nobody_out(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": FULL, "b": FULL})
    w.run(day(1))
    w.profiles(day(2), {"b": FULL})
    w.con.execute(f"DELETE FROM {T.table('audience')} WHERE __as_of = ?", [day(2)])
    assert w.run(day(2)).planned_users == 0


def test_in_a_range_who_left_by_its_end_gets_both_the_last_values_and_the_leave(
    world: Make,
) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": FULL, "b": FULL})
    w.run(day(1))
    w.profiles(day(2), {"a": {**FULL, "Spend": 2.0}, "b": FULL})
    w.profiles(day(3), {"b": FULL}, left_out=["a"])
    plan = w.run(day(2), day(3))
    assert w.sent(plan) == {"a": {"Tier": None, "VIP": False, "Likes": ["none"], "Spend": 2.0}}
    assert plan.profiles + plan.leaving_users == (
        plan.planned_users + plan.unchanged_users + plan.superseded_users + plan.held_back_users
    )


def test_who_left_by_the_end_of_a_range_stays_cleared_when_a_day_within_it_is_built_later(
    world: Make,
) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": FULL, "b": FULL})
    w.run(day(1))
    w.profiles(day(2), {"a": {**FULL, "Spend": 2.0}, "b": FULL})
    w.profiles(day(4), {"b": FULL}, left_out=["a"])
    w.run(day(2), day(4))
    w.profiles(day(3), {"a": FULL, "b": FULL})
    assert w.run(day(3)).planned_users == 0


@pytest.mark.parametrize("known", ["assume", "lookup"])
def test_who_left_while_the_first_request_had_no_answer_has_left(world: Make, known: str) -> None:
    t = smaller_requests(template(*T.attributes, known=known), 1)
    w = world(t, "a b")
    w.profiles(day(1), {"a": {"Tier": "gold"}, "b": {"Tier": "gold"}})
    plan = w.plan(day(1))
    w.send(plan, stop_after=1, lose_ack=True)
    (lost,) = (row["__user_id"] for row in w.rows(plan) if row["__request"] == 1)
    (stays,) = {"a", "b"} - {lost}
    w.profiles(day(2), {stays: {"Tier": "gold"}}, left_out=[lost])
    plan = w.run(day(2))
    assert w.sent(plan) == {lost: {"Tier": None, "VIP": False, "Likes": ["none"]}}
    assert (plan.leaving_users, plan.reasons) == (1, {"left audience": 1})
    assert w.braze.profiles[lost] == {"VIP": False, "Likes": ["none"]}
    assert w.run(day(2)).planned_users == 0


def test_what_leaving_sets_is_set_though_no_other_attribute_had_an_answer(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Spend": 1.0}})
    w.send(w.plan(day(1)), stop_after=0, lose_ack=True)
    w.profiles(day(2), {"b": {"Spend": 1.0}}, left_out=["a"])
    w.run(day(2))
    assert w.braze.profiles["a"] == {"Spend": 1.0, "VIP": False, "Likes": ["none"]}


def test_what_another_template_may_have_sent_makes_nobody_leave_this_one(world: Make) -> None:
    shared = attribute("Tier")
    own = attribute("Own", on_leave="set", leave_value="none")
    one, two = template(shared, name="one"), template(shared, own, name="two")
    w = world(one, "a b")
    w.profiles(day(1), {"a": {"Tier": "x"}}, t=one)
    w.send(w.plan(day(1), t=one), stop_after=0)
    w.profiles(day(1), {"b": {"Tier": "x", "Own": "o"}}, t=two)
    assert set(w.sent(w.run(day(1), t=two))) == {"b"}


def test_who_joins_on_a_newer_day_has_not_left_an_older_one(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(9), {"b": FULL})
    w.run(day(9))
    w.profiles(day(10), {"a": {"Tier": "gold"}, "b": FULL})
    w.send(w.plan(day(10)), stop_after=0)
    assert w.run(day(9)).planned_users == 0


def test_a_request_without_an_answer_takes_nobody_out_who_is_still_there(world: Make) -> None:
    other = template(attribute("Points", on_leave="clear"), name="other")
    w = world(T, "a")
    w.profiles(day(1), {"a": FULL})
    w.profiles(day(1), {"b": {"Points": "1"}}, t=other)
    w.send(w.plan(day(1)), stop_after=0, lose_ack=True)
    assert w.run(day(1), t=other).leaving_users == 0  # never in the audience of this template
    w.profiles(day(2), {}, rejected=["a"])
    assert w.run(day(2)).planned_users == 0
    w.con.execute(f"DELETE FROM {T.table('audience')}")  # no evidence of anything
    assert w.run(day(2)).planned_users == 0


def test_a_reset_sends_those_who_left_their_value_again(world: Make) -> None:
    """Somebody deleted the attribute in Braze."""
    t = template(attribute("Tier", on_leave="set", leave_value="none"), attribute("Plan"))
    w = world(t, "a b")
    w.profiles(day(1), {"a": {"Tier": "x"}, "b": {"Tier": "x"}})
    w.run(day(1))
    w.profiles(day(2), {"b": {"Tier": "x"}}, left_out=["a"])
    w.run(day(2))
    w.braze.profiles = {"a": {}, "b": {}}
    reset_attributes(ledger_of(w.con, t), t, ["Tier"])
    w.run(day(2))
    assert w.braze.profiles == {"a": {"Tier": "none"}, "b": {"Tier": "x"}}
    assert w.plan(day(2)).planned_users == 0


def test_who_left_before_a_change_of_type_is_cleared_when_on_leave_says_so_later(
    world: Make,
) -> None:
    """The ledger does not have the values of before the change any more, but Braze has them."""
    w = world(template(attribute("Tier")), "a b")
    w.profiles(day(1), {"a": {"Tier": "x"}, "b": {"Tier": "x"}})
    w.run(day(1))
    w.profiles(day(2), {"b": {"Tier": "x"}}, left_out=["a"])
    w.run(day(2))
    t = template(attribute("Tier", ValueType.INTEGER, on_leave="clear"))
    w.con.execute(f"DROP TABLE {t.table('profiles')}")
    w.profiles(day(3), {"b": {"Tier": 7}}, left_out=["a"], t=t)
    reset_attributes(ledger_of(w.con, t), t, ["Tier"])
    w.run(day(3), t=t)
    assert w.braze.profiles == {"a": {}, "b": {"Tier": 7}}
    assert w.plan(day(3), t=t).planned_users == 0
