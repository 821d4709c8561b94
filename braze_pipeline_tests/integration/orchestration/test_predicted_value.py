"""The asset `predicted_value` and its check, on a real instance."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from braze_pipeline.config.load import load_configs
from braze_pipeline.orchestration.charts.svg import SHOWN_IN_PLACE
from braze_pipeline.orchestration.checks import PREDICTED
from braze_pipeline.orchestration.destination import build_definitions
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.overrides import REFIT
from braze_pipeline_tests.predicted_world import PredictedWorld

DAY = date(2026, 3, 10)
EARLY = date(2025, 3, 2)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> PredictedWorld:
    return PredictedWorld.make(tmp_path_factory.mktemp("shop"))


@pytest.fixture(autouse=True)
def environment(shop: PredictedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAZE_PIPELINE_THREADS", "1")
    for name, value in shop.environ.items():
        monkeypatch.setenv(name, value)


def definitions(shop: PredictedWorld) -> dg.Definitions:
    ((config, place),) = load_configs(shop.folder / "defs.yaml")
    return build_definitions(config=config, folder=shop.folder, place=place, environ=shop.environ)


def materialize(
    shop: PredictedWorld, day: date, *names: str, tags: dict[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return (
            definitions(shop)
            .resolve_job_def("braze_daily")
            .execute_in_process(
                instance=instance,
                partition_key=day.isoformat(),
                asset_selection=[dg.AssetKey(name) for name in names],
                tags=tags,
            )
        )


def test_every_way_to_run_a_template_includes_its_predictions(shop: PredictedWorld) -> None:
    keys = TemplateKeys.of(shop.t)
    assert [key.path[-1] for key in keys.all] == [
        "predicted_value", "customer_attributes", "braze_audience", "braze_profiles", "braze_plan",
        "braze_send",
    ]  # fmt: skip
    found = definitions(shop)
    for job, assets in (("braze_daily", keys.all), ("braze_rebuild_without_sending", keys.built)):
        assert set(found.resolve_job_def(job).asset_layer.selected_asset_keys) == set(assets)
    graph = found.resolve_asset_graph()
    predicted = dg.AssetKey("predicted_value")
    assert graph.get(predicted).parent_keys == {dg.AssetKey("orders")}
    assert predicted in graph.get(keys.attributes).parent_keys
    assert dg.AssetKey("predictions") not in graph.get_all_asset_keys()


def test_without_the_setting_there_is_no_such_asset(tmp_path: Path) -> None:
    shop = PredictedWorld.make(tmp_path / "off", "null")
    names = {key.path[-1] for key in definitions(shop).resolve_asset_graph().get_all_asset_keys()}
    assert "predicted_value" not in names
    assert "predictions" in names


def test_the_asset_shows_its_fit_its_backtest_and_two_pictures_and_the_check_passes(
    shop: PredictedWorld,
) -> None:
    run = materialize(shop, DAY, "predicted_value", "customer_attributes")
    predicted, attributes = (
        event.materialization for event in run.get_asset_materialization_events()
    )
    shown = {name: value.value for name, value in predicted.metadata.items()}
    assert shown["fit of"] == "2026-03-01"
    assert shown["next refit"] == "2026-04-01"
    assert shown["orders used"] == "2025-01-02 to 2026-03-01"
    assert shown["dagster/row_count"] == 400
    assert f"**{shown['published']}**" in str(shown["backtest"])
    assert str(shown["backtest"]).count("\n") > 3
    for picture in ("lift", "calibration"):
        assert str(shown[picture]).startswith("![")
        assert len(str(shown[picture])) <= SHOWN_IN_PLACE
    (check, _) = run.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (PREDICTED, True)
    assert check.metadata["backtest"].value == shown["backtest"]
    assert "In force: the fit of 2026-03-01 (" in (check.description or "")
    assert "computed here, fits of 2026-03-01" in str(attributes.metadata["sources"].value)
    lineage = attributes.metadata["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    assert lineage.deps_by_column["predicted_clv"][0].asset_key == dg.AssetKey("predicted_value")


def test_the_next_day_makes_nothing_unless_the_run_asks_for_it(shop: PredictedWorld) -> None:
    def made(**tags: str) -> object:
        run = materialize(shop, DAY, "predicted_value", tags=tags)
        (event,) = run.get_asset_materialization_events()
        return event.materialization.metadata["fits made by this run"].value

    made()
    assert made() == 0
    assert made(**{REFIT: "true"}) == 1


def test_the_check_warns_of_a_refused_refit_and_the_run_succeeds(shop: PredictedWorld) -> None:
    run = materialize(shop, EARLY, "predicted_value")
    assert run.success
    (check,) = run.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "The refit of 2025-03-01 was refused: " in (check.description or "")
    (event,) = run.get_asset_materialization_events()
    assert event.materialization.metadata["dagster/row_count"].value == 0


def test_a_table_of_the_brands_own_is_said_to_win(tmp_path: Path) -> None:
    shop = PredictedWorld.make(tmp_path / "own")
    own = shop.folder / "sources" / "predictions.csv"
    own.write_text("customer_id,predicted_on,predicted_clv\nc1,2026-03-05,12.5\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAZE_PIPELINE_SOURCES", str(own.parent))
        patch.setenv("BRAZE_PIPELINE_DATABASE", str(shop.warehouse.path))
        run = materialize(shop, DAY, "predicted_value")
    (event,) = run.get_asset_materialization_events()
    said = str(event.materialization.metadata["computed"].value)
    assert said == f"Nothing is computed: your own table {own} wins over `predicted_value`."
    assert run.get_asset_check_evaluations()[0].passed
