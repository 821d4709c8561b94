"""A brand with a dbt model: from an empty Dagster project to Braze, in the words of its README."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from braze_pipeline.cli.main import cli
from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.e2e.test_other_project import DEFINITIONS, PYPROJECT, run

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "dbt"
MOVED = 5
FAR = "Aberystwyth"
VENV = EXAMPLE / ".venv" / "bin"

pytestmark = pytest.mark.e2e


def commands(program: str) -> list[list[str]]:
    """The commands of the README that begin with a program."""
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(f"{program} ")]


def empty_project(folder: Path) -> None:
    """A Dagster project without any definition."""
    (folder / "acme" / "defs").mkdir(parents=True)
    (folder / "acme" / "__init__.py").touch()
    (folder / "acme" / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")
    (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")


def add_example(folder: Path) -> None:
    """Copy into a project what the README says to copy, and Dagster's settings."""
    written = shutil.ignore_patterns("target", "logs", "*.duckdb*", "__pycache__")
    for part in ("dbt", "acme/defs/customer_360", "acme/defs/braze"):
        shutil.copytree(EXAMPLE / part, folder / part, ignore=written)
    (folder / ".dagster_home").mkdir()
    shutil.copy(EXAMPLE / ".dagster_home" / "dagster.yaml", folder / ".dagster_home")


def move(customers: Path, users: set[str], *, to: str) -> None:
    """Give customers another city, in the table that the dbt model reads."""
    with customers.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    city = rows[0].index("city")
    for row in rows:
        if row[0] in users:
            row[city] = to
    with customers.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(autouse=True)
def _installed() -> None:
    """The example has an environment of its own, which ``make test`` and ``make example`` make."""
    if not (VENV / "dbt").exists():
        if os.environ.get("BRAZE_PIPELINE_DBT_REQUIRED"):
            pytest.fail("There is no dbt, and BRAZE_PIPELINE_DBT_REQUIRED is set.")
        pytest.skip("dbt is not installed: `make example` installs it")


def test_a_dbt_model_is_built_and_sent_and_then_only_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, shop, home = tmp_path / "project", tmp_path / "shop", tmp_path / "home"
    empty_project(project)
    add_example(project)
    home.mkdir()
    shop.mkdir()
    for file in (ROOT / "data").glob("*.*"):
        if file.name in {"customers.csv", "consents.csv", "orders.parquet"}:
            shutil.copy(file, shop)

    ((_, *launch),) = commands("dg")
    (sends,) = (command[1:] for command in commands("braze-pipeline") if "sends" in command)
    with Sandbox(assume_all=True) as sandbox:
        environ = {
            "HOME": str(home),
            "PATH": f"{VENV}{os.pathsep}{os.environ['PATH']}",
            "DAGSTER_HOME": str(project / ".dagster_home"),
            "ACME_SHOP": str(shop),
            "BRAZE_REST_ENDPOINT": sandbox.endpoint,
            "BRAZE_API_KEY": sandbox.api_key,
        }

        def call(*command: str) -> str:
            return run(project, *command, **environ)

        call("dg", *launch)
        with duckdb.connect(str(project / "dbt" / "marts.duckdb"), read_only=True) as con:
            rows = con.execute("SELECT customer_id FROM customer_360").fetchall()
        customers = [customer for (customer,) in rows]
        accepted = {user for user in customers if sandbox.objects_sent(user)}
        moved = set(sorted(accepted)[:MOVED])
        move(shop / "customers.csv", moved, to=FAR)
        call("dg", *launch)
        assert {user for user in customers if sandbox.objects_sent(user) == 2} == moved
        assert {(sandbox.profile(user) or {})["home_city"] for user in moved} == {FAR}

    monkeypatch.chdir(project)
    shown = CliRunner().invoke(cli, [*sends, "--json"], env={"BRAZE_PIPELINE_DATABASE": None})
    second, first = map(json.loads, shown.output.splitlines())
    for send, users in ((first, accepted), (second, moved)):
        assert send["planned_users"] == send["accepted_users"] == len(users)
    assert f"{len(accepted):,} of {len(customers):,} customers" in " ".join(
        (EXAMPLE / "README.md").read_text(encoding="utf-8").split()
    )
    assert list(home.iterdir()) == [], "something was written outside the project"
