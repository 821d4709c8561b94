"""Every setting can be set: none is a constant that looks like a choice."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from braze_pipeline import settings
from braze_pipeline.config import models
from braze_pipeline_tests.unit.config.test_configuration_errors import DESTINATION, document, load

OTHER_NAMES = {
    "endpoint": "rest_endpoint", "identifier": "user_identifier",
    "min_lifetime_value": "lifetime_value", "min_predicted_value": "predicted_value",
    "active_within_days": "within_days", "channels": "by",
}  # fmt: skip


@pytest.mark.parametrize(
    ("made", "parts"),
    [
        (settings.DestinationSettings, [models.DestinationPart]),
        (settings.RateLimit, [models.RateLimitPart]),
        (settings.Pricing, [models.PricingPart]),
        (settings.KnownUsers, [models.KnownUsersPart]),
        (settings.Guards, [models.GuardsPart]),
        (settings.ScheduleSettings, [models.SchedulePart]),
        (settings.SourceChecks, [models.SourceChecksPart]),
        (settings.AlertSettings, [models.AlertsPart]),
        (
            settings.AudienceRules,
            [models.HighValuePart, models.ActivePart, models.ContactablePart],
        ),
    ],
)
def test_each_setting_has_a_key(made: Any, parts: list[type[BaseModel]]) -> None:
    keys = {key for part in parts for key in part.model_fields}
    assert {OTHER_NAMES.get(one.name, one.name) for one in fields(made)} <= keys


@pytest.mark.parametrize(
    "name",
    [
        "connect_timeout", "read_timeout", "answer_timeout", "retry_budget_seconds",
        "max_throttle_seconds", "max_in_flight",
    ],
)  # fmt: skip
def test_what_a_destination_says_arrives(tmp_path: Path, name: str) -> None:
    (t,) = load(tmp_path, document(destination=DESTINATION + f"{name}: 7\n"))
    assert getattr(t.destination, name) == 7
