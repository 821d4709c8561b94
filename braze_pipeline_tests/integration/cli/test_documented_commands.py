"""The commands that the pages show for running it work in the order in which they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.commands import command
from braze_pipeline_tests.small_brand import small_brand
from braze_pipeline_tests.unit.test_documented_blocks import BLOCKS, calls_of

PAGES = ("docs/running-it.md", "docs/workflow-actions.md")

NOT_RUN = {
    ("actions", "resolve"): "there is no action 3; test_actions_command.py resolves one",
    ("actions", "close"): "there is no action 3; test_actions_command.py closes one",
    ("ledger", "import"): "the ledger is not empty; test_transfer.py imports",
}


def shown() -> list[list[str]]:
    return [
        call[1:]
        for block in BLOCKS
        if block.where.startswith(PAGES) and block.language == "console"
        for call in calls_of(block.text)
        if call[0] == "braze-pipeline"
    ]


def test_the_commands_of_the_pages_work_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = small_brand(tmp_path / "brand")
    done: list[list[str]] = []
    with Sandbox(assume_all=True) as sandbox:
        brand.enter(monkeypatch, sandbox.endpoint, sandbox.api_key)
        for words in [["run"], *shown()]:
            if tuple(words[:2]) in NOT_RUN or words in done:
                continue
            here = [
                re.sub(r"^/var/lib/braze-pipeline/backups", str(tmp_path), word) for word in words
            ]
            here = [re.sub(r"^2026-\d\d-\d\d$", brand.day(0), word) for word in here]
            output = command(brand, *here)
            assert output.startswith("0\n"), f"{words}: {output}"
            done.append(words)
    assert {"run", "doctor", "template", "pause", "resume", "ledger", "actions"} == {
        words[0] for words in done
    }
    assert set(NOT_RUN) <= {tuple(words[:2]) for words in shown()}
