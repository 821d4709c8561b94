"""Older days never overwrite newer ones."""

from __future__ import annotations

from collections.abc import Callable

from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.settings import ValueType
from braze_pipeline_tests.ledger_world import World, attribute, day, smaller_requests, template

Make = Callable[..., World]
T = template(attribute("Tier"), attribute("Spend", ValueType.FLOAT))


def test_a_backfill_of_the_past_is_superseded(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(10), {"a": {"Tier": "new"}, "b": {"Tier": "same"}})
    w.run(day(10))
    w.profiles(day(9), {"a": {"Tier": "old"}, "b": {"Tier": "same"}})
    plan = w.run(day(9))
    assert (plan.planned_users, plan.superseded_users, plan.unchanged_users) == (0, 1, 1)
    assert w.braze.profiles["a"] == {"Tier": "new"}


def test_a_day_that_found_a_value_unchanged_guards_it_too(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(10), {"a": {"Tier": "X"}})
    w.run(day(10))
    w.profiles(day(12), {"a": {"Tier": "X"}})
    assert w.run(day(12)).planned_users == 0
    w.profiles(day(11), {"a": {"Tier": "Y"}})
    plan = w.run(day(11))
    assert (plan.planned_users, plan.superseded_users) == (0, 1)
    assert w.braze.profiles["a"] == {"Tier": "X"}


def test_a_backfill_takes_no_guard_away(world: Make) -> None:
    w = world(T, "a")
    for number, tier in ((10, "X"), (12, "X"), (9, "W"), (11, "Y")):
        w.profiles(day(number), {"a": {"Tier": tier}})
        w.run(day(number))
    assert w.braze.profiles["a"] == {"Tier": "X"}


def test_a_day_that_found_nothing_to_send_guards_a_user_without_values(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(12), {"a": {}, "b": {"Tier": "x"}})
    w.run(day(12))
    w.profiles(day(11), {"a": {"Tier": "Y"}})
    assert w.run(day(11)).superseded_users == 1
    assert "a" not in w.braze.profiles


def test_a_newer_plan_that_was_never_sent_guards_nothing(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(10), {"a": {"Tier": "X"}})
    w.run(day(10))
    w.profiles(day(12), {"a": {"Tier": "Z"}})
    w.plan(day(12))
    w.profiles(day(11), {"a": {"Tier": "Y"}})
    assert w.sent(w.run(day(11))) == {"a": {"Tier": "Y"}}


def test_a_user_missing_from_the_newest_day_is_guarded_by_its_own_newest(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(10), {"a": {"Tier": "10"}, "b": {"Tier": "10"}})
    w.run(day(10))
    w.profiles(day(12), {"b": {"Tier": "12"}})
    w.run(day(12))
    w.profiles(day(11), {"a": {"Tier": "11"}, "b": {"Tier": "11"}})
    plan = w.run(day(11))
    assert w.sent(plan) == {"a": {"Tier": "11"}}
    assert plan.superseded_users == 1
    w.profiles(day(9), {"a": {"Tier": "9"}})
    assert w.run(day(9)).superseded_users == 1


def test_in_a_range_only_the_newest_state_of_each_user_is_sent(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Tier": "1"}, "b": {"Tier": "1"}})
    w.profiles(day(2), {"a": {"Tier": "2"}, "b": {"Tier": "2"}})
    w.profiles(day(3), {"a": {"Tier": "3"}})
    plan = w.run(day(1), day(3), day(2))
    assert w.sent(plan) == {"a": {"Tier": "3"}, "b": {"Tier": "2"}}
    assert {row["__user_id"]: row["__as_of"] for row in w.rows(plan)} == {"a": day(3), "b": day(2)}
    assert (plan.profiles, plan.planned_users, plan.superseded_users) == (5, 2, 3)
    w.profiles(day(2), {"b": {"Tier": "2b"}, "a": {"Tier": "2b"}})
    plan = w.run(day(2))
    assert w.sent(plan) == {"b": {"Tier": "2b"}}


def test_who_is_in_an_earlier_day_of_a_range_only_is_guarded_by_that_day(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Tier": "1"}, "b": {"Tier": "1"}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Tier": "1"}, "b": {"Tier": "1"}})
    w.profiles(day(4), {"b": {"Tier": "1"}})
    assert w.run(day(2), day(4)).planned_users == 0
    w.profiles(day(3), {"a": {"Tier": "3"}, "b": {"Tier": "3"}})
    assert w.sent(w.run(day(3))) == {"a": {"Tier": "3"}}


def test_a_backfilled_range_that_ends_before_the_newest_day_sends_what_is_still_news(
    world: Make,
) -> None:
    w = world(T, "a b")
    w.profiles(day(5), {"a": {"Tier": "5"}})
    w.run(day(5))
    w.profiles(day(3), {"a": {"Tier": "3"}, "b": {"Tier": "3"}})
    w.profiles(day(4), {"a": {"Tier": "4"}})
    plan = w.run(day(3), day(4))
    assert w.sent(plan) == {"b": {"Tier": "3"}}
    assert (plan.profiles, plan.planned_users, plan.superseded_users) == (3, 1, 2)


def test_an_older_day_may_be_forced_with_a_reason_on_record(world: Make) -> None:
    w = world(T, "a")
    w.profiles(day(10), {"a": {"Tier": "new"}})
    w.run(day(10))
    w.profiles(day(9), {"a": {"Tier": "old"}})
    plan = w.run(day(9), force_stale="day 10 was loaded wrongly")
    assert w.braze.profiles["a"] == {"Tier": "old"}
    recorded = w.con.execute(
        "SELECT summary ->> 'force_stale' FROM records.plans WHERE plan_id = ?", [plan.plan_id]
    ).fetchone()
    assert recorded == ("day 10 was loaded wrongly",)
    assert w.sent(w.run(day(10))) == {"a": {"Tier": "new"}}


def test_a_refused_user_is_not_taken_for_evaluated(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(10), {"a": {"Tier": "10"}, "b": {"Tier": "10"}})
    w.run(day(10))
    w.profiles(day(12), {"a": {"Tier": "bad"}, "b": {"Tier": "12"}})
    w.run(day(12), refuse=["a"])
    w.profiles(day(11), {"a": {"Tier": "11"}})
    assert w.sent(w.run(day(11))) == {"a": {"Tier": "11"}}


def test_a_refused_user_who_was_away_is_guarded_by_the_last_day_that_found_them(
    world: Make,
) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Tier": "1"}, "b": {"Tier": "1"}})
    w.run(day(1))
    for number in (3, 5):
        w.profiles(day(number), {"b": {"Tier": "1"}})
        w.run(day(number))
    w.profiles(day(7), {"a": {"Tier": "bad"}, "b": {"Tier": "1"}})
    w.run(day(7), refuse=["a"])
    w.profiles(day(4), {"a": {"Tier": "4"}})
    assert w.sent(w.run(day(4))) == {"a": {"Tier": "4"}}


def test_two_templates_of_a_destination_guard_what_they_share(world: Make) -> None:
    shared, own = attribute("Tier"), attribute("Own", on_leave="clear")
    one, two = template(shared, name="one"), template(shared, own, name="two")
    w = world(one, "a b")
    w.profiles(day(9), {"b": {"Tier": "X", "Own": "o"}}, t=two)
    w.run(day(9), t=two)
    w.profiles(day(10), {"a": {"Tier": "X"}}, t=one)
    w.run(day(10), t=one)
    w.profiles(day(12), {"a": {"Tier": "X"}}, t=one)
    w.run(day(12), t=one)
    w.profiles(day(11), {"a": {"Tier": "Y", "Own": "o"}, "b": {"Tier": "X", "Own": "o"}}, t=two)
    plan = w.run(day(11), t=two)
    assert w.sent(plan) == {"a": {"Own": "o"}}
    assert w.braze.profiles["a"] == {"Tier": "X", "Own": "o"}
    w.profiles(day(13), {"b": {"Tier": "X", "Own": "o"}}, left_out=["a"], t=two)
    assert w.sent(w.run(day(13), t=two)) == {"a": {"Own": None}}


def test_what_one_template_sent_another_never_sends_again(world: Make) -> None:
    shared, own = attribute("Tier"), attribute("Own")
    one, two = template(shared, name="one"), template(shared, own, name="two")
    w = world(one, "a")
    w.profiles(day(1), {"a": {"Tier": "X"}}, t=one)
    w.run(day(1), t=one)
    w.profiles(day(1), {"a": {"Tier": "X", "Own": "o"}}, t=two)
    assert w.sent(w.run(day(1), t=two)) == {"a": {"Own": "o"}}
    assert w.plan(day(1), t=two).planned_users == 0


def test_a_crash_in_the_middle_guards_each_user_who_was_or_may_have_been_sent(world: Make) -> None:
    w = world(smaller_requests(T, 1), "a b")
    w.profiles(day(10), {"a": {"Tier": "10"}, "b": {"Tier": "10"}})
    w.run(day(10))
    w.profiles(day(12), {"a": {"Tier": "12"}, "b": {"Tier": "12"}})
    w.send(w.plan(day(12)), stop_after=1)
    w.profiles(day(11), {"a": {"Tier": "11"}, "b": {"Tier": "11"}, "c": {"Tier": "11"}})
    backfill = w.run(day(11))
    assert set(w.sent(backfill)) == {"c"}
    assert backfill.superseded_users == 2


def test_a_crash_in_the_middle_guards_what_was_found_right_too(world: Make) -> None:
    """The day is not carried out yet, so the user's own watermark is beyond the template's."""
    both = template(attribute("Tier"), attribute("Plan"))
    w = world(smaller_requests(both, 1), "a b")
    for number in (10, 12):
        w.profiles(day(number), {user: {"Tier": str(number), "Plan": "p"} for user in "ab"})
        plan = w.plan(day(number))
        w.send(plan, stop_after=None if number == 10 else 1)
        w.apply_acknowledgements()
    first = w.rows(plan)[0]["__user_id"]
    w.profiles(day(11), {first: {"Tier": "12", "Plan": "older"}})
    backfill = w.plan(day(11))
    assert (backfill.planned_users, backfill.superseded_users) == (0, 1)


def test_a_send_killed_after_its_last_answer_guards_those_who_needed_nothing_too(
    world: Make,
) -> None:
    w = world(T, "a b")
    w.profiles(day(2), {"a": {"Tier": "new"}, "b": {"Tier": None}})
    w.send(w.plan(day(2)), leave_running=True)
    w.profiles(day(1), {"b": {"Tier": "old"}})
    older = w.run(day(1))
    assert (older.planned_users, older.superseded_users) == (0, 1)
    assert "b" not in w.braze.profiles


def test_a_send_under_way_guards_those_who_needed_nothing_although_others_plan(
    world: Make,
) -> None:
    w = world(T, "a b")
    w.profiles(day(2), {"a": {"Tier": "new"}, "b": {}})
    plan = w.plan(day(2))
    w.send(plan, stop_after=0, leave_running=True)
    w.apply_acknowledgements()
    ledger_of(w.con, T).record_change("any", None)
    w.plan(day(2))
    w.send(plan)
    w.profiles(day(1), {"b": {"Tier": "old"}})
    assert w.run(day(1)).superseded_users == 1


def test_a_plan_that_is_sent_again_when_it_is_carried_out_does_not_count_twice(
    world: Make,
) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Tier": "x"}, "b": {"Tier": "x"}})
    first = w.run(day(1))
    w.profiles(day(3), {"a": {"Tier": "y"}})
    second = w.plan(day(3))
    w.send(first)
    w.send(second)
    w.apply_acknowledgements()
    # b was not there on day 3, so what day 2 says of b is news.
    w.profiles(day(2), {"a": {"Tier": "z"}, "b": {"Tier": "z"}})
    w.run(day(2))
    assert [w.braze.profiles[user]["Tier"] for user in "ab"] == ["y", "z"]


def test_an_older_day_never_overwrites_what_a_request_of_a_newer_one_may_have_brought(
    world: Make,
) -> None:
    w = world(T, "a")
    w.profiles(day(9), {"a": {"Tier": "old", "Spend": 1.0}})
    w.run(day(9))
    w.profiles(day(10), {"a": {"Tier": "new", "Spend": 1.0}})
    w.send(w.plan(day(10)), stop_after=0, lose_ack=True)
    w.profiles(day(9), {"a": {"Tier": "late", "Spend": 2.0}})
    assert w.sent(w.run(day(9))) == {"a": {"Spend": 2.0}}
    assert w.run(day(9)).superseded_users == 1
    assert w.braze.profiles["a"] == {"Tier": "new", "Spend": 2.0}
    assert w.sent(w.run(day(10))) == {"a": {"Tier": "new", "Spend": 1.0}}
    assert w.run(day(10)).planned_users == 0


def test_a_range_that_was_killed_is_finished_by_running_it_again(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(8), {"a": {"Tier": "8"}, "b": {"Tier": "8"}})
    for number in (9, 10):
        w.profiles(day(number), {"b": {"Tier": str(number)}})
    w.send(w.plan(day(8), day(9), day(10)), stop_after=0)
    assert w.plan(day(8)).superseded_users == 2  # day 10 may be there
    assert w.sent(w.run(day(8), day(9), day(10))) == {"a": {"Tier": "8"}, "b": {"Tier": "10"}}


def test_a_newer_request_without_an_answer_guards_its_own_attributes_alone(world: Make) -> None:
    one, two = template(attribute("A"), name="one"), template(attribute("B"), name="two")
    w = world(one, "a")
    w.profiles(day(10), {"a": {"A": "10"}}, t=one)
    w.send(w.plan(day(10), t=one), stop_after=0)
    w.profiles(day(8), {"a": {"B": "8"}}, t=two)
    w.send(w.plan(day(8), t=two), stop_after=0)
    assert w.sent(w.run(day(8), t=two)) == {"a": {"B": "8"}}


def test_a_range_does_not_overwrite_what_a_request_of_its_newer_day_may_have_brought(
    world: Make,
) -> None:
    w = world(T, "a")
    w.profiles(day(2), {"a": {"Tier": "old"}})
    w.profiles(day(3), {"a": {"Tier": "new"}})
    w.send(w.plan(day(3)), stop_after=0, lose_ack=True)
    w.profiles(day(3), {}, rejected=["a"])
    assert w.run(day(2), day(3)).superseded_users == 1
    assert w.braze.profiles["a"] == {"Tier": "new"}


def test_an_attribute_may_have_any_name_while_something_is_in_doubt(world: Make) -> None:
    names = ("One", "plans", "columns", "days")
    w = world(template(*map(attribute, names)), "a")
    w.profiles(day(2), {"a": dict.fromkeys(names, "x")})
    w.send(w.plan(day(2)), stop_after=0)
    w.profiles(day(1), {"a": dict.fromkeys(names, "w")})
    assert w.run(day(1)).superseded_users == 1
    assert w.sent(w.run(day(2))) == {"a": dict.fromkeys(names, "x")}
