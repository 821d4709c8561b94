"""The brand's own asset in another code location starts the pipeline, under the real daemon.

One ``dagster dev`` serves the whole module; the tests build on each other in order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus

from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.e2e.daemon import Dagster, dagster_dev, wait_for
from braze_pipeline_tests.small_brand import SmallBrand, small_brand

pytestmark = pytest.mark.e2e

SENSOR = "braze_source_updates"
SEND = dg.AssetKey("braze_send")

SOURCES = """\
  sources:
    orders: {path: sources/orders.csv, asset_key: [shop, orders]}
    customers: {path: sources/customers.csv, asset_key: [shop, customers]}
  automation: on_source_update
  templates:"""

SHOP = """\
import dagster as dg

@dg.asset(key=["shop", "orders"])
def orders() -> None:
    pass

@dg.asset(key=["shop", "customers"])
def customers() -> None:
    pass

defs = dg.Definitions(assets=[orders, customers], executor=dg.in_process_executor)
"""


@dataclass(frozen=True)
class Place:
    brand: SmallBrand
    sandbox: Sandbox
    dagster: Dagster

    def orders(self) -> object:
        """What Braze has."""
        profile = self.sandbox.profile("c7")
        return profile and profile.get("Lifetime Orders")

    def write(self, *names: str) -> None:
        """Materialize assets of the brand in one run."""
        run = self.dagster.launch(
            "__ASSET_JOB", assets=[f"shop/{n}" for n in names], location="shop"
        )
        assert self.dagster.ended(run).is_success

    def started(self) -> list[dg.DagsterRun]:
        """The runs that the sensor started, oldest first."""
        runs = self.dagster.instance.get_runs(dg.RunsFilter(tags={"dagster/sensor_name": SENSOR}))
        return list(reversed(runs))

    def wait_for_run(self, number: int) -> dg.DagsterRun:
        runs = wait_for(
            lambda: found if len(found := self.started()) >= number else None, "the run"
        )
        return self.dagster.ended(runs[number - 1].run_id)

    def ticks(self) -> list[InstigatorTick]:
        instance = self.dagster.instance
        (state,) = (one for one in instance.all_instigator_state() if one.name == SENSOR)
        return list(instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=500))

    def wait_for_tick(self) -> None:
        """Wait until the sensor has begun and ended one further tick."""
        begun = time.time()

        def passed() -> bool:
            done = [one for one in self.ticks() if one.status is not TickStatus.STARTED]
            return any(one.timestamp > begun for one in done)

        wait_for(passed, "a tick")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    brand = small_brand(tmp_path_factory.mktemp("e2e") / "brand")
    brand.config.write_text(brand.config.read_text().replace("  templates:", SOURCES))
    (brand.folder / "shop.py").write_text(SHOP)
    with (brand.folder / "workspace.yaml").open("a") as workspace:
        workspace.write("  - python_file: {relative_path: shop.py, location_name: shop}\n")
    with (
        Sandbox(assume_all=True) as sandbox,
        dagster_dev(brand.folder, brand.environ(sandbox.endpoint, sandbox.api_key)) as dagster,
    ):
        found = Place(brand, sandbox, dagster)
        wait_for(lambda: any(t.status is not TickStatus.STARTED for t in _ticks(found)), "a tick")
        yield found


def _ticks(place: Place) -> list[InstigatorTick]:
    try:
        return place.ticks()
    except ValueError:  # the daemon has not seen the sensor yet
        return []


def test_writing_the_sources_sends_once_in_one_run_and_its_records_start_no_other(
    place: Place,
) -> None:
    place.write("orders", "customers")
    run = place.wait_for_run(1)
    assert run.is_success, place.dagster.log.read_text(errors="replace")[-5000:]
    assert run.tags["dagster/partition"] == place.brand.day(0)
    assert SEND in (run.asset_selection or ())
    assert place.orders() == place.brand.orders_by(place.brand.day(0))
    # The run recorded its observations on the sources' keys.
    observed = place.dagster.instance.fetch_observations(dg.AssetKey(["shop", "orders"]), limit=9)
    assert [one.run_id for one in observed.records] == [run.run_id]
    place.wait_for_tick()
    assert len(place.started()) == 1


def test_the_next_update_sends_what_changed(place: Place) -> None:
    place.brand.buy_again(hour=20)
    place.write("orders")
    assert place.wait_for_run(2).is_success
    assert place.orders() == place.brand.orders_by(place.brand.day(0)) + 1
    assert len(place.started()) == 2


def test_a_run_that_fails_is_started_once(place: Place) -> None:
    orders = place.brand.folder / "sources" / "orders.csv"
    orders.rename(orders.with_suffix(".away"))
    place.write("orders")
    failed = place.wait_for_run(3)
    assert failed.status is dg.DagsterRunStatus.FAILURE
    place.wait_for_tick()
    assert len(place.started()) == 3
