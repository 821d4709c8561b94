"""A day is sent once, whether the schedule or `automation: on_source_update` starts it."""

import dagster as dg
import pytest

from braze_pipeline_tests.integration.orchestration.test_source_updates import (
    CHAIN,
    QUIET,
    YESTERDAY,
    Upstream,
)


@pytest.fixture
def scheduled(persistent_instance: dg.DagsterInstance) -> Upstream:
    return Upstream(persistent_instance)


def test_the_schedule_skips_a_day_that_was_sent_and_runs_one_that_was_not(
    scheduled: Upstream,
) -> None:
    assert scheduled.schedule_tick().run_requests
    scheduled.run("orders")
    scheduled.carry_out(scheduled.tick())
    skipped = scheduled.schedule_tick()
    assert not skipped.run_requests
    assert "has sent 2026-03-09, and no source was written since" in str(skipped.skip_message)
    scheduled.run("orders")
    assert scheduled.schedule_tick().run_requests


def test_the_schedule_skips_while_a_run_of_the_day_is_under_way(scheduled: Upstream) -> None:
    ticked = []
    scheduled.during = {"braze_send": lambda _: ticked.append(scheduled.schedule_tick())}
    scheduled.run(*CHAIN, partition=YESTERDAY)
    assert "under way" in str(ticked[0].skip_message)


def test_the_schedule_takes_over_after_a_run_that_failed_or_did_not_send(
    scheduled: Upstream,
) -> None:
    scheduled.run(*CHAIN - {"braze_send"}, partition=YESTERDAY)
    assert scheduled.schedule_tick().run_requests

    def fail(_: dg.AssetExecutionContext) -> None:
        raise ValueError("no")

    scheduled.during = {"braze_plan": fail}
    scheduled.run(*CHAIN, partition=YESTERDAY, strict=False)
    assert scheduled.schedule_tick().run_requests


def test_the_schedule_sends_a_day_whose_run_found_the_destination_paused(
    scheduled: Upstream,
) -> None:
    scheduled.paused = True
    scheduled.run("orders")
    scheduled.carry_out(scheduled.tick())
    assert scheduled.schedule_tick().run_requests


def test_a_run_of_the_schedule_starts_no_other(scheduled: Upstream) -> None:
    (request,) = scheduled.schedule_tick().run_requests or []
    job = scheduled.definitions.resolve_job_def("braze_daily")
    job.execute_in_process(
        instance=scheduled.instance,
        partition_key=request.partition_key,
        asset_selection=request.asset_selection,
        run_config=QUIET,
    )
    assert [scheduled.tick() for _ in range(3)] == [{}, {}, {}]
