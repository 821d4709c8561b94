"""Users that Braze rejected: suppressed until something changes, or sent again on request."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.small_brand import CUSTOMERS, SmallBrand, small_brand

pytestmark = pytest.mark.e2e


def call(brand: SmallBrand, sandbox: Sandbox, *arguments: str) -> str:
    done = brand.call(sandbox, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def figures(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


def test_a_rejected_user_waits_for_a_change_or_for_a_retry(tmp_path: Path) -> None:
    brand = small_brand(tmp_path / "brand")
    run = ("run", "--as-of", brand.day(0), "--json")
    with Sandbox(assume_all=True) as sandbox:
        sandbox.refuse("c3", "Braze had a bad day with this one")
        first = figures(call(brand, sandbox, *run))
        assert (first["accepted_users"], first["rejected_users"]) == (CUSTOMERS - 1, 1)
        again = figures(call(brand, sandbox, *run))
        assert (again["planned_users"], again["held_back_users"]) == (0, 1)
        sandbox.workspace.refusals.clear()
        output = call(brand, sandbox, "retry-rejected")
        assert "1 rejected user is planned again." in output
        assert re.search(r"accepted by Braze +1\n", output)
        assert sandbox.profile("c3")
        assert "No user is rejected." in call(brand, sandbox, "retry-rejected", "--later")
        sends = [json.loads(line) for line in call(brand, sandbox, "sends", "--json").splitlines()]
        assert [
            (one["accepted_users"], one["rejected_users"]) for one in sends if one["planned_users"]
        ] == [(1, 0), (CUSTOMERS - 1, 1)]
        assert sends[-1]["refused"] == {"Braze had a bad day with this one": 1}
        assert re.search(rf" {CUSTOMERS} +{CUSTOMERS - 1} +1 +0 ", call(brand, sandbox, "sends"))


def test_a_rejected_user_whose_values_change_is_sent_with_the_next_run(tmp_path: Path) -> None:
    brand = small_brand(tmp_path / "brand")
    run = ("run", "--as-of", brand.day(0), "--json")
    with Sandbox(assume_all=True) as sandbox:
        sandbox.refuse("c3")
        call(brand, sandbox, *run)
        sandbox.workspace.refusals.clear()
        brand.buy_again(hour=13)
        assert figures(call(brand, sandbox, *run))["accepted_users"] == CUSTOMERS
        assert sandbox.profile("c3")
