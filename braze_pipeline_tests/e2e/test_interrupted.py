"""A terminated send waits for answers and resumes later; two sends never interleave."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from braze_pipeline.alerts import Action
from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import resolve
from braze_pipeline.orchestration.instance import of_folder
from braze_pipeline.orchestration.watch.changes import Cursor
from braze_pipeline.orchestration.watch.tick import Watch
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests.e2e.daemon import PATIENCE_SECONDS
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand, small_brand

pytestmark = pytest.mark.e2e


def slow_brand(folder: Path) -> SmallBrand:
    brand = small_brand(folder)
    brand.send_slowly()
    return brand


def start(brand: SmallBrand, sandbox: Sandbox) -> subprocess.Popen[str]:
    return brand.start(sandbox, "run", "--as-of", brand.day(0), "--json")


def sends(sandbox: Sandbox) -> int:
    return sum(request.path == "/users/track" for request in sandbox.requests)


def under_way(sandbox: Sandbox, process: subprocess.Popen[str]) -> None:
    while sends(sandbox) < 4:
        assert process.poll() is None
        time.sleep(0.01)


def test_sigterm_waits_for_requests_in_flight_and_a_rerun_sends_the_rest_once(
    tmp_path: Path,
) -> None:
    brand = slow_brand(tmp_path / "brand")
    with Sandbox(assume_all=True, latency=0.3) as sandbox:
        with start(brand, sandbox) as process:
            under_way(sandbox, process)
            process.terminate()
            _, output = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 4, output
        assert "Traceback" not in output
        done = sends(sandbox)
        assert done < CUSTOMERS
        with start(brand, sandbox) as process:
            out, output = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, output
        assert json.loads(out.splitlines()[-1])["accepted_users"] == CUSTOMERS - done
        assert {sandbox.objects_sent(user) for user in brand.users()} == {1}


def test_after_a_kill_a_rerun_sends_the_rest_and_the_killed_run_is_named_by_an_action(
    tmp_path: Path,
) -> None:
    brand = slow_brand(tmp_path / "brand")
    with Sandbox(assume_all=True, latency=0.3) as sandbox:
        with start(brand, sandbox) as process:
            under_way(sandbox, process)
            process.kill()
        with of_folder(brand.home) as instance:
            (killed,) = instance.get_runs()
            assert killed.status is dg.DagsterRunStatus.STARTED
        with start(brand, sandbox) as process:
            out, output = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert f"Run {killed.run_id[:8]} was killed." in output
    assert json.loads(out.splitlines()[-1])["status"] == "sent"
    assert all(sandbox.objects_sent(user) for user in brand.users())
    closed = watch(brand, "closed")
    assert [(action.action, action.run_id) for action in closed] == [
        ("process_died", killed.run_id)
    ]


def test_the_sensor_finds_a_killed_run_and_resolve_finishes_it(tmp_path: Path) -> None:
    brand = slow_brand(tmp_path / "brand")
    with Sandbox(assume_all=True, latency=0.3) as sandbox:
        with start(brand, sandbox) as process:
            under_way(sandbox, process)
            assert watch(brand, "open") == []
            process.kill()
        (action,) = watch(brand, "open")
        assert action.action == "process_died"
        assert action.sent is not None
        done = brand.call(sandbox, "actions", "resolve", str(action.number))
    assert done.returncode == 0, done.stderr
    assert all(sandbox.objects_sent(user) for user in brand.users())


def watch(brand: SmallBrand, state: str) -> list[Action]:
    """The actions, after the sensor has looked."""
    ((config, place),) = load_configs(brand.config)
    templates = resolve(config, folder=brand.folder, place=place, environ={})
    warehouse = Warehouse(brand.folder / "warehouse.duckdb")
    with of_folder(brand.home) as instance:
        watch = Watch(instance=instance, warehouse=warehouse, templates=templates)
        watch.look(Cursor(), now=datetime.now(UTC))
    return watch.store.open_actions() if state == "open" else watch.store.closed_actions(limit=9)


def test_a_second_run_never_sends_while_the_first_is_sending(tmp_path: Path) -> None:
    brand = slow_brand(tmp_path / "brand")
    with Sandbox(assume_all=True, latency=0.3) as sandbox:
        with start(brand, sandbox) as first:
            under_way(sandbox, first)
            with start(brand, sandbox) as second:
                second.communicate(timeout=PATIENCE_SECONDS)
            _, output = first.communicate(timeout=PATIENCE_SECONDS)
        assert first.returncode == 0, output
        with of_folder(brand.home) as instance:
            runs = instance.get_runs()
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
        with start(brand, sandbox) as third:
            third.communicate(timeout=PATIENCE_SECONDS)
        assert third.returncode == 0
        assert not sandbox.overlaps
        assert {sandbox.objects_sent(user) for user in brand.users()} == {1}
