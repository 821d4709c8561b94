"""A paused destination: runs plan and send nothing, which is neither a failure nor a send."""

from __future__ import annotations

import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)

from braze_pipeline.alerts import ActionStore, pauses
from braze_pipeline.errors import UsageError
from braze_pipeline.orchestration.checks import ACCOUNTING, NOT_PAUSED
from braze_pipeline.orchestration.days import PARTITION_TAG, RANGE_START_TAG
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.send import SendProgress
from braze_pipeline.send.step import SendOutcome, send_days
from braze_pipeline.storage.migrations.runner import sql
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.commands import command, store_of, tick
from braze_pipeline_tests.e2e.daemon import wait_for
from braze_pipeline_tests.integration.orchestration.test_definitions import built
from braze_pipeline_tests.integration.orchestration.test_run_page import tags_of
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand

REASON = "the campaign team asked"


def run(brand: SmallBrand, days_ago: int = 0) -> dict[str, object]:
    out = command(brand, "run", "--as-of", brand.day(days_ago), "--json")
    assert out.startswith("0\n"), out
    found: dict[str, object] = json.loads(out.splitlines()[-1])
    return found


def test_a_paused_destination_gets_a_plan_and_nothing_more_until_it_is_resumed(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    run(brand, days_ago=1)
    command(brand, "pause", "braze", "--reason", REASON)
    before = sandbox.profiles()

    done = run(brand)
    assert (done["status"], done["planned_users"], done["accepted_users"]) == (
        "paused",
        CUSTOMERS,
        0,
    )
    assert done["not_attempted_users"] == CUSTOMERS
    assert any(REASON in str(warning) for warning in done["warnings"])  # type: ignore[attr-defined]
    shown = command(brand, "run", "--as-of", brand.day(0))
    assert shown.startswith("0\n")
    assert f"so nothing is sent: {REASON}" in shown
    assert sandbox.profiles() == before
    local = re.compile(r"braze: sends: braze is paused since \d{4}-\d\d-\d\d \d\d:\d\d, so nothing")
    assert local.search(command(brand, "doctor"))
    assert re.search(r"paused since \S+ \S+ UTC, so nothing", command(brand, "doctor", "--json"))
    assert "Nothing was sent. braze is paused" in command(
        brand, "try", "c7", "--as-of", brand.day(0), "--yes"
    )
    # The send of the day before is the only one.
    assert len(command(brand, "sends", "--json").splitlines()) == 2

    command(brand, "resume", "braze")
    done = run(brand)
    assert (done["status"], done["accepted_users"]) == ("sent", CUSTOMERS)
    assert {sandbox.objects_sent(user) for user in brand.users()} == {2}


def test_a_paused_run_is_a_success_without_a_send_and_opens_no_action(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    command(brand, "pause", "braze", "--reason", REASON)
    run(brand)
    tick(brand)
    assert store_of(brand).open_actions() == []
    _, t = built(brand, sandbox.endpoint)
    keys = TemplateKeys.of(t)
    with dg.DagsterInstance.get() as instance:
        (found,) = instance.get_runs()
        assert found.is_success
        plan = instance.get_latest_materialization_event(keys.plan)
        assert not instance.get_latest_materialization_event(keys.send)
        assert not instance.get_latest_materialization_event(keys.ledger)
        (observed,) = instance.fetch_observations(keys.send, limit=1).records
        checks = {
            name: instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
            for name in (ACCOUNTING, NOT_PAUSED)
            for key in [dg.AssetCheckKey(keys.send, name)]
        }
    assert plan is not None
    assert plan.asset_materialization is not None
    assert REASON in str(plan.asset_materialization.metadata["paused"].value)
    assert observed.asset_observation is not None
    assert observed.asset_observation.metadata["not attempted users"].value == CUSTOMERS
    passed = {}
    for name, record in checks.items():
        assert record.event is not None
        assert record.event.dagster_event is not None
        passed[name] = record.event.dagster_event.asset_check_evaluation_data.passed
    assert passed == {ACCOUNTING: True, NOT_PAUSED: False}
    tags = tags_of(found.run_id)
    assert (tags["paused"], tags["accepted_users"]) == ("yes", "0")


def test_a_send_under_way_stops_when_its_destination_is_paused_and_nobody_is_sent_twice(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand.send_slowly()
    with Sandbox(assume_all=True, latency=0.2) as sandbox:
        brand.enter(monkeypatch, sandbox.endpoint, sandbox.api_key)
        command(brand, "run", "--as-of", brand.day(0), "--dry-run")
        _, t = built(brand, sandbox.endpoint)
        warehouse = Warehouse(brand.folder / "warehouse.duckdb")

        def send() -> SendOutcome:
            environ = {"BRAZE_API_KEY": sandbox.api_key}
            return send_days(
                warehouse, t, [brand.last], run_id="r", environ=environ, log=print, every=0.1
            )

        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send)
            wait_for(sandbox.profiles, "the first users")
            command(brand, "pause", "braze", "--reason", REASON)
            outcome = sending.result(60)
        assert outcome.paused is not None
        assert outcome.error is None
        assert outcome.account.holds
        assert 0 < outcome.account.accepted < CUSTOMERS
        assert outcome.account.accepted == len(sandbox.profiles())
        command(brand, "resume", "braze")
        assert run(brand)["status"] == "sent"
        assert {sandbox.objects_sent(user) for user in brand.users()} == {1}


def test_a_send_goes_on_if_its_destination_is_resumed_before_it_has_stopped(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand.send_slowly()
    path, done = brand.folder / "warehouse.actions.sqlite", list[int]()
    with Sandbox(assume_all=True, latency=0.2) as sandbox:
        brand.enter(monkeypatch, sandbox.endpoint, sandbox.api_key)
        command(brand, "run", "--as-of", brand.day(0), "--dry-run")
        _, t = built(brand, sandbox.endpoint)

        def progress(found: SendProgress) -> None:
            done.append(found.done)
            if len(done) == 1:
                pauses.pause(path, "braze", reason=REASON, at=datetime.now(UTC))
            else:
                pauses.resume(path, "braze")

        outcome = send_days(
            Warehouse(brand.folder / "warehouse.duckdb"), t, [brand.last], run_id="r",
            environ={"BRAZE_API_KEY": sandbox.api_key}, log=print, on_progress=progress, every=0.3,
        )  # fmt: skip
        assert done[1] < CUSTOMERS, "it had stopped"
        assert (outcome.paused, outcome.error) == (None, None)
        assert (outcome.account.accepted, outcome.account.holds) == (CUSTOMERS, True)
        assert {sandbox.objects_sent(user) for user in brand.users()} == {1}
        tracked = [one for one in sandbox.requests if one.path == "/users/track"]
        assert outcome.result.requests == len(tracked)


def test_jobs_in_the_ui_pause_and_resume_and_the_send_asset_shows_it(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    definitions, t = built(brand, sandbox.endpoint)
    path = brand.folder / "warehouse.actions.sqlite"
    config = {"ops": {"braze_pause_sends": {"config": {"reason": REASON}}}}
    with dg.DagsterInstance.get() as instance:
        job = definitions.resolve_job_def("braze_pause")
        assert job.execute_in_process(run_config=config, instance=instance).success
        found = pauses.paused(path, "braze")
        assert found is not None
        assert found.reason == REASON
        (seen,) = instance.fetch_observations(TemplateKeys.of(t).send, limit=1).records
        assert seen.asset_observation is not None
        assert REASON in str(seen.asset_observation.metadata["paused"].value)
        job = definitions.resolve_job_def("braze_resume")
        assert job.execute_in_process(instance=instance).success
    assert pauses.paused(path, "braze") is None


def test_the_jobs_start_at_once_however_many_runs_wait_for_a_send_or_in_the_queue(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    definitions, _ = built(brand, sandbox.endpoint)
    location = GrpcServerCodeLocationOrigin("127.0.0.1", port=1)
    origin = RemoteRepositoryOrigin(location, "__repository__").get_job_origin("any")
    days = [brand.day(ago) for ago in range(9)]
    with dg.DagsterInstance.get() as instance:

        def queued(**tags: str) -> dg.DagsterRun:
            status = dg.DagsterRunStatus.QUEUED
            run: dg.DagsterRun = create_run_for_test(
                instance, tags=tags, status=status, remote_job_origin=origin
            )
            return run

        def next_runs() -> list[dg.DagsterRun]:
            queue = QueuedRunCoordinatorDaemon(interval_seconds=5)
            limits = instance.get_concurrency_config()
            return queue._get_runs_to_dequeue(instance, limits, fixed_iteration_time=None)

        for tag in (PARTITION_TAG, RANGE_START_TAG):
            for day in days:
                queued(**{tag: day})
        # As many as may: they keep their places while they wait for the pool of the send.
        while started := next_runs():
            for run in started:
                start = dg.DagsterEvent(
                    event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name
                )
                instance.report_dagster_event(start, run_id=run.run_id)
        for _ in days:
            queued()  # without a day, so that no limit but the total applies
        pause = queued(**definitions.resolve_job_def("braze_pause").tags)
        assert [run.run_id for run in next_runs()] == [pause.run_id]


def test_a_blank_reason_is_refused_and_nothing_is_paused(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    with pytest.raises(UsageError, match="without a reason"):
        command(brand, "pause", "braze", "--reason", "  ")
    definitions, _ = built(brand, sandbox.endpoint)
    config = {"ops": {"braze_pause_sends": {"config": {"reason": " "}}}}
    with pytest.raises(UsageError, match="without a reason"):
        definitions.resolve_job_def("braze_pause").execute_in_process(run_config=config)
    assert pauses.paused(brand.folder / "warehouse.actions.sqlite", "braze") is None


def test_a_name_that_is_no_destination_is_refused(brand: SmallBrand, sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match="no destination 'brase'"):
        command(brand, "pause", "brase", "--reason", REASON)
    assert "was not paused" in command(brand, "resume", "braze")


def test_a_file_of_actions_from_before_pauses_is_upgraded_and_keeps_its_actions(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.actions.sqlite"
    with closing(sqlite3.connect(path)) as con, con:
        sql("actions_1.sql")(con)
        con.execute("PRAGMA user_version = 1")
        con.execute(
            "INSERT INTO actions (key, action, what, fix, destination, template, count, "
            "first_seen, last_seen) "
            "VALUES ('k', 'unknown', 'w', 'f', 'braze', 'loyal', 1, 'a', 'b')"
        )
    at = datetime.now(UTC)
    pauses.pause(path, "braze", reason=REASON, at=at)
    pauses.pause(path, "braze", reason="another", at=at + timedelta(hours=1))
    found = pauses.paused(path, "braze")
    assert found is not None
    assert (found.reason, found.paused_at) == ("another", at)
    assert pauses.paused(path, "other") is None
    assert [action.what for action in ActionStore(path).open_actions()] == ["w"]
