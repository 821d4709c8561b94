"""A run that sends to a host which is not Braze's says so, on the terminal and in its log."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from braze_pipeline.cli.context import Session
from braze_pipeline.cli.run import run
from braze_pipeline_tests.small_brand import small_brand

WARNING = "braze.invalid is not the host of a Braze instance"


def test_a_run_warns_of_a_host_that_is_not_brazes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = small_brand(tmp_path / "brand")
    text = brand.config.read_text(encoding="utf-8")
    allowed = "rest_endpoint: https://braze.invalid\n    allow_other_host: true"
    brand.config.write_text(text.replace("rest_endpoint: http://127.0.0.1:1", allowed))
    brand.enter(monkeypatch, endpoint="", api_key="")
    session = Session(config_file=brand.config, template_name=None, environ=os.environ)
    result = CliRunner().invoke(run, ["--as-of", brand.day(1), "--dry-run"], obj=session)
    assert result.exit_code == 0, result.output
    assert f"Warning: {WARNING}" in result.output
    with dg.DagsterInstance.get() as instance:
        (found,) = instance.get_runs()
        logged = [entry.user_message for entry in instance.all_logs(found.run_id)]
    assert any(WARNING in message for message in logged)
