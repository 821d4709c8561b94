"""Two processes run the same day at the same time, such as a person and the schedule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.small_brand import CUSTOMERS, small_brand

COMMAND = Path(sys.executable).with_name("braze-pipeline")

pytestmark = pytest.mark.e2e


def test_two_runs_at_once_each_report_what_they_sent_and_together_send_everything_once(
    tmp_path: Path,
) -> None:
    brand = small_brand(tmp_path / "brand")
    command = [
        str(COMMAND),
        "--config",
        str(brand.config),
        "run",
        "--json",
        "--as-of",
        brand.day(0),
    ]
    with Sandbox(assume_all=True) as sandbox:
        environ = {**os.environ, **brand.environ(sandbox.endpoint, sandbox.api_key)}
        del environ["DAGSTER_HOME"]
        running = [
            subprocess.Popen(
                command,
                env=environ,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        outputs = [process.communicate() for process in running]
        objects = {user: sandbox.objects_sent(user) for user in brand.users()}

    assert [process.returncode for process in running] == [0, 0], outputs
    reports = [json.loads(out.splitlines()[-1]) for out, _ in outputs]
    assert objects == dict.fromkeys(brand.users(), 1)
    assert sum(found["accepted_users"] for found in reports) == CUSTOMERS
    for found in reports:
        assert found["plan"]
        assert found["planned_users"] + found["unchanged_users"] == CUSTOMERS
        assert found["planned_users"] == found["accepted_users"]
        assert found["profiles"] == CUSTOMERS
