"""The cost of the customer attributes table, compared with one plain aggregate over the order lines.

    python benchmarks/attributes.py --customers 5000000 --lines 50000000

The sources are Parquet files. The floor reads the same lines and writes a table with count, sum, first
and last date by customer. The pipeline attaches and checks the sources, runs the sample's own SQL (some
thirty columns, with ranks, favourites and consent), checks its rows and replaces the day in the
database; then it builds the audience. Each step runs in its own process, so that its peak memory can be
measured. On the second day the table already contains the first.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from _measure import Cost, measure

from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.audience.build import build_audience
from braze_pipeline.settings import (
    AudienceRules,
    DestinationSettings,
    HighValue,
    SourceSettings,
    TemplateSettings,
)
from braze_pipeline.sources import attach_sources
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.warehouse import Warehouse

ROOT = Path(__file__).parent.parent
SQL = ROOT / "braze_pipeline" / "defs" / "braze" / "customer_attributes.sql"
FIRST = date(2026, 1, 1)

_CUSTOMERS = """
SELECT 'c' || i AS customer_id, 'Name ' || i % 5000 AS given_name, 'Surname ' || i % 90000 AS surname,
    'customer' || i || '@example.com' AS email, NULL::VARCHAR AS phone, 'City ' || i % 900 AS city,
    'GB' AS country, '1980-01-02' AS birthdate, 'F' AS gender, 'gold' AS loyalty_status
FROM range({customers}) AS r(i)
"""
# Four lines per order; few customers order a lot, most order little; 2 % of the lines have no customer.
_ORDERS = """
SELECT if(hash(n, 1) % 50 = 0, 'C', '') || 'o' || n AS order_id,
    CASE WHEN hash(n, 2) % 50 > 0
        THEN 'c' || (pow((hash(n, 3) % 1000000007) / 1000000007, 2) * {customers})::BIGINT END AS customer_id,
    TIMESTAMP '2024-01-01' + INTERVAL (hash(n, 4) % 63158400) SECOND AS ordered_at,
    (hash(i, 5) % 4000)::VARCHAR AS product_id, 'Product ' || hash(i, 5) % 4000 AS product_name,
    (if(hash(n, 1) % 50 = 0, -1, 1) * (1 + hash(i, 6) % 12))::BIGINT AS quantity,
    (hash(i, 7) % 2000 / 100)::DECIMAL(12, 2) AS unit_price
FROM (SELECT i, i // 4 AS n FROM range({lines}) AS r(i))
"""
_CONSENTS = """
SELECT 'c' || i // 2 AS customer_id, if(i % 2 = 0, 'email', 'sms') AS channel,
    hash(i) % 10 < 7 AS opted_in, TIMESTAMP '2025-01-01' AS changed_at
FROM range({customers} * 2) AS r(i)
"""
_PREDICTIONS = """
SELECT 'c' || i AS customer_id, DATE '2025-12-31' AS predicted_on,
    (hash(i) % 100000 / 100)::DOUBLE AS predicted_clv
FROM range({customers}) AS r(i)
"""
_PLAIN = """
CREATE TEMP TABLE plain AS
SELECT customer_id, count(*) AS lines, sum(quantity * unit_price) AS value,
    min(ordered_at) AS first, max(ordered_at) AS last
FROM orders WHERE customer_id IS NOT NULL GROUP BY customer_id
"""


def template(folder: Path) -> TemplateSettings:
    return TemplateSettings(
        name="bench",
        destination=DestinationSettings(name="bench", endpoint="http://127.0.0.1:1"),
        db_schema="bench",
        attributes_sql=SQL,
        sources=tuple(
            SourceSettings(name=name, path=folder / f"{name}.parquet")
            for name in ("customers", "orders", "consents", "predictions")
        ),
        audience=AudienceRules(high_value=HighValue(lifetime_value=500.0, predicted_value=600.0)),
        attributes=(),
    )


def make(folder: Path, customers: int, lines: int) -> dict[str, Any]:
    made = {"customers": _CUSTOMERS, "orders": _ORDERS, "consents": _CONSENTS}
    with Warehouse(folder / "making.duckdb").connect() as con:
        for name, query in (made | {"predictions": _PREDICTIONS}).items():
            sql = query.format(customers=customers, lines=lines)
            con.execute(f"COPY ({sql}) TO '{folder / name}.parquet'")
    return {}


def plain(folder: Path) -> dict[str, Any]:
    with Warehouse(folder / "plain.duckdb").connect() as con:
        con.execute(f"CREATE TEMP VIEW orders AS FROM '{folder / 'orders.parquet'}'")
        con.execute(_PLAIN)
    return {}


def attach(folder: Path) -> dict[str, Any]:
    t = template(folder)
    with Warehouse(folder / "plain.duckdb").connect() as con:
        attach_sources(con, t.sources, time_zone=t.time_zone)
    return {}


def attributes(folder: Path, day: date) -> dict[str, Any]:
    t = template(folder)
    warehouse = Warehouse(folder / "warehouse.duckdb")
    (built,) = build_attributes(warehouse, t, [day], now=utc_now()).summaries
    return {"rows": built.rows}


def audience(folder: Path, day: date) -> dict[str, Any]:
    t = template(folder)
    with Warehouse(folder / "warehouse.duckdb").connect() as con:
        return {"audience": build_audience(con, t, day, now=utc_now()).audience}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=5_000_000)
    parser.add_argument("--lines", type=int, default=50_000_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        run(folder, options)
    finally:
        shutil.rmtree(folder)


def run(folder: Path, options: argparse.Namespace) -> None:
    measure("(preparing the sources)", make, folder, options.customers, options.lines)
    floor = min(measure("plain aggregate", plain, folder)[0] for _ in "123")
    costs: dict[str, Cost] = {}
    costs["attaching and checking the sources"], _ = measure("attach", attach, folder)
    for number, name in enumerate(("first day", "second day")):
        day = FIRST + timedelta(days=number)
        costs[f"attributes, {name}"], _ = measure("attributes", attributes, folder, day)
        costs[f"audience, {name}"], _ = measure("audience", audience, folder, day)
    for name, cost in costs.items():
        print(
            f"  {name}: {cost.clock / floor.clock:.2f} x the plain aggregate (clock), "
            f"{cost.cpu / floor.cpu:.2f} x (CPU)"
        )
    print(f"database {(folder / 'warehouse.duckdb').stat().st_size / 2**20:.0f} MB")


if __name__ == "__main__":
    main()
