"""Runs whose process has gone: those with a file beside the instance that nobody locks."""

from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg
import pytest

from braze_pipeline.orchestration.dead_runs import HOW_TO_END, alive, fail_dead_runs
from braze_pipeline.orchestration.health import dagster
from braze_pipeline.orchestration.resources import WarehouseResource
from braze_pipeline.orchestration.runner import run_assets
from braze_pipeline_tests.watched_world import DAY, PARTITIONS, World

POOL = "braze_braze"


def started(world: World) -> dg.DagsterRun:
    """A run that is under way and has a place in a pool."""
    run = world.instance.create_run_for_job(
        world.definitions.resolve_job_def("braze_daily"), tags={"dagster/partition": DAY}
    )
    event = dg.DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name)
    world.instance.report_dagster_event(event, run_id=run.run_id)
    storage = world.instance.event_log_storage
    storage.set_concurrency_slots(POOL, 1)
    assert storage.claim_concurrency_slot(POOL, run.run_id, "braze_send").is_claimed
    return run


def holders(world: World) -> Sequence[str]:
    return list(world.instance.event_log_storage.get_concurrency_info(POOL).active_run_ids)


def left_behind(world: World, run_id: str, process: str = ".process") -> Path:
    """The file of a run's process, as the system leaves it when it ends the process."""
    folder = Path(world.instance.root_directory, "braze_pipeline_runs")
    folder.mkdir(exist_ok=True)
    (folder / f"{run_id}{process}").touch()
    return folder / f"{run_id}{process}"


@pytest.mark.parametrize("process", [".process", pytest.param("", id="of an earlier version")])
def test_a_dead_run_becomes_an_action_and_leaves_its_pool(world: World, process: str) -> None:
    run = started(world)
    file = left_behind(world, run.run_id, process)
    assert holders(world) == [run.run_id]

    world.tick()

    assert holders(world) == []
    assert (world.one().action, world.one().run_id) == ("process_died", run.run_id)
    assert not file.exists()
    world.tick()
    assert world.one().count == 1


def test_a_file_that_cannot_be_opened_hides_no_other_dead_run(world: World) -> None:
    run = started(world)
    file = left_behind(world, run.run_id)
    (file.parent / "another-account").symlink_to(
        "another-account"
    )  # a link to itself opens nothing
    world.tick()
    assert world.one().action == "process_died"


def test_a_run_that_is_alive_is_left_alone_also_as_it_ends(world: World) -> None:
    run = started(world)
    with alive(world.instance, run.run_id):
        assert fail_dead_runs(world.instance) == []
    # Its process gives the lock back before it records the end.
    assert fail_dead_runs(world.instance) == []
    assert holders(world) == [run.run_id]


def test_a_run_is_alive_as_long_as_one_of_its_processes_is(world: World) -> None:
    """Its steps may each have a process, and two of them may overlap."""
    run = started(world)
    with alive(world.instance, run.run_id):
        with alive(world.instance, run.run_id):
            killed = left_behind(world, run.run_id)
            assert fail_dead_runs(world.instance) == []
        assert fail_dead_runs(world.instance) == []
        assert killed.exists()
    assert fail_dead_runs(world.instance) == [run.run_id]
    assert holders(world) == []
    assert not killed.exists()


def test_a_run_that_somebody_ended_or_deleted_after_its_process_died_leaves_its_pool(
    world: World,
) -> None:
    run = started(world)
    left_behind(world, run.run_id)
    world.instance.report_run_canceled(run)
    assert fail_dead_runs(world.instance) == []
    assert holders(world) == []

    left_behind(world, "deleted")
    assert fail_dead_runs(world.instance) == []


def test_every_run_with_the_database_shows_that_it_is_alive(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    seen: list[Path] = []

    @dg.asset
    def step(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> None:
        seen.extend(Path(instance.root_directory, "braze_pipeline_runs").iterdir())
        assert [file.stem for file in seen] == [context.run.run_id]
        assert fail_dead_runs(instance) == []

    result = dg.materialize([step], instance=instance, resources={"warehouse": WarehouseResource()})
    assert result.success
    assert not seen[0].exists()


def test_a_run_that_waits_for_a_pool_says_which_run_holds_it(
    make_world: Callable[..., World], persistent_instance: dg.DagsterInstance
) -> None:
    world = make_world(instance=persistent_instance)
    other = started(world)

    @dg.asset(key="braze_send", pool=POOL, partitions_def=PARTITIONS)
    def send() -> None:
        """Needs the place that the other run has."""

    def leave(text: str) -> None:
        said.append(text)
        world.instance.event_log_storage.free_concurrency_slots_for_run(other.run_id)

    said: list[str] = []
    definitions = dg.Definitions(
        assets=[send],
        jobs=[dg.define_asset_job("braze_daily", selection=[send])],
        executor=dg.in_process_executor,
    )
    t = world.templates[0]
    tags = {"dagster/partition": DAY}
    run = run_assets(definitions, t, [send.key], instance=world.instance, tags=tags, say=leave)
    assert run.is_success
    held = f"it is held by run {other.run_id[:8]}."
    assert said == [
        f"braze_send waits until the pool {POOL} is free; {held}",
        f"Run {other.run_id[:8]} shows no sign of life. {HOW_TO_END}",
    ]


def test_doctor_names_a_run_that_holds_a_pool_without_a_sign_of_life(
    make_world: Callable[..., World], persistent_instance: dg.DagsterInstance
) -> None:
    """As a run that was killed while an earlier version, which wrote no files, was in use."""
    world = make_world(instance=persistent_instance)
    home = {"DAGSTER_HOME": world.instance.root_directory}

    def named() -> list[tuple[str, str]]:
        return [(one.saw, one.fix) for one in dagster(home) if "sign of life" in one.saw]

    run = started(world)
    saw = f"Run {run.run_id[:8]} holds a pool, or waits for one, and shows no sign of life."
    assert named() == [(saw, HOW_TO_END)]
    assert fail_dead_runs(world.instance) == [], "it may be alive on another machine"
    with alive(world.instance, run.run_id):
        assert named() == []
    world.instance.report_run_canceled(run)
    assert named() == [], "the daemon frees its pool"


def test_a_run_goes_on_where_no_file_can_be_written(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    world = make_world()
    monkeypatch.setattr(
        type(world.instance), "root_directory", property(lambda _: str(tmp_path / "file"))
    )
    with alive(world.instance, "run"):
        assert fail_dead_runs(world.instance) == []
