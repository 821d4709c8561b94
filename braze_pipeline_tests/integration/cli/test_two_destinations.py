"""Two destinations in one ``defs.yaml`` may each have a template of the same name."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster.components.core.component_tree import ComponentTreeException

from braze_pipeline.alerts import ActionStore
from braze_pipeline.cli.context import Session
from braze_pipeline.cli.main import cli
from braze_pipeline.cli.run import run_and_report
from braze_pipeline.config.load import load_configs
from braze_pipeline.errors import ConfigurationError, UsageError
from braze_pipeline.orchestration.runner import RunOutcome
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


def test_one_destination_in_two_documents_is_refused_with_both_places(brand: SmallBrand) -> None:
    text = brand.config.read_text(encoding="utf-8").replace("name: third", "name: other")
    brand.config.write_text(text, encoding="utf-8")
    first, second = (
        n for n, line in enumerate(text.splitlines(), start=1) if line.endswith("name: other")
    )
    result = CliRunner().invoke(cli, ["--config", str(brand.config), "template", "check"])
    assert result.exit_code != 0
    said = str(result.exception)
    assert f"{brand.config}:{second}: destination.name: The destination 'other' is" in said
    assert f"(also in {brand.config}:{first})" in said


def test_one_destination_in_two_folders_is_refused_by_the_command_line_and_by_dagster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    brand = small_brand(project / "acme" / "defs" / "braze")
    brand.enter(monkeypatch)
    monkeypatch.syspath_prepend(str(project))
    (project / "acme" / "__init__.py").touch()
    (project / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "acme"\n'
    )
    copy = project / "acme" / "defs" / "copy" / "defs.yaml"
    copy.parent.mkdir()
    text = brand.config.read_text(encoding="utf-8")
    copy.write_text(text.replace("name: loyal", "name: vip"), encoding="utf-8")
    for sql in brand.folder.glob("*.sql"):
        (copy.parent / sql.name).write_text(sql.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        chosen(brand, None)
    with pytest.raises(ComponentTreeException) as wrapped:
        dg.load_from_defs_folder(path_within_project=project)
    for said in (str(refused.value), str(wrapped.value.__cause__)):
        assert "'braze' is defined twice" in said
        assert str(brand.config) in said
        assert str(copy) in said
    trial = project / "trial.yaml"
    trial.write_text(text, encoding="utf-8")
    assert len(load_configs(trial)) == 1


def test_a_run_that_left_no_plan_for_its_template_is_not_called_sent(
    brand: SmallBrand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "braze_pipeline.cli.run._run_job", lambda *_, **__: RunOutcome(run_id="1", failed=None)
    )
    session = Session(config_file=brand.config, template_name="vip", environ=os.environ)
    with pytest.raises(RuntimeError, match="without a plan for the template vip"):
        run_and_report(session, [brand.last])
