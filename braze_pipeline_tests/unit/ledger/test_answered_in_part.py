"""Requests of which only some objects have an answer: a request may be split while it is sent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

from braze_pipeline.plan.stored_plans import PlanSummary
from braze_pipeline_tests.ledger_world import World, attribute, day, template

Make = Callable[..., World]
T = template(attribute("Tier"))


def begin(w: World, plan: PlanSummary) -> int:
    """Begin a send."""
    return w.send(plan, stop_after=0, leave_running=True)


def answer(w: World, send_id: int, index: int, *, refused: bool = False) -> None:
    """A second later, journal the answer for one object of the first request."""
    w.now += timedelta(seconds=1)
    with closing(w.journal()) as journal, journal:
        journal.execute(
            "INSERT INTO acknowledgements VALUES (?, 0, ?, 1, ?)",
            (send_id, index, w.now.isoformat()),
        )
        if refused:
            journal.execute("INSERT INTO refusals VALUES (?, 0, ?, 201, 'no', 1)", (send_id, index))


def test_the_object_without_an_answer_is_in_doubt_and_the_other_is_not(world: Make) -> None:
    w = world(T, "a b")
    w.profiles(day(1), {"a": {"Tier": "X"}, "b": {"Tier": "X"}})
    w.run(day(1))
    w.profiles(day(2), {"a": {"Tier": "Y"}, "b": {"Tier": "Y"}})
    plan = w.plan(day(2))
    answered, other = (row["__user_id"] for row in w.rows(plan))
    answer(w, begin(w, plan), 0)
    w.apply_acknowledgements()
    w.profiles(day(3), {answered: {"Tier": "Y"}, other: {"Tier": "X"}})
    assert w.sent(w.plan(day(3))) == {other: {"Tier": "X"}}


def test_each_answer_is_applied_once_also_while_the_send_runs(world: Make) -> None:
    w = world(T, "a b c")
    w.profiles(day(1), {user: {"Tier": "X"} for user in "abc"})
    plan = w.plan(day(1))
    send_id = begin(w, plan)
    applied = []
    for index in (1, 0, 2):
        answer(w, send_id, index, refused=index == 1)
        found = w.apply_acknowledgements()
        applied.append((found.accepted, found.refused))
    assert applied == [(0, 1), (1, 0), (1, 0)]
    assert w.con.execute(
        "SELECT status, accepted_users, refused_users FROM records.plans"
    ).fetchall() == [("sent", 2, 1)]
