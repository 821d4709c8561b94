"""`predicted_value` in defs.yaml: what is refused, and whose predictions a template reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import resolve
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.settings import TemplateSettings
from braze_pipeline_tests.predicted_world import CONFIG, SQL


def load(
    folder: Path, predicted: str = "{horizon_days: 90}", more: str = "", template: str = ""
) -> TemplateSettings:
    text = CONFIG.format(first="2025-01-01", predicted=predicted)
    text = text.replace("  templates:", f"{more}  templates:")
    text = text.replace("      audience: all", f"      audience: all\n{template}")
    (folder / "defs.yaml").write_text(text)
    (folder / "customer_attributes.sql").write_text(SQL)
    ((config, place),) = load_configs(folder / "defs.yaml")
    environ = {"BRAZE_PIPELINE_SOURCES": str(folder)}
    return resolve(config, folder=folder, place=place, environ=environ)[0]


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ("{horizon_days: 7}", "30"),
        ("{refit: monthy}", "did you mean 'monthly'"),
        ("{refit: {every: weekly, day: 9}}", "A week has the days 1 (Monday) to 7 (Sunday)."),
        ("{refit: {every: monthly, day: 31}}", "28"),
        ("{band: {}}", "Unknown key 'band'"),
        (
            "{bands: {names: [a, b], from: [1, 2]}}",
            "one number fewer than there are names",
        ),
        ("{bands: {names: [a, b, c], from: [2, 2]}}", "above the one before it"),
        ("{bands: {names: [a, a], from: [2]}}", "a name of its own"),
        ("{bands: {names: [a], from: [2]}}", "Too few entries: at least 2 needed."),
        ("{bands: {names: [a, b], from: [0]}}", "more than 0"),
        ("{bands: {names: [a, b], from: [9], hold: 1}}", "less than 1"),
    ],
)
def test_what_cannot_work_is_refused_with_the_line(
    tmp_path: Path, predicted: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, predicted)
    assert expected.casefold() in str(caught.value).casefold()
    lines = (tmp_path / "defs.yaml").read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "predicted_value:" in text)
    assert f"defs.yaml:{line}: " in str(caught.value)


def test_where_it_is_on_and_the_sql_reads_predictions_they_are_computed(tmp_path: Path) -> None:
    t = load(tmp_path)
    assert t.predicts
    # The orders are read for them, although this SQL does not name them.
    assert {source.name for source in t.sources} == {"customers", "orders", "predictions"}
    assert not load(tmp_path, "null").predicts


def test_a_table_that_sources_names_wins(tmp_path: Path) -> None:
    own = "  sources: {predictions: {path: mine.csv}}\n"
    assert not load(tmp_path, more=own).predicts


WAREHOUSE = "  connections: {dwh: {type: postgres, uri_env: DWH}}\n"


def test_with_run_in_a_table_of_your_own_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, more=WAREHOUSE, template="      run_in: dwh")
    assert "The SQL runs in dwh and reads `predictions`" in str(caught.value)
    assert "templates[0].run_in" in str(caught.value) or "run_in" in str(caught.value)
    named = "  sources: {predictions: {connection: dwh, relation: marts.predictions}}\n"
    assert not load(tmp_path, more=WAREHOUSE + named, template="      run_in: dwh").predicts
