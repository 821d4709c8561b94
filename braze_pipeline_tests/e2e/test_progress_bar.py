"""At a terminal, a person sees the progress of a send; a log file gets no progress bar."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.e2e.daemon import PATIENCE_SECONDS
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand, small_brand

pytestmark = pytest.mark.e2e


def start(brand: SmallBrand, sandbox: Sandbox, *options: str, stderr: int) -> subprocess.Popen[str]:
    run = ("run", "--as-of", brand.day(0), *options)
    return brand.start(sandbox, *run, stderr=stderr, environ={"TERM": "xterm"})


def at_a_terminal(brand: SmallBrand, sandbox: Sandbox, *options: str) -> tuple[str, str]:
    """Standard output, and what was shown on the terminal."""
    ours, theirs = pty.openpty()
    shown = b""
    with start(brand, sandbox, *options, stderr=theirs) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # how a pseudo-terminal ends
            pass
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    os.close(ours)
    assert process.returncode == 0, shown.decode()
    return out, shown.decode()


def one_user_a_request(folder: Path) -> SmallBrand:
    brand = small_brand(folder)
    brand.send_slowly()
    return brand


def test_a_terminal_shows_users_speed_and_the_result(tmp_path: Path) -> None:
    brand = one_user_a_request(tmp_path / "brand")
    with Sandbox(assume_all=True, latency=0.05) as sandbox:
        out, shown = at_a_terminal(brand, sandbox)
    assert f"{CUSTOMERS} of {CUSTOMERS} users" in shown
    assert f"0 of {CUSTOMERS} users" in shown, "progress must be shown from the start"
    assert " per second" in shown
    assert "custom attributes in Braze" in shown, "other steps must be shown too"
    for step in ("customer_attributes", "braze_audience", "braze_profiles", "braze_plan"):
        assert f"{step} ..." in shown
        assert re.search(rf"{step}: done in [\d.]+ s", shown)
    assert re.search(rf"accepted by Braze +{CUSTOMERS}\n", out.replace("\r", ""))


def test_there_is_no_bar_without_a_terminal_or_with_json(tmp_path: Path) -> None:
    brand = one_user_a_request(tmp_path / "brand")
    with Sandbox(assume_all=True) as sandbox:
        with start(brand, sandbox, stderr=subprocess.PIPE) as process:
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0
        assert "users" not in errors
        brand.buy_again(hour=13)
        assert "users" not in at_a_terminal(brand, sandbox, "--json")[1]


def test_a_dry_run_at_a_terminal_shows_its_steps_and_no_bar(tmp_path: Path) -> None:
    brand = small_brand(tmp_path / "brand")
    with Sandbox(assume_all=True) as sandbox:
        out, shown = at_a_terminal(brand, sandbox, "--dry-run")
    assert "custom attributes in Braze" in shown
    assert "sending" not in shown
    assert "Dry run: nothing was sent." in out
