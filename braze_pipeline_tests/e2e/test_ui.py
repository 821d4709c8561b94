"""``braze-pipeline ui`` as a newcomer starts it: without a key, with a sandbox, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from braze_pipeline_tests.e2e.daemon import PATIENCE_SECONDS, Dagster, answers, wait_for
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand, small_brand

COMMAND = Path(sys.executable).with_name("braze-pipeline")

pytestmark = pytest.mark.e2e


@pytest.fixture
def brand(tmp_path: Path) -> SmallBrand:
    return small_brand(tmp_path / "brand")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def started(brand: SmallBrand, port: int) -> Iterator[subprocess.Popen[str]]:
    """Run the command without an API key; kill whatever is left of it at the end."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("BRAZE_", "DAGSTER_"))}
    ours = brand.environ("", "")
    del ours["BRAZE_REST_ENDPOINT"], ours["BRAZE_API_KEY"]
    ours["BRAZE_PIPELINE_DATABASE"] = "brand/warehouse.duckdb"  # relative to the working directory
    with (brand.folder / "ui.log").open("w") as log:
        process = subprocess.Popen(
            [str(COMMAND), "--config", str(brand.config), "ui", "--port", str(port)],
            cwd=brand.folder.parent,
            env={**environ, **ours},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            for pid in alive(brand):
                os.kill(pid, signal.SIGKILL)
            process.wait()


def alive(brand: SmallBrand) -> list[int]:
    """The processes of this brand, found by their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue
        if f"DAGSTER_HOME={brand.home}".encode() in environ.split(b"\0"):
            found.append(int(folder.name))
    return found


def log_of(brand: SmallBrand) -> str:
    return (brand.folder / "ui.log").read_text(encoding="utf-8", errors="replace")


def test_without_a_key_a_run_sends_to_the_sandbox_and_ctrl_c_leaves_nothing_behind(
    brand: SmallBrand,
) -> None:
    port = free_port()
    with started(brand, port) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(url) or process.poll() is not None, "the UI")
        assert process.poll() is None, log_of(brand)
        with dg.DagsterInstance.from_config(str(brand.home)) as instance:
            dagster = Dagster(url, instance, brand.folder / "ui.log")
            run = dagster.ended(dagster.launch("braze_daily", day=brand.day(0)))
            assert run.status is dg.DagsterRunStatus.SUCCESS
            event = instance.get_latest_materialization_event(dg.AssetKey("braze_send"))
            assert event is not None
            assert event.asset_materialization is not None
            metadata = event.asset_materialization.metadata
            assert metadata["accepted users"].value == CUSTOMERS
        assert (brand.folder / "warehouse-sandbox.duckdb").exists()
        assert not (brand.folder / "warehouse.duckdb").exists()
        assert not (brand.folder / "data").exists()

        assert len(alive(brand)) > 3, "or the test proves nothing"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0, log_of(brand)
        assert alive(brand) == []
        assert "Traceback" not in log_of(brand)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_terminating_it_or_closing_its_terminal_stops_everything_even_during_startup(
    brand: SmallBrand, number: signal.Signals
) -> None:
    with started(brand, free_port()) as process:
        wait_for(lambda: len(alive(brand)) > 2, "Dagster's processes")
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0, log_of(brand)
        assert alive(brand) == []


def test_a_port_in_use_is_reported_before_anything_starts(brand: SmallBrand) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with started(brand, port) as process:
            assert process.wait(PATIENCE_SECONDS) == 2
    assert f"Port {port} on 127.0.0.1 is in use" in log_of(brand)
    assert "--port" in log_of(brand)
