"""Two destinations in one ``defs.yaml`` may each have a template of the same name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from braze_pipeline.alerts import ActionStore
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.main import cli
from braze_pipeline.errors import UsageError
from braze_pipeline_tests.small_brand import SmallBrand, small_brand
from braze_pipeline_tests.unit.alerts.test_store import incident


@pytest.fixture
def brand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallBrand:
    found = small_brand(tmp_path / "brand")
    found.enter(monkeypatch)
    first = found.config.read_text(encoding="utf-8")
    second = first.replace("name: braze", "name: other\n    api_key_env: OTHER_KEY")
    third = second.replace("other", "third").replace("name: loyal", "name: vip")
    found.config.write_text(f"{first}\n---\n{second}\n---\n{third}", encoding="utf-8")
    return found


def chosen(brand: SmallBrand, name: str | None) -> tuple[str, str]:
    t = Session(config_file=brand.config, template_name=name, environ=os.environ).template
    return t.destination.name, t.name


def test_a_template_is_chosen_by_its_name_or_together_with_its_destination(
    brand: SmallBrand,
) -> None:
    assert chosen(brand, None) == ("braze", "loyal")
    assert chosen(brand, "braze/loyal") == ("braze", "loyal")
    assert chosen(brand, "other/loyal") == ("other", "loyal")
    assert chosen(brand, "vip") == chosen(brand, "third/vip") == ("third", "vip")


def test_a_name_that_several_destinations_have_is_refused_and_both_are_listed(
    brand: SmallBrand,
) -> None:
    with pytest.raises(UsageError, match="several templates 'loyal'") as refused:
        chosen(brand, "loyal")
    assert refused.value.fix == "Pass one of them to --template: braze/loyal, other/loyal."
    with pytest.raises(UsageError) as unknown:
        chosen(brand, "other/vip")
    assert unknown.value.fix == "Its templates are: braze/loyal, other/loyal, third/vip."


def test_the_steps_of_an_action_work_on_its_own_destination(brand: SmallBrand) -> None:
    store = ActionStore(brand.folder / "warehouse.actions.sqlite")
    store.record(incident(action="contract_broken", destination="other", template="loyal"))
    store.record(incident(action="invalid_credentials", destination="other", template="loyal"))
    result = CliRunner().invoke(cli, ["--config", str(brand.config), "actions"])
    assert "--template other/loyal rejections" in result.output
    assert "--template other/loyal retry-rejected" in result.output
    assert "variable OTHER_KEY" in result.output
    assert "BRAZE_API_KEY" not in result.output
