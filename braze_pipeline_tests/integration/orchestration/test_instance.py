"""The first commands on a new ``DAGSTER_HOME`` may start at the same moment."""

from __future__ import annotations

import configparser
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.storage.warehouse import locked
from braze_pipeline_tests.commands import command
from braze_pipeline_tests.small_brand import PROJECT, SmallBrand

_OPENS = """
import sys
from braze_pipeline.orchestration.instance import current
print("ready", flush=True)
sys.stdin.readline()
with current() as instance:
    print(instance.get_runs_count())
"""


def test_many_commands_that_start_at_once_on_a_new_home_all_open_the_instance(
    tmp_path: Path,
) -> None:
    """Without the lock, this failed four times out of four."""
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _OPENS],
            env={**os.environ, "DAGSTER_HOME": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [process.communicate() for process in running]

    assert [out for out, _ in ended] == ["0\n"] * len(running), ended
    databases = sorted(tmp_path.rglob("*.db"))
    assert {file.name for file in databases} >= {"runs.db", "schedules.db", "index.db"}
    for file in databases:
        with sqlite3.connect(file) as database:
            versions = database.execute("SELECT version_num FROM alembic_version").fetchall()
        database.close()
        assert len(versions) == 1, (file, versions)


@pytest.mark.parametrize("home", ["missing", "file", "relative"])
def test_a_wrong_dagster_home_is_named_and_nothing_is_made_in_its_place(
    brand: SmallBrand, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    brand.folder.joinpath("file").touch()
    before = sorted(brand.folder.rglob("*"))
    named = home if home == "relative" else str(brand.folder / home)
    monkeypatch.setenv("DAGSTER_HOME", named)
    monkeypatch.chdir(brand.folder)
    for words in (("run", "--as-of", brand.day(0)), ("ui", "--port", "0")):
        with pytest.raises(ConfigurationError, match=f"DAGSTER_HOME is {named}, which is not"):
            command(brand, *words)
    assert sorted(brand.folder.rglob("*")) == before


@pytest.mark.parametrize("unit", ["dagster-daemon", "dagster-webserver"])
def test_a_unit_opens_the_instance_before_it_starts_and_waits_for_its_turn(
    unit: str, tmp_path: Path
) -> None:
    parser = configparser.RawConfigParser(strict=False)  # a unit repeats keys
    parser.read(PROJECT / "deploy" / "systemd" / f"{unit}.service")
    shell, flag, script = parser["Service"]["execstartpre"].split(" ", 2)
    dagster = str(Path(sys.executable).with_name("dagster"))
    installed = "/opt/braze-pipeline/.venv/bin/dagster"
    assert installed in script
    command = [shell, flag, script.strip("'").replace(installed, dagster)]
    environ = {**os.environ, "DAGSTER_HOME": str(tmp_path)}

    with locked(tmp_path):
        waiting = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=4)
        assert not list(tmp_path.rglob("*.db"))
    assert waiting.wait() == 0
    assert list(tmp_path.rglob("runs.db"))
