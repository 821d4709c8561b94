"""The table of resolutions is complete, and its texts can be filled in."""

from __future__ import annotations

import re
import string

import pytest

from braze_pipeline import errors
from braze_pipeline.alerts import action_classes, resolution_of, resolutions
from braze_pipeline.alerts.action_classes import error_of

KNOWN = {"template", "destination", "api_key_env", "config", "sql", "day", "guard", "number"}

# The classes that operators must at least be able to distinguish.
REQUIRED = {
    "invalid_credentials", "status_401_transient", "status_401_persistent", "missing_permission",
    "wrong_instance", "missing_required_field_orchestration", "missing_required_field_campaign",
    "invalid_configuration", "source_missing", "source_changed", "contract_broken",
    "guard_stopped", "braze_unavailable", "rate_limit_exhausted", "database_locked", "disk_full",
    "unknown",
}  # fmt: skip


def test_every_required_class_and_every_typed_error_has_its_steps() -> None:
    classes = REQUIRED | {kind.action for kind in errors.error_classes()}
    # It is only recorded in one of its two refined classes.
    classes.remove(errors.MissingRequiredField.action)
    assert classes <= set(resolutions())


def test_the_table_has_no_class_that_the_code_does_not_have() -> None:
    constants = {
        value
        for name, value in vars(action_classes).items()
        if name.isupper() and name != "REFINED"
    }
    assert set(resolutions()) <= constants | {kind.action for kind in errors.error_classes()}


@pytest.mark.parametrize("action", sorted(resolutions()))
def test_every_class_has_steps_with_known_placeholders(action: str) -> None:
    resolution = resolutions()[action]
    assert resolution.title
    assert resolution.steps
    for text in (resolution.meaning, *resolution.steps):
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        assert names <= KNOWN
    facts = dict.fromkeys(KNOWN, "<filled>")
    for text in (resolution.meaning_for(facts), *resolution.steps_for(facts)):
        assert "{" not in text


@pytest.mark.parametrize("action", sorted(resolutions()))
def test_a_step_with_a_command_for_one_template_names_it(action: str) -> None:
    for step in resolutions()[action].steps:
        for command in re.findall(r"`braze-pipeline ([^`]*)`", step):
            of_one = re.search(r"\b(run|rejections|retry-rejected|ledger (adopt|reset))\b", command)
            assert not of_one or command.startswith("--template {destination}/{template} ")


@pytest.mark.parametrize("action", sorted(resolutions()))
def test_a_class_that_can_be_retried_explains_how(action: str) -> None:
    resolution = resolutions()[action]
    says_so = any("actions resolve {number}" in step for step in resolution.steps)
    assert says_so == resolution.retry


def test_a_class_of_a_newer_version_is_treated_as_an_unexpected_failure() -> None:
    assert resolution_of("from the future") is resolutions()["unknown"]


def test_a_placeholder_without_a_fact_stays_readable() -> None:
    assert "NUMBER" in resolutions()["unknown"].steps_for({})[1]


def test_a_class_has_the_title_and_the_exit_code_of_its_error() -> None:
    for kind in errors.error_classes():
        found = error_of(kind.action)
        assert found.exit_code == kind.exit_code
        if kind.action in resolutions():
            assert resolutions()[kind.action].title == found.title
    assert error_of("status_401_transient") is errors.InvalidCredentials
    assert error_of("partial_success") is errors.PipelineError
