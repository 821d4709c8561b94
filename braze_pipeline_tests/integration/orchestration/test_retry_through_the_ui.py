"""A retry that a running UI submits comes to an end, whatever happens to its run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from braze_pipeline.errors import BrazeUnavailable, CannotRetry
from braze_pipeline.orchestration import rerun
from braze_pipeline_tests.receivers import HttpReceiver
from braze_pipeline_tests.watched_world import World

MakeWorld = Callable[..., World]


def launched(run_id: str) -> dict[str, object]:
    """What Dagster's GraphQL answers to a retry."""
    run = {"__typename": "LaunchRunSuccess", "run": {"runId": run_id}}
    return {"data": {"launchRunReexecution": run}}


def test_a_retry_that_this_instance_does_not_have_ends_with_a_fix(
    world: World, http: HttpReceiver
) -> None:
    world.raises["braze_send"] = BrazeUnavailable("Down.", fix="")
    failed = world.run()
    http.answer = launched("5ca1ab1e-0000-0000-0000-000000000000")
    with pytest.raises(CannotRetry, match=r"run 5ca1ab1e.* does not have it"):
        rerun.rerun_through(http.url, failed.dagster_run, instance=world.instance)
    ((path, asked),) = http.requests
    assert path == "/graphql"
    assert asked["variables"] == {"run": failed.run_id, "strategy": "FROM_FAILURE"}


def test_a_retry_that_is_deleted_while_it_waits_ends_with_a_fix(
    world: World, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.raises["braze_send"] = BrazeUnavailable("Down.", fix="")
    failed = world.run()
    queued = world.instance.create_run_for_job(world.definitions.resolve_job_def("braze_daily"))
    http.answer = launched(queued.run_id)
    polls: list[float] = []

    def wait(seconds: float) -> None:
        polls.append(seconds)
        world.instance.delete_run(queued.run_id)

    monkeypatch.setattr("time.sleep", wait)
    with pytest.raises(CannotRetry, match="somebody deleted the run"):
        rerun.rerun_through(http.url, failed.dagster_run, instance=world.instance)
    assert len(polls) == 1
