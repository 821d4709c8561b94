"""A shop whose customers buy at a rate of their own, and stop some day; with computed predictions.

Its SQL sends nothing but what was predicted, so that a plan costs what predictions cost.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from braze_pipeline.attributes.build import build_attributes, sources_read
from braze_pipeline.attributes.lineage import cached_lineage
from braze_pipeline.audience.build import build_audience
from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import resolve
from braze_pipeline.plan.overrides import Overrides
from braze_pipeline.plan.step import plan_days
from braze_pipeline.plan.stored_plans import PlanSummary
from braze_pipeline.predicted_value.step import Predicted, predict
from braze_pipeline.profiles import build_profiles
from braze_pipeline.sandbox import SANDBOX_API_KEY, Sandbox
from braze_pipeline.send.step import send_days
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.warehouse import Warehouse

FIRST = date(2025, 1, 1)
LAST = date(2026, 3, 31)
CUSTOMERS = 400

CONFIG = """
type: braze_pipeline.orchestration.BrazeDestination
attributes:
  destination:
    name: braze
    rest_endpoint: http://127.0.0.1:1
    user_identifier: external_id
    known_users: {{source: assume}}
    preflight: "off"
  start_date: "{first}"
  schedule: null
  predicted_value: {predicted}
  templates:
    - name: loyal
      audience: all
      attributes:
        - {{column: predicted_clv, as: Predicted CLV, type: float}}
        - {{column: predicted_band, as: Value Band, type: string}}
"""
SQL = """
SELECT
    c.customer_id,
    arg_max(p.predicted_clv, p.predicted_on) AS predicted_clv,
    arg_max(p.predicted_band, p.predicted_on) AS predicted_band,
    max(p.predicted_on) AS predicted_on
FROM customers AS c
LEFT JOIN predictions AS p ON p.customer_id = c.customer_id AND p.predicted_on <= $as_of
GROUP BY c.customer_id
"""
BANDS = "{names: [low, medium, high], from: [20, 60]}"
ON = f"{{horizon_days: 90, bands: {BANDS}}}"


@dataclass
class PredictedWorld:
    """A folder with configuration and sources, and its warehouse."""

    folder: Path
    endpoint: str = "http://127.0.0.1:1"
    _t: tuple[object, TemplateSettings] | None = None

    @classmethod
    def make(cls, folder: Path, predicted: str = ON) -> PredictedWorld:
        """Write the shop into an empty folder."""
        world = cls(folder)
        (folder / "sources").mkdir(parents=True)
        (folder / "customer_attributes.sql").write_text(SQL)
        world.configure(predicted)
        _write_sources(folder / "sources")
        return world

    def configure(self, predicted: str) -> None:
        """Write ``defs.yaml``."""
        text = CONFIG.format(first=FIRST, predicted=predicted)
        (self.folder / "defs.yaml").write_text(text)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "BRAZE_API_KEY": SANDBOX_API_KEY,
            "BRAZE_REST_ENDPOINT": self.endpoint,
            "BRAZE_PIPELINE_SOURCES": str(self.folder / "sources"),
            "BRAZE_PIPELINE_DATABASE": str(self.warehouse.path),
        }

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.folder / "warehouse.duckdb")

    @property
    def t(self) -> TemplateSettings:
        files = ("defs.yaml", "customer_attributes.sql")
        made_from = (self.endpoint, *((self.folder / name).read_text() for name in files))
        if self._t is None or self._t[0] != made_from:
            ((config, place),) = load_configs(self.folder / "defs.yaml")
            (t,) = resolve(config, folder=self.folder, place=place, environ=self.environ)
            self._t = made_from, t
        return self._t[1]

    def predict(self, *days: date, **more: Any) -> Predicted:
        t = self.t
        return predict(self.warehouse, t, days, sources=lambda: sources_read(t), **more)

    def build(self, *days: date) -> None:
        """What a run does before the plan."""
        self.predict(*days)
        t = self.t
        built = build_attributes(self.warehouse, t, days)
        with self.warehouse.connect() as con:
            cached_lineage(con, t, built.sources)
            for day in days:
                build_audience(con, t, day)
                build_profiles(con, t, day, run_id="run", now=utc_now())

    def run(self, *days: date) -> PlanSummary:
        """A run from the sources to Braze; its plan."""
        self.build(*days)
        t = self.t
        plan = plan_days(
            self.warehouse, t, days, run_id=str(days), now=utc_now(), environ=self.environ,
            overrides=Overrides(), log=lambda text: None,
        )  # fmt: skip
        if plan.planned_users:
            sent = send_days(
                self.warehouse, t, days, run_id=str(days), environ=self.environ,
                log=lambda text: None,
            )  # fmt: skip
            assert sent.error is None
        return plan

    def values(self, day: date) -> dict[str, tuple[float | None, str | None]]:
        """Predicted value and band of each customer in the attributes of a day."""
        with self.warehouse.connect() as con:
            rows = con.execute(
                "SELECT customer_id, predicted_clv, predicted_band "
                "FROM braze.customer_attributes WHERE __as_of = ?",
                [day],
            ).fetchall()
        return {customer: (value, band) for customer, value, band in rows}

    def change_orders(self, query: str) -> None:
        """Replace the orders with a query over ``orders``."""
        file = self.folder / "sources" / "orders.parquet"
        with duckdb.connect() as con:
            con.execute(f"CREATE TABLE orders AS FROM '{file}'")
            con.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")


@contextmanager
def with_braze(world: PredictedWorld) -> Iterator[PredictedWorld]:
    """The shop with a sandbox to send to."""
    with Sandbox(assume_all=True) as sandbox:
        world.endpoint = sandbox.endpoint
        yield world


def _write_sources(folder: Path) -> None:
    seed = random.Random(7)
    rows: list[tuple[object, ...]] = []
    for number in range(CUSTOMERS):
        rate, spend = seed.gammavariate(0.8, 1 / 20), seed.gammavariate(3, 8)
        day: date = FIRST + timedelta(days=seed.randrange(240))
        while day <= LAST:
            price = round(max(1.0, spend * seed.uniform(0.6, 1.4)), 2)
            rows.append((f"o{len(rows)}", f"c{number}", f"{day} 12:00:00", "1", "Mug", 1, price))
            if seed.random() < 0.12:
                break
            day += timedelta(days=max(1, round(seed.expovariate(rate))))
    people = [(f"c{number}", f"ann{number}@example.com") for number in range(CUSTOMERS)]
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE orders (order_id VARCHAR, customer_id VARCHAR, ordered_at TIMESTAMP, "
            "product_id VARCHAR, product_name VARCHAR, quantity INTEGER, unit_price DOUBLE)"
        )
        for start in range(0, len(rows), 500):
            part = rows[start : start + 500]
            marks = ", ".join("(?, ?, ?, ?, ?, ?, ?)" for _ in part)
            con.execute(f"INSERT INTO orders VALUES {marks}", [one for row in part for one in row])
        con.execute(f"COPY orders TO '{folder / 'orders.parquet'}' (FORMAT parquet)")
        others = ", ".join(
            f"NULL::VARCHAR AS {name}"
            for name in (
                "given_name", "surname", "phone", "city", "country", "birthdate", "gender",
                "loyalty_status",
            )
        )  # fmt: skip
        marks = ", ".join("(?, ?)" for _ in people)
        con.execute(
            f"CREATE TABLE customers AS SELECT a AS customer_id, b AS email, {others} "
            f"FROM (VALUES {marks}) AS v(a, b)",
            [one for row in people for one in row],
        )
        con.execute(f"COPY customers TO '{folder / 'customers.parquet'}' (FORMAT parquet)")
