"""Runs that fail over a real instance, and the actions that the sensor opens for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import JobFailureData, RunFailureReason, StepMaterializationData

from braze_pipeline import errors
from braze_pipeline.alerts import resolutions
from braze_pipeline.orchestration.failures import typed_failures
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.watch.changes import Cursor
from braze_pipeline.plan.guards import AUDIENCE_SIZE
from braze_pipeline_tests.watched_world import DAY, NEXT_DAY, PARTITIONS, World, template

UNAVAILABLE = errors.BrazeUnavailable("Braze failed for 300 s.", fix="Wait, then run again.")


def test_a_failed_run_becomes_one_action_with_class_steps_and_what_was_sent(world: World) -> None:
    world.before_failing = 600
    world.raises["braze_send"] = UNAVAILABLE
    run = world.run()

    world.tick()
    world.tick()

    action = world.one()
    assert action.action == "braze_unavailable"
    assert (action.count, action.run_id) == (1, run.run_id)
    assert (action.what, action.fix) == (UNAVAILABLE.what, UNAVAILABLE.fix)
    assert (action.destination, action.template) == ("braze", "loyal")
    assert action.days == (DAY, DAY)
    assert action.goal == "braze_send"
    assert action.sent is not None
    assert action.sent.sentence() == ("600 users accepted by Braze, 0 rejected, 400 not attempted.")
    assert any(f"actions resolve {action.number}" in step for step in action.steps())
    engine = [
        entry.message
        for entry in world.instance.all_logs(run.run_id)
        if "Workflow action" in entry.message
    ]
    assert len(engine) == 1


def test_when_the_send_planned_again_the_action_counts_what_the_new_plan_sent(
    world: World,
) -> None:
    world.before_failing = 600
    world.sends = "plan-made-again"
    world.raises["braze_send"] = UNAVAILABLE
    world.run()
    world.tick()

    sent = world.one().sent
    assert sent is not None
    assert sent.sentence() == (
        "600 users accepted by Braze, 0 rejected, an unknown number not attempted."
    )


def test_repeats_of_a_cause_are_one_action(world: World) -> None:
    for day, seconds in ((DAY, 300), (NEXT_DAY, 1_301.5)):
        world.raises["braze_send"] = errors.BrazeUnavailable(f"Failed for {seconds} s.", fix="")
        world.run(day=day)
        world.tick()

    action = world.one()
    assert action.count == 2
    assert action.what == "Failed for 1301.5 s."
    assert action.days == (NEXT_DAY, NEXT_DAY)


def test_a_different_cause_is_a_different_action(world: World) -> None:
    world.raises["customer_attributes"] = errors.SourceMissing("No orders.", fix="")
    world.run()
    world.raises["customer_attributes"] = errors.SourceMissing("No consents.", fix="")
    world.run()
    world.tick()

    assert [action.what for action in world.open_actions()] == ["No orders.", "No consents."]


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.InvalidCredentials("401.", fix=""), "invalid_credentials"),
        (errors.CredentialsMissing("No key.", fix=""), "credentials_missing"),
        (errors.MissingPermission("403.", fix=""), "missing_permission"),
        (errors.WrongInstance("404.", fix=""), "wrong_instance"),
        (errors.ConfigurationError("Bad.", fix=""), "invalid_configuration"),
        (errors.SourceChanged("No column.", fix=""), "source_changed"),
        (errors.RateLimitExhausted("429.", fix=""), "rate_limit_exhausted"),
        (errors.DatabaseLocked("Locked.", fix=""), "database_locked"),
        (errors.DiskFull("Full.", fix=""), "disk_full"),
        (errors.OutOfMemory("2 GB.", fix=""), "out_of_memory"),
        (errors.PlanOutdated("Old.", fix=""), "plan_outdated"),
        (ValueError("someone@example.com broke it"), "unknown"),
    ],
)
def test_the_class_comes_from_the_type_of_the_error(
    world: World, error: Exception, action: str
) -> None:
    world.raises["customer_attributes"] = error
    world.run(only=["customer_attributes"])
    world.tick()

    found = world.one()
    assert found.action == action
    assert "someone@example.com" not in found.what
    assert found.sent is not None
    assert found.sent.sentence() == "Nothing was sent."


def test_the_class_of_a_step_that_is_of_no_template_here_comes_from_its_failure(
    world: World,
) -> None:
    """The process that looks may load other definitions than the one that ran the step."""

    @dg.asset(partitions_def=PARTITIONS)
    def elsewhere() -> None:
        with typed_failures(dg.AssetExecutionContext.get()):
            raise UNAVAILABLE

    @dg.asset(deps=[elsewhere], partitions_def=PARTITIONS)
    def customer_attributes() -> None:
        """Its failed input skips it."""

    dg.materialize(
        [elsewhere, customer_attributes],
        instance=world.instance,
        partition_key=DAY,
        raise_on_error=False,
    )
    world.tick()
    found = world.one()
    assert (found.action, found.what) == (UNAVAILABLE.action, UNAVAILABLE.what)


@pytest.mark.parametrize("kind", ["orchestration", "campaign"])
def test_the_class_of_a_missing_required_field_depends_on_the_kind_of_template(
    make_world: Callable[..., World], kind: str
) -> None:
    world = make_world(templates=(template(kind=kind),))
    world.raises["braze_profiles"] = errors.MissingRequiredField("No external_id.", fix="")
    world.run()
    world.tick()
    assert world.one().action == f"missing_required_field_{kind}"


def test_a_failed_guard_is_recognised_by_its_check_and_not_by_any_text(world: World) -> None:
    world.guard = "Saw 3 customers after 1,000; allowed: 50% to 200%."
    world.run()
    world.tick()

    action = world.one()
    assert action.action == "guard_stopped"
    assert action.guard == AUDIENCE_SIZE
    assert any(f"--as-of {DAY} --let-through audience_size" in step for step in action.steps())
    assert action.sent is not None
    assert action.sent.sentence() == "Nothing was sent; 1,000 users were planned."


def test_a_401_for_a_key_that_worked_before_is_transient_at_first_and_then_persistent(
    world: World,
) -> None:
    world.run()
    world.raises["braze_send"] = errors.InvalidCredentials("Braze answered 401.", fix="")
    world.run(day=NEXT_DAY)
    world.tick()
    assert world.one().action == "status_401_transient"

    world.run(day=NEXT_DAY)
    world.tick()
    assert (world.one().action, world.one().count) == ("status_401_persistent", 2)

    del world.raises["braze_send"]
    world.run(day=NEXT_DAY)
    world.tick()
    assert world.open_actions() == []


def test_a_terminated_run_becomes_an_action(world: World) -> None:
    world.raises["customer_attributes"] = errors.SendInterrupted("Stopped.", fix="")
    run = world.run()
    world.tick()
    world.store.close(world.one().number, how="test", at=world.now())

    # As the UI's Terminate leaves it.
    canceled = world.instance.create_run_for_job(
        world.definitions.resolve_job_def("braze_daily"),
        tags={"dagster/partition": DAY},
        asset_selection=frozenset(k for k in run.job_def.asset_layer.executable_asset_keys),
    )
    world.instance.report_run_canceled(canceled)
    world.tick()

    action = world.one()
    assert action.action == "send_interrupted"
    assert action.what == "The run was terminated before it did anything."
    assert (action.run_id, action.goal) == (canceled.run_id, "braze_send")


@pytest.mark.parametrize("in_a_query", [False, True])
def test_a_run_interrupted_in_the_terminal_is_not_an_unexpected_failure(
    world: World, in_a_query: bool
) -> None:
    error: BaseException = DagsterExecutionInterruptedError()
    if in_a_query:  # as DuckDB raises it
        error, error.__cause__ = RuntimeError("Query interrupted"), error
    world.raises["customer_attributes"] = error
    world.run()
    world.tick()
    assert world.one().action == "send_interrupted"


@pytest.mark.parametrize(
    "died",
    [
        JobFailureData(error=None, failure_reason=RunFailureReason.RUN_WORKER_RESTART),
        None,  # as the code server reports a run worker that was killed
    ],
)
def test_a_run_whose_process_died_has_a_class_of_its_own(
    world: World, died: JobFailureData | None
) -> None:
    run = world.instance.create_run_for_job(
        world.definitions.resolve_job_def("braze_daily"), tags={"dagster/partition": DAY}
    )
    world.instance.report_run_failed(run, job_failure_data=died)
    world.tick()
    assert world.one().action == "process_died"


def test_a_run_of_another_destination_is_ignored(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    ours = make_world()
    theirs = make_world(
        folder=tmp_path / "theirs",
        templates=(template("vip", destination="second", prefix=("second",)),),
    )
    theirs.raises["braze_send"] = UNAVAILABLE
    theirs.run()

    ours.tick()
    theirs.tick()

    assert ours.open_actions() == []
    assert theirs.one().destination == "second"


def test_with_two_templates_in_one_run_only_the_failing_one_gets_an_action(
    make_world: Callable[..., World],
) -> None:
    first, second = template("loyal"), template("vip", prefix=("vip",))
    world = make_world(templates=(first, second))
    world.raises["customer_attributes"] = UNAVAILABLE
    world.run(t=second)
    world.tick()
    assert world.one().template == "vip"


def test_what_fails_for_one_destination_opens_no_action_of_another_that_the_same_run_sent(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    vip = template("vip", destination="second", prefix=("second",))
    ours, theirs = make_world(), make_world(folder=tmp_path / "theirs", templates=(vip,))
    theirs.guard = "Saw 3 customers after 1,000."
    theirs.run_with(ours)
    theirs.guard = None
    theirs.raises["braze_send"] = UNAVAILABLE
    theirs.run_with(ours)

    ours.tick()
    theirs.tick()
    assert ours.open_actions() == []
    assert [one.action for one in theirs.open_actions()] == ["guard_stopped", "braze_unavailable"]


def test_a_run_that_died_opens_no_action_of_a_template_that_it_had_sent(
    make_world: Callable[..., World],
) -> None:
    world = make_world(templates=(template("loyal"), template("vip", prefix=("vip",))))
    loyal, vip = (TemplateKeys.of(t).all for t in world.templates)
    run = world.instance.create_run_for_job(
        world.definitions.resolve_implicit_global_asset_job_def(),
        tags={"dagster/partition": DAY},
        asset_selection=frozenset((*loyal, *vip)),
    )
    for key in loyal:
        made = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name=run.job_name,
            event_specific_data=StepMaterializationData(dg.AssetMaterialization(key)),
        )
        world.instance.report_dagster_event(made, run.run_id)
    world.instance.report_run_failed(run)
    world.tick()
    assert (world.one().template, world.one().action) == ("vip", "process_died")


def test_a_failure_before_the_first_tick_is_reported(world: World) -> None:
    world.raises["braze_send"] = UNAVAILABLE
    world.run()
    assert world.cursors == {}
    world.tick()
    assert world.one().count == 1


def test_the_first_failure_of_all_is_reported_however_long_the_daemon_was_away(
    world: World,
) -> None:
    world.run()
    world.tick()
    world.raises["braze_send"] = UNAVAILABLE
    world.run(day=NEXT_DAY)
    world.minutes = 3 * 24 * 60
    world.tick()
    assert world.one().days == (NEXT_DAY, NEXT_DAY)


def test_failures_of_one_backfill_are_one_action(world: World) -> None:
    world.raises["braze_send"] = UNAVAILABLE
    for day in (DAY, NEXT_DAY):
        world.run(day=day, tags={"dagster/backfill": "abcdef"})
    world.tick()
    assert world.one().count == 2


def test_a_store_that_cannot_be_written_loses_no_failure(world: World) -> None:
    world.raises["braze_send"] = UNAVAILABLE
    world.run()
    world.warehouse.actions_path.write_bytes(b"this is no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        world.tick()

    world.warehouse.actions_path.unlink()
    world.tick()
    assert world.one().count == 1


def test_every_class_that_a_run_can_get_has_a_resolution(world: World) -> None:
    actions = {kind.action for kind in errors.error_classes()}
    # The one is refined by the kind of template, the other comes from no run.
    assert actions - {"missing_required_field", errors.UsageError.action} <= set(resolutions())


def test_a_cursor_that_cannot_be_read_starts_over_and_counts_nothing_twice(world: World) -> None:
    world.raises["braze_send"] = UNAVAILABLE
    world.run()
    world.tick()
    world.cursors["workflow_actions"] = "not json"
    world.tick()
    assert world.one().count == 1
    assert Cursor.read("[1]") == Cursor.read(None) == Cursor()


def test_the_sensors_run_by_default_and_load_with_the_definitions(world: World) -> None:
    for sensor in world.sensors.values():
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
