"""Dagster's own run failure sensor beside ours: one action, one notification."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorType

from braze_pipeline import errors
from braze_pipeline_tests.receivers import HttpReceiver
from braze_pipeline_tests.watched_world import NEXT_DAY, World, template

MakeWorld = Callable[..., World]

UNAVAILABLE = errors.BrazeUnavailable("Braze failed for 300 s.", fix="Wait, then run again.")
FAILURE, ACTIONS = "run_failure", "workflow_actions"


@pytest.fixture
def world(
    make_world: MakeWorld, persistent_instance: dg.DagsterInstance, http: HttpReceiver
) -> World:
    made = make_world(instance=persistent_instance, environ={"BRAZE_PIPELINE_WEBHOOK": http.url})
    made.tick(FAILURE)  # Dagster's begins at its first tick
    made.raises["braze_send"] = UNAVAILABLE
    return made


def test_it_is_the_kind_of_sensor_that_dagster_users_look_for(world: World) -> None:
    sensor = world.sensors["braze_run_failure"]
    assert sensor.sensor_type is SensorType.RUN_STATUS
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


@pytest.mark.parametrize("order", [(FAILURE, ACTIONS), (ACTIONS, FAILURE)])
def test_whichever_sensor_comes_first_there_is_one_action_and_one_notification(
    world: World, http: HttpReceiver, order: tuple[str, str]
) -> None:
    run = world.run()
    assert world.tick(order[0]).startswith("action 1 opened")
    assert world.acted_on == [run.run_id], "such a tick is a success, and names the run"
    for name in (*order, *order):
        world.tick(name)
    assert (world.one().action, world.one().count) == ("braze_unavailable", 1)
    assert [body["event"] for _, body in http.requests] == ["action.opened"]
    assert (world.acted_on, world.reported) == ([], world.reported)
    output = [
        e.message for e in world.instance.all_logs(run.run_id) if "Workflow action" in e.message
    ]
    assert len(output) == 1


def test_a_tick_that_opens_closes_or_notifies_does_not_say_skipped(
    world: World, http: HttpReceiver
) -> None:
    world.run()
    world.run(day=NEXT_DAY)
    world.raises.clear()
    world.raises["customer_attributes"] = errors.SourceMissing("No orders.", fix="")
    world.run(day=NEXT_DAY)
    output = world.tick(ACTIONS)
    assert "action 1 opened" in output
    assert "action 1 repeated" in output
    assert "action 2 opened" in output
    assert output.count("(webhook)") == 2
    assert len(world.acted_on) == 3

    world.tick(ACTIONS)
    assert (world.acted_on, world.reported) == ([], "No run of this destination has ended.")

    world.raises.clear()
    good = world.run(day=NEXT_DAY)
    assert "action 1 resolved" in world.tick(ACTIONS)
    assert good.run_id in world.acted_on


def test_a_run_that_will_be_retried_or_is_not_ours_is_ignored(
    make_world: MakeWorld, world: World, tmp_path: Path
) -> None:
    world.run(tags={"dagster/will_retry": "true"})
    assert "will probably be retried" in world.tick(FAILURE)
    theirs = make_world(
        instance=world.instance,
        folder=tmp_path / "theirs",
        templates=(template("vip", destination="second", prefix=("second",)),),
    )
    theirs.raises["braze_send"] = UNAVAILABLE
    theirs.run()
    assert "Nothing new to record" in world.tick(FAILURE)
    assert world.acted_on == []
    assert world.open_actions() == []


def test_a_failure_that_dagsters_sensor_loses_is_caught_by_ours(world: World) -> None:
    world.run()
    good = world.warehouse.actions_path
    good.write_bytes(b"this is no database" * 100)
    assert world.tick(FAILURE) == ""
    assert "DatabaseError" in world.problems
    good.unlink()
    world.tick(FAILURE)  # Dagster has moved on
    assert world.open_actions() == []
    world.tick(ACTIONS)
    assert world.one().count == 1
