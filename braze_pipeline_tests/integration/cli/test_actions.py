"""The list of workflow actions can be read when it is needed most."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from braze_pipeline.alerts import ActionStore
from braze_pipeline.cli.main import cli
from braze_pipeline_tests.small_brand import small_brand
from braze_pipeline_tests.unit.alerts.test_store import incident


@pytest.mark.parametrize("arguments", [["actions", "--all"], ["actions", "--json"]])
def test_actions_are_listed_although_the_configuration_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    brand = small_brand(tmp_path / "brand")
    brand.enter(monkeypatch)
    ActionStore(brand.folder / "warehouse.actions.sqlite").record(incident(what="It broke."))
    brand.config.write_text(brand.config.read_text().replace("external_id", "no_such_id"))
    result = CliRunner().invoke(cli, ["--config", str(brand.config), *arguments])
    assert result.exception is None, result.output
    assert "It broke." in result.output
