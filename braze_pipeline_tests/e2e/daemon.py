"""Runs ``dagster dev`` as a user would, and controls it by GraphQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import requests

T = TypeVar("T")

PATIENCE_SECONDS = 600
"""How long to wait before giving up; no test measures time by it."""

_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""

_BACKFILL = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


@dataclass(frozen=True)
class Dagster:
    """A running UI and daemon.

    Attributes:
        url: The UI's address.
        instance: The same Dagster instance, opened by the test.
        log: What the processes wrote.
    """

    url: str
    instance: dg.DagsterInstance
    log: Path

    def ask(self, query: str, **variables: object) -> Any:
        answer = requests.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60
        )
        found = answer.json()
        assert "errors" not in found, found
        return next(iter(found["data"].values()))

    def launch(
        self,
        job: str,
        *,
        day: str | None = None,
        assets: Sequence[str] = (),
        location: str = "small",
    ) -> str:
        """Start a run, as the launchpad or the button "Materialize" does."""
        paths = [{"path": asset.split("/")} for asset in assets]
        tags = [{"key": "dagster/partition", "value": day}] if day else []
        launched = self.ask(
            _LAUNCH,
            params={
                "selector": {
                    "repositoryLocationName": location,
                    "repositoryName": "__repository__",
                    "jobName": job,
                    **({"assetSelection": paths} if paths else {}),
                },
                "executionMetadata": {"tags": tags},
            },
        )
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def backfill(self, days: Sequence[str], assets: Sequence[str]) -> str:
        launched = self.ask(
            _BACKFILL,
            params={
                "partitionNames": list(days),
                "assetSelection": [{"path": [asset]} for asset in assets],
            },
        )
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def ended(self, run_id: str) -> dg.DagsterRun:
        """Wait for a run to end."""

        def look() -> dg.DagsterRun | None:
            run = self.instance.get_run_by_id(run_id)
            return run if run is not None and run.is_finished else None

        return wait_for(look, f"the end of run {run_id}")


def wait_for(look: Callable[[], T | None], what: str) -> T:
    """Look until something is found, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what} did not happen within {PATIENCE_SECONDS} seconds")


@contextmanager
def dagster_dev(folder: Path, environ: Mapping[str, str]) -> Iterator[Dagster]:
    """Run ``dagster dev`` on the workspace in a folder until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "dagster.log"
    command = [
        str(Path(sys.executable).with_name("dagster")), "dev",
        "--host", "127.0.0.1", "--port", str(port), "--workspace", str(folder / "workspace.yaml"),
    ]  # fmt: skip
    with log.open("wb") as out:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environ},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(url), f"the UI ({log.read_text(errors='replace')[-2000:]})")
        with dg.DagsterInstance.from_config(environ["DAGSTER_HOME"]) as instance:
            yield Dagster(url, instance, log)
    finally:
        _stop(child)


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/server_info", timeout=10).ok
    except requests.RequestException:
        return False


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Stop it and everything it started (its process group)."""
    for number, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 20)):
        try:
            os.killpg(child.pid, number)
            child.wait(timeout=seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
    child.wait()
