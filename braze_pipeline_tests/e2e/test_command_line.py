"""The command line as a user runs it: real processes, the sample data, a real sandbox.

The demo reads all of the sample, the other runs one in eight of its customers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from braze_pipeline.sandbox import SANDBOX_API_KEY, Sandbox
from braze_pipeline_tests import sample

COMMAND = Path(sys.executable).with_name("braze-pipeline")

PART = "A_PART_OF_THE_SAMPLE"
"""The variable with the folder that most tests read."""

pytestmark = pytest.mark.e2e


def call(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command with its database in ``folder``."""
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("BRAZE_", "DAGSTER_"))},
        "BRAZE_PIPELINE_DATABASE": str(folder / "warehouse.duckdb"),
        "BRAZE_PIPELINE_SOURCES": os.environ[PART],
        **environ,
    }
    return subprocess.run(
        [str(COMMAND), *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    """All output of a command, which must not contain a traceback."""
    output = done.stdout + done.stderr
    assert "Traceback" not in output
    return output


@pytest.fixture(scope="module", autouse=True)
def part(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("part")
    sample.part_of(sample.FILES, folder, one_in=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PART, str(folder))
        yield


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(assume_all=True) as running:
        yield running


def run_json(folder: Path, sandbox: Sandbox, *arguments: str) -> dict[str, Any]:
    done = call(
        folder,
        "run",
        "--json",
        *arguments,
        BRAZE_REST_ENDPOINT=sandbox.endpoint,
        BRAZE_API_KEY=SANDBOX_API_KEY,
    )
    assert done.returncode == 0, output_of(done)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["profiles"] + found["leaving_users"] == (
        found["planned_users"]
        + found["unchanged_users"]
        + found["superseded_users"]
        + found["held_back_users"]
    )
    assert found["planned_users"] == (
        found["accepted_users"] + found["rejected_users"] + found["not_attempted_users"]
    )
    assert found["customers"] == found["audience"] + sum(found["left_out"].values())
    assert found["audience"] == found["profiles"] + found["rejected_rows"]
    return found


def figures(text: str) -> list[str]:
    """The lines of a funnel, from customers to what is not confirmed in Braze."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    (first, *_) = [no for no, line in enumerate(lines) if line.startswith("customers ")]
    (last, *_) = [no for no, line in enumerate(lines) if line.startswith("not confirmed")]
    return lines[first : last + 1]


def test_the_demo_sends_and_a_second_demo_plans_no_users_and_explains_why(tmp_path: Path) -> None:
    everything = {"BRAZE_PIPELINE_SOURCES": str(sample.DATA)}
    first = call(tmp_path, "demo", **everything)
    assert first.returncode == 0, output_of(first)
    for part in (
        "customers",
        "excluded by high_value",
        "accepted by Braze",
        "data points",
        "make ui",
    ):
        assert part in first.stdout
    readme = (sample.DATA.parent / "README.md").read_text(encoding="utf-8")
    assert figures(first.stdout) == figures(readme.partition("As of 2011-12-09")[2])
    (database,) = tmp_path.glob("*sandbox*.duckdb")
    with duckdb.connect(str(database)) as con:  # as if the first was two days ago
        con.execute("UPDATE ledger.acks SET acknowledged_at = acknowledged_at - INTERVAL 2 DAY")
    second = call(tmp_path, "demo", **everything)
    assert second.returncode == 0, output_of(second)
    assert "blocked attribute" not in output_of(second)
    assert re.search(r"planned users +0 ", second.stdout)
    assert "according to the ledger, Braze has acknowledged every value" in second.stdout


def test_a_day_later_only_what_changed_is_sent_and_an_older_day_overwrites_nothing(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    first = run_json(tmp_path, sandbox, "--as-of", "2011-11-01")
    assert first["planned_users"] == first["profiles"] > 100
    assert first["status"] == "sent"
    second = run_json(tmp_path, sandbox, "--as-of", "2011-11-02")
    assert 0 < second["planned_attributes"] < first["planned_attributes"] / 10
    before = {user: sandbox.attributes_sent(user) for user in sandbox.profiles()}
    again = run_json(tmp_path, sandbox, "--as-of", "2011-11-01")
    assert again["planned_users"] == 0
    assert again["superseded_users"] > 0
    assert {user: sandbox.attributes_sent(user) for user in sandbox.profiles()} == before


def test_a_dry_run_needs_no_key_and_sends_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    requests = len(sandbox.requests)
    done = call(
        tmp_path,
        *("run", "--as-of", "2011-11-01", "--dry-run"),
        BRAZE_REST_ENDPOINT=sandbox.endpoint,
    )
    assert done.returncode == 0, output_of(done)
    assert "nothing was sent" in done.stdout
    assert len(sandbox.requests) == requests


def test_a_day_after_the_end_date_can_be_run_and_gives_a_warning(tmp_path: Path) -> None:
    done = call(tmp_path, "run", "--as-of", "2011-12-10", "--dry-run", "--json")
    assert done.returncode == 0, output_of(done)
    assert json.loads(done.stdout.splitlines()[-1])["planned_users"] > 100
    assert "2011-12-10 is after `end_date` 2011-12-09" in done.stderr
    assert "otherwise pass your file with --config" in done.stderr, "it may be the sample's"


def test_a_wrong_key_is_reported_without_showing_the_key(tmp_path: Path, sandbox: Sandbox) -> None:
    with Sandbox(api_key="the-right-one") as strict:
        done = call(
            tmp_path,
            *("run", "--as-of", "2011-11-01", "--json"),
            BRAZE_REST_ENDPOINT=strict.endpoint,
            BRAZE_API_KEY="planted-wrong-key",
        )
    output = output_of(done)
    assert done.returncode == 3
    assert "Invalid credentials" in output
    assert "BRAZE_API_KEY" in output
    assert "planted-wrong-key" not in output
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "invalid_credentials"


def test_a_missing_key_is_reported_before_anything_is_built(tmp_path: Path) -> None:
    done = call(tmp_path, "run", "--as-of", "2011-11-01")
    assert done.returncode == 3
    assert "BRAZE_API_KEY is not set, or is empty" in output_of(done)
    assert not (tmp_path / "warehouse.duckdb").exists()


def test_an_unreachable_endpoint_is_reported(tmp_path: Path, sandbox: Sandbox) -> None:
    done = call(
        tmp_path,
        *("run", "--as-of", "2011-11-01"),
        BRAZE_REST_ENDPOINT="http://127.0.0.1:9",
        BRAZE_API_KEY="k-0123456789",
    )
    assert done.returncode == 4
    assert "cannot be reached" in output_of(done)


def test_a_missing_file_and_a_missing_column_are_named(tmp_path: Path, sandbox: Sandbox) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    for name in ("customers.csv", "consents.csv"):
        shutil.copy(sample.DATA / name, sources / name)
    environ = {
        "BRAZE_REST_ENDPOINT": sandbox.endpoint,
        "BRAZE_API_KEY": SANDBOX_API_KEY,
        "BRAZE_PIPELINE_SOURCES": str(sources),
    }
    done = call(tmp_path, "run", "--as-of", "2011-11-01", **environ)
    assert done.returncode == 2
    assert "orders" in output_of(done)
    assert str(sources) in output_of(done)
    (sources / "orders.csv").write_text("order_id,customer_id\n", encoding="utf-8")
    done = call(tmp_path, "run", "--as-of", "2011-11-01", **environ)
    assert done.returncode == 2
    assert "ordered_at" in output_of(done)
    assert "orders.csv" in output_of(done)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--as-of", "2011-13-01"), "YYYY-MM-DD"),
        (("run", "--as-of", "1999-01-01", "--dry-run"), "There is no partition"),
        (("run", "--as-of", "2011-11-01", "--let-through", "changed_share"), "--reason"),
        (("--config", "nowhere.yaml", "template", "check"), "nowhere.yaml"),
        (("--template", "nobody", "plan"), "customer_attributes"),
    ],
)
def test_bad_input_exits_with_code_2_and_explains_what_to_do(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = call(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in output_of(done)


def test_template_check_and_describe_show_what_would_be_sent(tmp_path: Path) -> None:
    checked = call(tmp_path, "template", "check", "--as-of", "2011-11-01")
    assert checked.returncode == 0, output_of(checked)
    assert "profiles" in checked.stdout
    described = call(tmp_path, "template", "describe", COLUMNS="200")
    assert described.returncode == 0, output_of(described)
    for part in ("given_name", "first_name", "L12M Monetary", "custom attribute"):
        assert part in described.stdout
