"""`braze-pipeline doctor` and `template check` know what is computed."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from braze_pipeline.cli.main import cli
from braze_pipeline.operations.doctor.finding import Finding, State
from braze_pipeline.operations.doctor.predicted_value import predicted_value
from braze_pipeline.predicted_value.fit import Fit
from braze_pipeline.predicted_value.stored_fits import store_fit
from braze_pipeline_tests.predicted_world import PredictedWorld

TODAY = datetime(2026, 3, 11, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> PredictedWorld:
    return PredictedWorld.make(tmp_path_factory.mktemp("shop"))


def looked(shop: PredictedWorld, now: datetime = TODAY) -> Finding:
    (found,) = predicted_value(shop.warehouse, [shop.t], now=now)
    return found


def store(shop: PredictedWorld, day: date, published: str | None) -> None:
    fit = Fit(
        fit_id="x", as_of=day, horizon_days=90, published=published,
        refused=() if published else ("Too few customers.",),
    )  # fmt: skip
    with shop.warehouse.connect() as con:
        store_fit(con, shop.t, fit, now=datetime(2026, 3, 10))  # noqa: DTZ001 - as in the tables


def test_it_names_the_fit_in_force_and_the_next_refit(shop: PredictedWorld) -> None:
    found = looked(shop)
    assert (found.state, found.saw) == (
        State.OK, "Nothing was computed yet. Next refit: 2026-04-01."
    )  # fmt: skip
    on_the_day = looked(shop, datetime(2026, 4, 1, 12, tzinfo=UTC))
    assert "Next refit: 2026-04-01." in on_the_day.saw, "its day is not over"
    store(shop, date(2026, 2, 1), "model")
    in_force = (
        "In force: the fit of 2026-02-01 (model, 0 customers, 90 days ahead). "
        "Next refit: 2026-04-01."
    )
    assert looked(shop).saw == in_force
    store(shop, date(2026, 3, 1), None)
    found = looked(shop)
    assert found.state is State.WARN
    assert found.saw == f"The refit of 2026-03-01 was refused: Too few customers. {in_force}"
    assert "docs/predicted-value.md" in found.fix


def test_a_database_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    shop = PredictedWorld.make(tmp_path / "shop")
    shop.warehouse.path.write_bytes(b"no database")
    assert "cannot be read" in looked(shop).saw


def test_a_missing_scipy_fails_with_the_command_that_installs_it(
    shop: PredictedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    found = looked(shop)
    assert (found.state, found.exit_code) == (State.FAIL, 2)
    assert "pip install" in found.fix


def test_it_says_whose_table_wins_and_when_nobody_reads_predictions(tmp_path: Path) -> None:
    shop = PredictedWorld.make(tmp_path / "shop")
    own = shop.folder / "sources" / "predictions.csv"
    own.write_text("customer_id,predicted_on,predicted_clv\n")
    assert looked(shop) == Finding(
        "braze: predicted value",
        State.OK,
        f"Nothing is computed: your own table {own} wins over `predicted_value`.",
    )
    (shop.folder / "customer_attributes.sql").write_text("SELECT customer_id FROM customers")
    assert looked(shop).state is State.WARN
    shop.configure("null")
    assert list(predicted_value(shop.warehouse, [shop.t])) == []


def test_template_check_computes_them_for_the_day(
    shop: PredictedWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in shop.environ.items():
        monkeypatch.setenv(name, value)
    config = str(shop.folder / "defs.yaml")
    cli.main(
        ["--config", config, "template", "check", "--as-of", "2026-03-10"], standalone_mode=False
    )
    said = capsys.readouterr().out
    assert "Predicted value: fitting with the orders up to 2026-03-01 ..." in said
    assert "In force: the fit of 2026-03-01 (" in said
    assert "400 in the audience, 400 profiles" in said
