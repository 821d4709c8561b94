"""Overrides of one run, by option or run tag: an invalid one fails before anything is built."""

from __future__ import annotations

import dagster as dg
import pytest

from braze_pipeline.errors import UsageError
from braze_pipeline.orchestration.checks import guard_check, guard_specs
from braze_pipeline.orchestration.days import PARTITION_TAG
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.plan import guards
from braze_pipeline.sandbox import Sandbox
from braze_pipeline.settings import Guards
from braze_pipeline_tests.commands import command, one_action, tick
from braze_pipeline_tests.integration.orchestration.test_days import launch
from braze_pipeline_tests.small_brand import SmallBrand
from braze_pipeline_tests.watched_world import template


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"let_through": "changed_share"}, "without a reason"),
        ({"let_through": "changed_share", "reason": "  "}, "without a reason"),
        ({"force_stale": "true"}, "without a reason"),
        (
            {"let_through": "audience_size, changed_shares", "reason": "sale"},
            "no guard 'changed_shares' to let through. Did you mean 'changed_share'?",
        ),
        ({"let-trough": "changed_share", "reason": "sale"}, "Did you mean 'let_through'?"),
        ({"dry-run": "true"}, "Unknown run tag 'braze_pipeline/dry-run'."),
        ({"force_stale": "yes"}, "'braze_pipeline/force_stale' must be true or false, not 'yes'."),
        ({"refit": "1"}, "'braze_pipeline/refit' must be true or false, not '1'."),
    ],
)
def test_tags_that_override_without_a_reason_or_name_nothing_fail_the_first_step(
    brand: SmallBrand, sandbox: Sandbox, tags: dict[str, str], said: str
) -> None:
    given = {f"braze_pipeline/{name}": value for name, value in tags.items()}
    result = launch(brand, {PARTITION_TAG: brand.day(0), **given})
    assert [step.step_key for step in result.get_step_failure_events()] == ["customer_attributes"]
    tick(brand)
    assert said in one_action(brand).what
    assert sandbox.profiles() == {}


def test_a_send_alone_stops_at_an_unknown_tag_too(brand: SmallBrand, sandbox: Sandbox) -> None:
    command(brand, "run", "--as-of", brand.day(0), "--dry-run")
    send = {"asset_selection": [dg.AssetKey("braze_send")]}
    day = {PARTITION_TAG: brand.day(0)}
    assert not launch(brand, day | {"braze_pipeline/dry_run": "true"}, **send).success
    assert sandbox.profiles() == {}
    assert launch(brand, day | {"braze_pipeline/reason": "a look"}, **send).success
    assert sandbox.profiles() != {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--let-through", "changed_shares", "--reason", "sale"), "Did you mean 'changed_share'"),
        (("--let-through", "changed_share", "--reason", " "), "--reason"),
        (("--force-stale",), "--reason"),
    ],
)
def test_a_command_refuses_the_same_at_once(
    brand: SmallBrand, sandbox: Sandbox, options: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        command(brand, "run", "--as-of", brand.day(0), *options)
    assert not list(brand.folder.glob("warehouse*"))


def test_every_guard_that_the_ui_shows_can_be_let_through() -> None:
    t = template(guards=Guards(**dict.fromkeys(Guards.model_fields, 1)))
    shown = {spec.name for spec in guard_specs(t, TemplateKeys.of(t).plan)}
    assert shown == {guard_check(name) for name in guards.NAMES}
