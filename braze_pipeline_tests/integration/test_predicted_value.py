"""Computed predictions from the orders to Braze, with the real steps of a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from braze_pipeline.attributes.build import build_attributes, sources_read
from braze_pipeline.errors import GuardStopped, NotBuilt
from braze_pipeline.operations.forget import forget_user
from braze_pipeline.plan.stored_plans import PlanSummary
from braze_pipeline.predicted_value.stored_fits import fits_of
from braze_pipeline.storage.migrations import RECORDS
from braze_pipeline_tests.old_database import unpack
from braze_pipeline_tests.predicted_world import CUSTOMERS, ON, SQL, PredictedWorld, with_braze

MONTH = [date(2026, 2, 12) + timedelta(days=n) for n in range(28)]
REFIT = date(2026, 3, 1)
PAST = date(2026, 3, 5)


@dataclass
class Month:
    """Four weeks of daily runs, and their plans."""

    world: PredictedWorld
    plans: dict[date, PlanSummary]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """So little data is read faster without other threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAZE_PIPELINE_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    with with_braze(PredictedWorld.make(tmp_path_factory.mktemp("month"))) as world:
        yield Month(world, {day: world.run(day) for day in MONTH})


@pytest.fixture
def copied(month: Month, tmp_path: Path) -> PredictedWorld:
    """The shop after the month, to be changed."""
    folder = tmp_path / "copied"
    shutil.copytree(month.world.folder, folder)
    return PredictedWorld(folder, month.world.endpoint)


@pytest.fixture
def fresh(month: Month, tmp_path: Path) -> PredictedWorld:
    """The same shop, before its first run."""
    return PredictedWorld.make(tmp_path / "fresh")


def test_in_a_month_of_daily_runs_predictions_cost_data_points_on_the_day_of_the_refit_only(
    month: Month,
) -> None:
    costs = {day: plan.data_points for day, plan in month.plans.items() if plan.data_points}
    assert list(costs) == [MONTH[0], REFIT]
    for day, plan in month.plans.items():
        assert plan.predicted is not None
        assert plan.predicted.data_points == plan.data_points
        assert plan.predicted.first_day == (day in costs)
        assert plan.predicted.attributes == ("Predicted CLV", "Value Band")
    # Everybody's value is another one at the refit, and a few change their band.
    refit = {cost.name: cost.users for cost in month.plans[REFIT].by_attribute}
    assert refit["Predicted CLV"] > 0.9 * CUSTOMERS
    assert 0 < refit["Value Band"] < 0.2 * CUSTOMERS
    # That is expected, so it is no reason to stop the run: the default guards are on.
    plan = month.plans[REFIT]
    assert plan.changed_share == 0
    assert plan.predicted is not None
    assert plan.predicted.sentence() == (
        f"Predicted value, first day of the fit of 2026-03-01: {plan.planned_users} users get "
        f"Predicted CLV, Value Band, {plan.data_points} data points"
    )


def test_a_backfill_of_a_past_day_gives_what_that_day_would_have_given(
    month: Month, fresh: PredictedWorld
) -> None:
    fresh.build(PAST)
    then = {customer: value for customer, (value, _) in month.world.values(PAST).items()}
    assert {customer: value for customer, (value, _) in fresh.values(PAST).items()} == then
    assert len(set(then.values())) > CUSTOMERS / 2


def test_later_orders_change_no_past_day(month: Month, copied: PredictedWorld) -> None:
    """Neither those after the day, nor what arrives late for a refit that is made."""
    copied.change_orders(
        "SELECT * FROM orders UNION ALL BY NAME SELECT * REPLACE ("
        "order_id || 'x' AS order_id, TIMESTAMP '2026-03-20' AS ordered_at, 900 AS unit_price) "
        "FROM orders UNION ALL BY NAME SELECT * REPLACE (order_id || 'y' AS order_id) FROM orders"
    )
    copied.build(PAST)
    assert copied.values(PAST) == month.world.values(PAST)
    # In a database of its own, only what was dated up to the refit counts.
    copied.change_orders("SELECT * FROM orders WHERE order_id NOT LIKE '%y'")
    copied.warehouse.path.unlink()
    copied.build(PAST)
    then = {customer: value for customer, (value, _) in month.world.values(PAST).items()}
    assert {customer: value for customer, (value, _) in copied.values(PAST).items()} == then


def test_a_day_before_a_refit_uses_the_fit_that_was_in_force_then(
    month: Month, copied: PredictedWorld
) -> None:
    before, after = REFIT - timedelta(days=1), REFIT
    copied.build(before, after)
    assert copied.values(before) == month.world.values(before)
    assert copied.values(after) == month.world.values(after)
    assert copied.values(before) != copied.values(after)


def test_a_refused_refit_leaves_the_earlier_one_in_force(
    month: Month, copied: PredictedWorld
) -> None:
    copied.change_orders("SELECT * FROM orders WHERE customer_id IN ('c1', 'c2')")
    april = date(2026, 4, 2)
    found = copied.predict(april)
    assert found.refused
    assert found.newest is not None
    assert found.newest.as_of == date(2026, 4, 1)
    assert found.used is not None
    assert found.used.as_of == REFIT
    assert found.sentence().startswith("The refit of 2026-04-01 was refused: ")
    assert "In force: the fit of 2026-03-01 (" in found.sentence()
    copied.build(april)
    assert copied.values(april) == month.world.values(MONTH[-1])
    # It stays refused until somebody asks again.
    copied.change_orders(f"FROM '{month.world.folder / 'sources' / 'orders.parquet'}'")
    assert copied.predict(april).refused
    again = copied.predict(april, again=True)
    assert (again.refused, again.made) == (False, 1)
    copied.build(april)
    assert copied.values(april) != month.world.values(MONTH[-1])


def test_a_backfill_of_an_earlier_month_changes_no_day_after_a_refused_refit(
    month: Month, fresh: PredictedWorld
) -> None:
    fresh.change_orders("SELECT * FROM orders WHERE customer_id IN ('c1', 'c2')")
    fresh.build(PAST)
    fresh.change_orders(f"FROM '{month.world.folder / 'sources' / 'orders.parquet'}'")
    fresh.build(MONTH[0])
    assert fresh.values(MONTH[0]) == month.world.values(MONTH[0])
    fresh.build(PAST)
    assert set(fresh.values(PAST).values()) == {(None, None)}


def test_a_fit_made_again_that_is_refused_does_not_end_the_published_one(
    month: Month, copied: PredictedWorld
) -> None:
    copied.change_orders("SELECT * FROM orders WHERE customer_id IN ('c1', 'c2')")
    found = copied.predict(PAST, again=True)
    assert found.refused
    assert found.used is not None
    assert found.used.as_of == REFIT
    copied.build(PAST)
    assert copied.values(PAST) == month.world.values(PAST)


def test_a_run_of_several_days_gives_each_day_what_a_run_of_that_day_alone_gives(
    copied: PredictedWorld,
) -> None:
    """Also to a customer whose only purchase was taken back before the newer fit."""
    copied.change_orders(
        "SELECT * FROM orders WHERE customer_id <> 'c7' UNION ALL BY NAME "
        "SELECT 'taken back' AS order_id, 'c7' AS customer_id, unnest([TIMESTAMP '2026-01-20', "
        "TIMESTAMP '2026-02-20']) AS ordered_at, unnest([1, -1]) AS quantity, 500 AS unit_price"
    )
    copied.warehouse.path.unlink()
    copied.build(MONTH[0], PAST)
    both = copied.values(PAST)
    assert copied.values(MONTH[0])["c7"] != (None, None)
    copied.build(PAST)
    assert both == copied.values(PAST)
    assert both["c7"] == (None, None)


def test_after_a_change_of_the_refit_days_the_plan_names_the_fit_that_was_used(
    month: Month, copied: PredictedWorld
) -> None:
    copied.configure(ON.replace("{", "{refit: {every: monthly, day: 5}, ", 1))
    copied.build(PAST)
    assert copied.values(PAST) != month.world.values(PAST)
    copied.configure(ON)
    plan = copied.run(MONTH[-1] + timedelta(days=1))
    assert plan.predicted is not None
    assert (plan.predicted.fit_of, plan.predicted.first_day) == (REFIT, False)


def test_without_enough_orders_nobody_has_a_prediction_and_the_run_goes_on(
    fresh: PredictedWorld,
) -> None:
    early = date(2025, 3, 2)
    found = fresh.predict(early)
    assert found.refused
    assert found.used is None
    assert found.sentence().count("nobody has a prediction") == 1
    fresh.build(early)
    assert set(fresh.values(early).values()) == {(None, None)}


def test_a_table_of_the_brands_own_wins(month: Month, copied: PredictedWorld) -> None:
    own = "customer_id,predicted_on,predicted_clv\nc1,2026-03-05,12.5\n"
    (copied.folder / "sources" / "predictions.csv").write_text(own)
    said: list[str] = []
    found = copied.predict(date(2026, 4, 2), log=said.append)
    assert found.own == copied.folder / "sources" / "predictions.csv"
    assert said == [f"Nothing is computed: your own table {found.own} wins over `predicted_value`."]
    copied.build(PAST)
    # It has no bands: the column that only computed predictions have is NULL.
    assert copied.values(PAST) == dict.fromkeys(month.world.values(PAST), (None, None)) | {
        "c1": (12.5, None)
    }
    with copied.warehouse.connect() as con:
        assert date(2026, 4, 1) not in fits_of(con, copied.t)


def test_bands_that_are_changed_count_from_the_next_run_on(copied: PredictedWorld) -> None:
    copied.configure("{horizon_days: 90, bands: {names: [all, top], from: [1000000]}}")
    copied.build(PAST)
    assert {band for _, band in copied.values(PAST).values()} == {"all"}
    copied.configure("{horizon_days: 90}")
    copied.build(PAST)
    assert {band for _, band in copied.values(PAST).values()} == {None}


MIXED = """
CASE WHEN max(p.predicted_clv) >= 0 AND $as_of < DATE '2026-03-01' THEN 'a' ELSE c.email END
"""


@pytest.mark.parametrize(
    ("area", "stops"),
    [
        ("'York'", False),
        ("IF($as_of < DATE '2026-03-01', 'York', 'Leeds')", True),
        # Made of predictions and of something else: that may be why it changes.
        (MIXED, True),
    ],
    ids=["nothing else changes", "another attribute", "a mixed attribute"],
)
def test_on_the_day_of_a_refit_only_what_is_made_of_predictions_alone_may_change_for_everybody(
    month: Month, fresh: PredictedWorld, area: str, *, stops: bool
) -> None:
    fresh.endpoint = month.world.endpoint
    sql = SQL.replace("SELECT", f"SELECT {area} AS area,", 1)
    (fresh.folder / "customer_attributes.sql").write_text(
        sql.replace("GROUP BY c.customer_id", "GROUP BY c.customer_id, c.email")
    )
    defs = fresh.folder / "defs.yaml"
    defs.write_text(f"{defs.read_text()}        - {{column: area, as: Area, type: string}}\n")
    fresh.run(REFIT - timedelta(days=1))
    assert fresh.run(REFIT - timedelta(days=1)).planned_users == 0
    if stops:
        with pytest.raises(GuardStopped, match="changed"):
            fresh.run(REFIT)
    else:
        assert fresh.run(REFIT).planned_users > 0.9 * CUSTOMERS


def test_predictions_that_nobody_computes_any_more_are_deleted_and_come_back_from_their_fit(
    month: Month, copied: PredictedWorld
) -> None:
    count = "SELECT (SELECT count(*) FROM records.predictions), count(*) FROM "
    count += "records.predicted_value_fits"
    copied.configure("null")
    (copied.folder / "customer_attributes.sql").write_text(
        "SELECT customer_id, NULL::DOUBLE AS predicted_clv, NULL::VARCHAR AS predicted_band "
        "FROM customers WHERE $as_of IS NOT NULL"
    )
    build_attributes(copied.warehouse, copied.t, [PAST])
    with copied.warehouse.connect() as con:
        assert con.execute(count).fetchone() == (0, 2)
    copied.configure(ON)
    (copied.folder / "customer_attributes.sql").write_text(SQL)
    copied.build(PAST)
    then = {customer: value for customer, (value, _) in month.world.values(PAST).items()}
    assert {customer: value for customer, (value, _) in copied.values(PAST).items()} == then


def test_orders_are_checked_each_night_though_only_the_fit_reads_them(
    month: Month, copied: PredictedWorld
) -> None:
    assert {one.name for one in sources_read(copied.t)} == {"customers", "predictions", "orders"}
    (built,) = build_attributes(copied.warehouse, copied.t, [PAST]).summaries
    assert (built.lines or 0) > CUSTOMERS


def test_attributes_are_not_built_before_their_fit(copied: PredictedWorld) -> None:
    with pytest.raises(NotBuilt, match="no fit of 2026-04-01 yet"):
        build_attributes(copied.warehouse, copied.t, [date(2026, 4, 2)])


def test_predictions_that_are_no_longer_kept_are_made_again_from_their_fit(
    month: Month, copied: PredictedWorld
) -> None:
    with copied.warehouse.connect() as con:
        con.execute("UPDATE records.predicted_value_fits SET predicted_at = NULL")
        con.execute("DELETE FROM records.predictions")
    assert copied.predict(PAST).made == 0
    copied.build(PAST)
    then = {customer: value for customer, (value, _) in month.world.values(PAST).items()}
    assert {customer: value for customer, (value, _) in copied.values(PAST).items()} == then


def test_predictions_made_again_stand_at_the_time_of_their_fit(fresh: PredictedWorld) -> None:
    """Orders that came late for it move nobody's clock but that of the customers themselves."""
    whole = (fresh.folder / "sources" / "orders.parquet").read_bytes()
    fresh.change_orders("SELECT * FROM orders WHERE ordered_at < TIMESTAMP '2026-02-26'")
    fresh.build(PAST)
    then = fresh.values(PAST)
    (fresh.folder / "sources" / "orders.parquet").write_bytes(whole)
    with fresh.warehouse.connect() as con:
        con.execute("UPDATE records.predicted_value_fits SET predicted_at = NULL")
        con.execute("DELETE FROM records.predictions")
    fresh.build(PAST)
    assert fresh.values(PAST) == then


def test_forgetting_a_user_removes_their_predictions(copied: PredictedWorld) -> None:
    with copied.warehouse.connect() as con:
        removed = forget_user(con, copied.warehouse, [copied.t], "c7")
        assert removed["records.predictions"] == 2
        left = "SELECT count(*), count(DISTINCT customer_id) FROM records.predictions"
        assert con.execute(left).fetchone() == (2 * CUSTOMERS - 2, CUSTOMERS - 1)


def test_the_database_of_an_earlier_version_gets_fits_and_predictions(
    fresh: PredictedWorld, tmp_path: Path
) -> None:
    old = unpack("0.1.0", tmp_path / "old")
    shutil.copy(old.warehouse.path, fresh.warehouse.path)
    fresh.build(PAST)
    with fresh.warehouse.connect() as con:
        assert RECORDS.stored_version(con) == RECORDS.version
        assert list(fits_of(con, fresh.t)) == [REFIT]
        assert con.execute("SELECT count(*) FROM records.plans").fetchone() != (0,)
