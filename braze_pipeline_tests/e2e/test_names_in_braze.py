"""Attributes that exist in Braze are sent under exactly their names, whatever the characters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from braze_pipeline.sandbox import Sandbox
from braze_pipeline.sandbox.coercion import DataType
from braze_pipeline_tests.e2e.test_retry_rejected import call, figures
from braze_pipeline_tests.small_brand import CUSTOMERS, small_brand

pytestmark = pytest.mark.e2e

NAMES = (
    "Customer's Tier",
    "Loyalty.Tier",
    "Location",
    'Spend ($, "net")',
    "back\\slash",
    "a/b~c",
    "`{0}` 100% <b>",
    "?!",
    "[/b]",
    "می\u200cخواهم",
)


def test_names_of_any_form_reach_braze_and_the_next_run_sends_nothing(tmp_path: Path) -> None:
    brand = small_brand(tmp_path / "brand")
    more = [
        {"column": "loyalty_status", "as": name, "type": "string", "custom": True} for name in NAMES
    ]
    with brand.config.open("a", encoding="utf-8") as file:
        file.writelines(f"        - {json.dumps(one)}\n" for one in more)
    with Sandbox(assume_all=True) as sandbox:
        assert "[/b]" in call(brand, sandbox, "template", "describe")
        first = figures(call(brand, sandbox, "run", "--as-of", brand.day(0), "--json"))
        assert first["accepted_users"] == CUSTOMERS
        profile = sandbox.profile("c3") or {}
        assert {name: profile.get(name) for name in NAMES} == dict.fromkeys(NAMES, "gold")
        again = figures(call(brand, sandbox, "run", "--as-of", brand.day(0), "--json"))
        assert again["planned_users"] == 0
        assert "gold" in call(brand, sandbox, "ledger", "show", "c3")


def test_an_attribute_that_braze_spells_differently_is_named_in_json_too(tmp_path: Path) -> None:
    brand = small_brand(tmp_path / "brand")
    with Sandbox(assume_all=True) as sandbox:
        sandbox.define_attribute("lifetime_orders")
        found = figures(call(brand, sandbox, "run", "--as-of", brand.day(0), "--json"))
        assert found["blocked_attributes"] == ["Lifetime Orders (spelled differently in Braze)"]
        assert "Lifetime Orders" not in (sandbox.profile("c3") or {})
        sandbox.define_attribute("Lifetime Orders", DataType.NUMBER)
        again = figures(call(brand, sandbox, "run", "--as-of", brand.day(0), "--json"))
        assert again["blocked_attributes"] == []
        assert (sandbox.profile("c3") or {}).get("Lifetime Orders")
