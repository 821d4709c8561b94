"""Nothing is silent for long at a terminal: a step that runs for a while says so."""

from __future__ import annotations

import re
import time

import pytest

from braze_pipeline.orchestration import progress
from braze_pipeline_tests.e2e.daemon import PATIENCE_SECONDS


def test_a_step_reports_its_start_every_few_seconds_its_duration_and_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.05)
    said: list[str] = []
    with (
        progress.watched(on_progress=lambda _: None, on_message=said.append),
        progress.step("braze_plan"),
    ):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(said) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    first, *between, last = said
    assert first == "braze_plan ..."
    assert len(between) >= 2
    assert all(re.fullmatch(r"braze_plan: \d+ s so far \.\.\.", text) for text in between)
    assert re.fullmatch(r"braze_plan: done in \d+\.\d s", last)


def test_a_step_that_fails_is_not_reported_as_done() -> None:
    said: list[str] = []
    with (
        pytest.raises(ZeroDivisionError),
        progress.watched(on_progress=lambda _: None, on_message=said.append),
        progress.step("braze_plan"),
    ):
        raise ZeroDivisionError
    assert said == ["braze_plan ..."]
