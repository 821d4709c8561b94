"""Every setting can be set: none is a constant that looks like a choice."""

from __future__ import annotations

from pathlib import Path

import pytest

from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.settings.destination import UNKNOWN_LIMIT
from braze_pipeline_tests.unit.config.test_configuration_errors import DESTINATION, document, load


@pytest.mark.parametrize(
    "name",
    [
        "connect_timeout", "read_timeout", "answer_timeout", "retry_budget_seconds",
        "max_throttle_seconds", "max_in_flight", "objects_per_request", "read_back_users",
    ],
)  # fmt: skip
def test_what_a_destination_says_arrives(tmp_path: Path, name: str) -> None:
    (t,) = load(tmp_path, document(destination=DESTINATION + f"{name}: 7\n"))
    assert getattr(t.destination, name) == 7


def test_a_template_overrides_only_what_it_says(tmp_path: Path) -> None:
    destination = (
        DESTINATION + "update_only: false\nread_back_users: 3\nrate_limit: {requests: 9}\n"
    )
    (t,) = load(tmp_path, document(destination=destination, template="read_back_users: 0"))
    assert t.destination.read_back_users == 0
    assert t.destination.rate_limit.requests == 9
    assert not t.destination.update_only


def test_a_key_with_nothing_after_it_is_the_default_where_that_is_safe(tmp_path: Path) -> None:
    destination = DESTINATION + "rate_limit:\npricing:\nupdate_only:\n"
    text = document(destination=destination, template="rate_limit:\nmax_body_bytes:")
    (t,) = load(tmp_path, text)
    assert t.destination.rate_limit == UNKNOWN_LIMIT
    assert t.destination.pricing.model == "data_points"
    assert t.destination.update_only
    assert t.destination.max_body_bytes == 4_000_000


@pytest.mark.parametrize("key", ["name", "api_key_env"])
def test_a_key_is_not_blank_where_the_default_would_be_another_ledger_or_key(
    tmp_path: Path, key: str
) -> None:
    text = document(destination="instance: US-01\nuser_identifier: external_id\n" + f"{key}:\n")
    with pytest.raises(ConfigurationError, match=rf"destination\.{key}: Expected"):
        load(tmp_path, text)


def test_a_blank_identifier_column_is_the_default(tmp_path: Path) -> None:
    (t,) = load(tmp_path, document(template='identifier_column: ""'))
    assert t.identifier_column == "customer_id"


def test_the_schema_allows_what_the_loader_does_and_shows_no_default_that_is_inherited() -> None:
    sections = PipelineConfig.model_json_schema(by_alias=True)["$defs"]
    for section in ("DestinationConfig", "TemplateConfig"):
        rate_limit = sections[section]["properties"]["rate_limit"]
        assert {"type": "null"} in rate_limit["anyOf"]
    inherited = sections["TemplateConfig"]["properties"]["update_only"]
    assert "default" not in {*inherited, *inherited["anyOf"][0]}
    assert inherited["description"].endswith("Overrides the destination's.")
    own = sections["DestinationConfig"]["properties"]["update_only"]
    assert own["anyOf"][0]["default"] is True


def test_every_key_has_a_description_in_the_schema() -> None:
    schema = PipelineConfig.model_json_schema(by_alias=True)
    lacking = [
        f"{name}.{key}"
        for name, section in [("", schema), *schema["$defs"].items()]
        for key, value in section.get("properties", {}).items()
        if not value.get("description") and "$ref" not in value
    ]
    assert not lacking
