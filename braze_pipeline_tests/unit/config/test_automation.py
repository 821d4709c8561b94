"""`automation:` is refused where it could not do what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from braze_pipeline.errors import ConfigurationError
from braze_pipeline_tests.unit.config.test_configuration_errors import document, load

SOURCES = "sources: {orders: {asset_key: [shop, orders]}}\n"


def test_it_is_off_by_default_and_shared_by_all_templates(tmp_path: Path) -> None:
    (t,) = load(tmp_path, document())
    assert t.automation is None
    (t,) = load(tmp_path, document(more=SOURCES + "automation: on_source_update"))
    assert t.automation == "on_source_update"


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        ("automation: on_source_updates", 13, "Did you mean 'on_source_update'"),
        ("automation: on_source_update", 13, "Name each under `sources:` with `asset_key`"),
        (
            SOURCES + "automation: on_source_update\nschedule:\n  lag_days: 1",
            16,
            "Remove one of the two",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, more: str, line: int, says: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, document(more=more))
    assert f"defs.yaml:{line}" in raised.value.what
    assert says in raised.value.what
