"""When an open action closes, and when it stays open, over a real instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from braze_pipeline import errors
from braze_pipeline.orchestration import metadata
from braze_pipeline.orchestration.attempts import PARENT_TAG, RESUMED_TAG
from braze_pipeline_tests.watched_world import DAY, NEXT_DAY, World, template

BUILT = ["customer_attributes", "braze_audience", "braze_profiles"]
UNAVAILABLE = errors.BrazeUnavailable("Braze failed for 300 s.", fix="Wait, then run again.")


def test_a_later_success_closes_the_action_even_within_one_tick(
    world: World,
) -> None:
    world.raises["braze_send"] = UNAVAILABLE
    world.run()
    world.raises.clear()
    good = world.run()
    world.tick()

    assert world.open_actions() == []
    (closed,) = world.store.closed_actions(limit=9)
    assert closed.how == f"Run {good.run_id[:8]} went through."


def test_a_run_that_stops_before_the_goal_or_is_for_an_older_day_closes_nothing(
    world: World,
) -> None:
    world.raises["braze_send"] = UNAVAILABLE
    world.run(day=NEXT_DAY)
    world.raises.clear()
    world.run(day=NEXT_DAY, only=["customer_attributes", "braze_audience"])
    world.run(day=DAY)
    world.tick()
    assert world.one().count == 1

    world.run(day=NEXT_DAY, only=["braze_send"])
    world.tick()
    assert world.open_actions() == []


@pytest.mark.parametrize(
    ("repeat", "recovery"),
    [
        ({"day": DAY}, {"day": DAY}),
        ({"day": DAY, "only": BUILT}, {"day": DAY, "only": BUILT}),
        ({"day": NEXT_DAY, "only": BUILT}, {"day": NEXT_DAY, "only": BUILT}),
        ({"day": "2026-03-03", "only": BUILT}, {"day": NEXT_DAY}),
    ],
)
def test_a_repeat_for_an_older_day_or_without_a_send_does_not_make_the_action_easier_to_close(
    world: World, repeat: dict[str, Any], recovery: dict[str, Any]
) -> None:
    world.raises["customer_attributes"] = UNAVAILABLE
    nightly = world.run(day=NEXT_DAY)
    world.run(**repeat)
    world.tick()
    action = world.one()
    assert (action.count, action.goal, action.run_id) == (2, "braze_send", nightly.run_id)

    world.raises.clear()
    world.run(**recovery)
    world.tick()
    assert world.open_actions() == [action]
    world.run(day="2026-03-03")
    world.tick()
    assert world.open_actions() == []


def test_a_repeat_for_a_newer_day_or_with_a_send_is_what_the_action_is_about(world: World) -> None:
    world.raises["customer_attributes"] = UNAVAILABLE
    world.run(only=BUILT)
    newest = world.run(day=NEXT_DAY)
    world.tick()
    action = world.one()
    assert (action.days, action.goal) == ((NEXT_DAY, NEXT_DAY), "braze_send")
    assert action.run_id == newest.run_id


def test_a_cause_that_comes_back_is_a_new_action(world: World) -> None:
    world.raises["braze_send"] = UNAVAILABLE
    world.run()
    world.tick()
    world.raises.clear()
    world.run()
    world.raises["braze_send"] = UNAVAILABLE
    world.run()
    world.tick()
    assert world.one().number == 2


def test_a_partial_success_above_the_threshold_is_reported_and_closes_with_the_next_good_run(
    world: World,
) -> None:
    world.rejected_rows, world.refused = 30, 15
    world.run()
    world.tick()
    assert world.open_actions() == []

    world.refused = 30
    world.run()
    world.run(day=NEXT_DAY)
    world.tick()
    action = world.one()
    assert (action.action, action.count) == ("partial_success", 2)
    assert "30 rows were rejected by the contract" in action.what

    world.refused = 0
    world.run(day=NEXT_DAY)
    world.tick()
    assert world.open_actions() == []


def test_a_run_that_does_not_report_its_rejections_is_reported_and_does_not_count_as_good(
    world: World,
) -> None:
    world.silent = True
    world.run()
    world.tick()
    assert world.one().action == "unknown"
    assert f"reports no '{metadata.REJECTED_ROWS}'" in world.one().what


def resumed(world: World, run: dg.ExecuteInProcessResult, *only: str) -> dg.ExecuteInProcessResult:
    """Re-execute a run from failure."""
    return world.run(day=NEXT_DAY, only=only, tags={PARENT_TAG: run.run_id, RESUMED_TAG: "true"})


def test_a_resumed_run_warns_of_what_its_first_attempt_found(world: World) -> None:
    world.rejected_rows, world.stale = 90, "orders: saw no row."
    world.raises["braze_send"] = UNAVAILABLE
    first = world.run(day=NEXT_DAY)
    second = resumed(world, first, "braze_send")
    world.raises.clear()
    third = resumed(world, second, "braze_send")
    world.tick()
    assert {one.action: one.run_id for one in world.open_actions()} == dict.fromkeys(
        ("partial_success", "source_stale"), third.run_id
    )


def test_of_a_step_that_was_done_again_only_the_last_attempt_counts(world: World) -> None:
    world.rejected_rows, world.stale = 90, "orders: saw no row."
    world.raises["braze_plan"] = UNAVAILABLE
    first = world.run(day=NEXT_DAY)
    world.raises.clear()
    world.rejected_rows, world.stale = 0, None
    resumed(world, first, *BUILT, "braze_plan", "braze_send")
    world.tick()
    assert world.open_actions() == []


@pytest.mark.parametrize("resume", [True, False])
def test_a_run_that_did_not_look_at_the_profiles_closes_no_partial_success(
    world: World, resume: bool
) -> None:
    world.rejected_rows = 90
    world.run()
    world.rejected_rows = 0
    world.raises["braze_send"] = UNAVAILABLE
    first = world.run(day=NEXT_DAY)
    world.raises.clear()
    if resume:
        resumed(world, first, "braze_send")
    else:
        world.run(day=NEXT_DAY, only=["braze_send"])
    world.tick()
    assert world.one().action == "partial_success"
    world.run(day=NEXT_DAY)
    world.tick()
    assert world.open_actions() == []


def test_late_sources_are_reported_although_the_run_succeeds_until_a_run_finds_them_fresh(
    world: World,
) -> None:
    world.stale = "orders: saw the newest row of 2026-02-01, 28 days before 2026-03-01."
    world.run()
    world.tick()
    world.stale = "orders: saw the newest row of 2026-02-01, 29 days before 2026-03-02."
    world.run(day=NEXT_DAY)
    world.tick()
    action = world.one()
    assert (action.action, action.count) == ("source_stale", 2)
    assert "29 days" in action.what

    world.stale = None
    world.run(day=NEXT_DAY, only=["braze_plan", "braze_send"])  # did not look at the sources
    world.tick()
    assert world.one().resolved_at is None
    world.run(day=DAY)  # an older day does not make up for a newer one
    world.tick()
    assert world.one().resolved_at is None
    world.run(day=NEXT_DAY)
    world.tick()
    assert world.open_actions() == []


def test_a_run_that_fails_for_one_template_closes_the_action_of_another_that_it_sent(
    make_world: Callable[..., World],
) -> None:
    world = make_world(templates=(template("loyal"), template("vip", prefix=("vip",))))
    world.raises["braze_send"] = UNAVAILABLE
    world.run_with()
    world.tick()
    assert [one.template for one in world.open_actions()] == ["loyal", "vip"]

    world.raises = {"vip/braze_send": UNAVAILABLE}
    world.run_with()
    world.tick()
    assert (world.one().template, world.one().count) == ("vip", 2)
