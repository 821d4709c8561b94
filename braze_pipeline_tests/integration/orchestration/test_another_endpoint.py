"""A ledger of one Braze endpoint and a run for another: every way to run it stops."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from braze_pipeline.cli.main import cli
from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import resolve
from braze_pipeline.errors import EndpointMismatch
from braze_pipeline.orchestration.destination import build_definitions
from braze_pipeline.orchestration.failures import ACTION
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand, small_brand


@pytest.fixture
def one() -> Iterator[Sandbox]:
    with Sandbox(assume_all=True) as running:
        yield running


@pytest.fixture
def other() -> Iterator[Sandbox]:
    with Sandbox(assume_all=True) as running:
        yield running


@pytest.fixture
def brand(tmp_path: Path, one: Sandbox, monkeypatch: pytest.MonkeyPatch) -> SmallBrand:
    """A brand whose last day was sent to ``one``; the environment is for ``one`` too."""
    brand = small_brand(tmp_path / "brand")
    for name, value in brand.environ(one.endpoint, one.api_key).items():
        monkeypatch.setenv(name, value)
    assert materialize(brand) == []
    assert len(one.profiles()) == CUSTOMERS
    return brand


def materialize(brand: SmallBrand, *steps: str) -> list[str]:
    """Materialize assets of the last day as the UI does; the actions of the steps that failed."""
    ((config, place),) = load_configs(brand.config)
    build = {"folder": brand.folder, "place": place, "environ": os.environ}
    (t,) = resolve(config, **build)  # type: ignore[arg-type]
    keys = TemplateKeys.of(t)
    job = build_definitions(config=config, **build).resolve_job_def(keys.job("braze_daily"))  # type: ignore[arg-type]
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key=brand.day(0),
            asset_selection=[key for key in keys.all if not steps or key.path[-1] in steps],
            raise_on_error=False,
        )
    failed = [event for event in result.all_node_events if event.is_step_failure]
    data = [event.step_failure_data.user_failure_data for event in failed]
    return [str(one.metadata[ACTION].value) for one in data if one is not None]


def test_plan_and_send_for_another_endpoint_stop_alone_and_together(
    brand: SmallBrand, one: Sandbox, other: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand.buy_again(hour=13)
    assert materialize(brand, "customer_attributes", "braze_audience", "braze_profiles") == []
    assert materialize(brand, "braze_plan") == []  # ready, for ``one``
    monkeypatch.setenv("BRAZE_REST_ENDPOINT", other.endpoint)
    for steps in (("braze_send",), ("braze_plan",), ("braze_plan", "braze_send"), ()):
        assert materialize(brand, *steps) == [EndpointMismatch.action], steps
    assert other.requests == []
    monkeypatch.setenv("BRAZE_REST_ENDPOINT", one.endpoint.upper().replace("HTTP", "http") + "/")
    before = one.objects_sent("c1")
    assert materialize(brand) == []
    assert one.objects_sent("c1") == before + 1


def test_the_command_line_stops_with_2_and_continues_once_the_ledger_is_adopted(
    brand: SmallBrand, other: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAZE_REST_ENDPOINT", other.endpoint)

    def call(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["--config", str(brand.config), *arguments])
        return done.exit_code, done.output

    day = ("--as-of", brand.day(0))
    for arguments in (("run", *day, "--dry-run"), ("run", *day)):
        code, output = call(*arguments)
        assert (code, "Ledger of another endpoint" in output) == (2, True), output
        assert "ledger adopt" in output
    code, output = call("doctor")
    assert (code, "ledger adopt" in output) == (2, True), output
    assert other.profiles() == {}
    assert call("ledger", "adopt", "--reason", "the cluster moved")[0] == 0
    code, output = call("run", *day)
    assert code == 0, output
    assert re.search(rf"unchanged +{CUSTOMERS}\b", output)
    monkeypatch.setenv("BRAZE_REST_ENDPOINT", "http://127.0.0.1:9")
    assert call("ledger", "reset", "--all")[0] == 0
    monkeypatch.setenv("BRAZE_REST_ENDPOINT", other.endpoint)
    assert call("run", *day)[0] == 0  # the emptied ledger is anybody's
    assert len(other.profiles()) == CUSTOMERS
