"""Slow runs and overdue sends, over a real instance and a moved clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventType

from braze_pipeline import errors
from braze_pipeline.settings import AlertSettings, ScheduleSettings
from braze_pipeline_tests.watched_world import NEXT_DAY, World, template

MakeWorld = Callable[..., World]


def start_run(world: World) -> dg.DagsterRun:
    """A run that is under way, with the same assets as a finished one."""
    last = world.instance.get_runs(limit=1)[0]
    run = world.instance.create_run_for_job(
        world.definitions.resolve_job_def("braze_daily"),
        tags=last.tags,
        asset_selection=last.asset_selection,
    )
    for kind in (DagsterEventType.PIPELINE_STARTING, DagsterEventType.PIPELINE_START):
        event = DagsterEvent(event_type_value=kind.value, job_name=run.job_name)
        world.instance.report_dagster_event(event, run_id=run.run_id)
    return run


def test_a_run_far_slower_than_earlier_ones_is_reported_once_and_closed_when_it_ends(
    world: World,
) -> None:
    for _ in range(3):
        world.run()
    run = start_run(world)
    assert "No run is slow" in world.tick("lateness")

    world.minutes = 11
    for _ in range(3):
        world.tick("lateness")
    action = world.one()
    assert (action.action, action.run_id, action.count) == ("slow_run", run.run_id, 1)

    world.run(day=NEXT_DAY)  # another run's success says nothing about this one
    world.tick()
    assert world.one().number == action.number

    world.instance.report_run_failed(run)
    world.tick("lateness")
    assert world.open_actions() == []


def test_no_run_is_slow_while_there_are_too_few_to_compare(world: World) -> None:
    world.run()
    start_run(world)
    world.minutes = 600
    world.tick("lateness")
    assert [action.action for action in world.open_actions()] == []


def test_runs_of_other_assets_are_not_compared(world: World) -> None:
    for _ in range(3):
        world.run(only=["customer_attributes"])
    world.run()
    start_run(world)
    world.minutes = 600
    world.tick("lateness")
    assert world.open_actions() == []


def test_the_alert_for_slow_runs_can_be_switched_off(make_world: MakeWorld) -> None:
    world = make_world(templates=(template(alerts=AlertSettings(slow_factor=None)),))
    for _ in range(3):
        world.run()
    start_run(world)
    world.minutes = 600
    world.tick("lateness")
    assert world.open_actions() == []


def test_an_overdue_send_is_reported_once(make_world: MakeWorld) -> None:
    world = make_world(
        environ={"BRAZE_API_KEY": "key"},
        templates=(template(schedule=ScheduleSettings(max_age_hours=36)),),
    )
    world.run()
    world.minutes = 35 * 60
    world.tick("lateness")
    assert world.open_actions() == []

    world.minutes = 37 * 60
    world.tick("lateness")
    world.tick("lateness")
    action = world.one()
    assert (action.action, action.count, action.run_id) == ("send_overdue", 1, None)


def test_only_a_send_that_went_through_ends_the_silence(make_world: MakeWorld) -> None:
    world = make_world(
        environ={"BRAZE_API_KEY": "key"},
        templates=(template(schedule=ScheduleSettings(max_age_hours=1e-9)),),
    )
    world.run()
    world.tick("lateness")
    world.raises["braze_send"] = errors.BrazeUnavailable("Down.", fix="")
    world.run()
    world.tick()
    assert [one.action for one in world.open_actions()] == ["send_overdue", "braze_unavailable"]

    world.raises.clear()
    world.run()
    world.tick()
    assert world.open_actions() == []


def test_nothing_is_overdue_without_a_schedule_a_key_or_a_first_send_or_after_the_last_day(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    for folder, environ, schedule, sends, last_day in (
        ("a", {}, ScheduleSettings(), True, None),
        ("b", {"BRAZE_API_KEY": "key"}, None, True, None),
        ("c", {"BRAZE_API_KEY": "key"}, ScheduleSettings(), False, None),
        ("d", {"BRAZE_API_KEY": "key"}, ScheduleSettings(), True, date(2026, 3, 9)),
    ):
        with dg.DagsterInstance.ephemeral() as instance:
            world = make_world(
                instance=instance,
                folder=tmp_path / folder,
                environ=environ,
                templates=(template(schedule=schedule, end_date=last_day),),
            )
            if sends:
                world.run()
            world.minutes = 1_000 * 60
            world.tick("lateness")
            assert world.open_actions() == []
