"""The cost of predicted value: a fit with its backtest, and the predictions, at several sizes.

    python benchmarks/predicted_value.py --customers 100000 1000000 10000000

The floor is the grouping that no computation of customer value can do without, in the same run: order
lines to purchases to one row per customer. A fit does that once, gathers statistics for four days from
the purchases, fits the model twice and measures four candidates; a score groups again and predicts.
Customers are drawn about as the model assumes, two order lines for each order. DuckDB may use --memory;
what it cannot keep goes to disk. Each step runs in its own process, so that its peak memory can be
measured.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from _measure import measure

from braze_pipeline.predicted_value import Fit, refit, score
from braze_pipeline.predicted_value.purchases import gather_statistics, purchases
from braze_pipeline.storage.warehouse import Warehouse

FIRST = date(2024, 1, 1)
DAYS = 730
LAST = FIRST + timedelta(days=DAYS)

# r = 1, alpha = 60 days, a = 1, b = 3; p = 1, q = 3, v = 60. The last order is a sum of waits, and those
# before it are anywhere up to it: so nothing has to be summed over the orders of a customer.
_ORDERS = """
WITH u AS (
    SELECT i, list_transform(range(7), lambda n: (hash(i, n) % 1000003 + 1) / 1000005) AS u
    FROM range({customers}) AS r(i)
),
customers AS (
    SELECT i, u[2] * {days} AS start, 60 / -ln(u[5] * u[6] * u[7]) AS mean,
        least(ceil(ln(u[3]) / ln(u[4] ** (1 / 3))), 200)::INTEGER AS most,
        60 / -ln(u[1]) * list_sum(list_transform(
            range(most), lambda n: -ln((hash(i, n, 8) % 1000003 + 1) / 1000005))) AS until
    FROM u
),
orders AS (
    SELECT i, n, mean,
        start + until * CASE n WHEN 0 THEN 0 WHEN most THEN 1 ELSE hash(i, n, 9) % 1000003 / 1000003 END
            AS day
    FROM customers, unnest(range(1 + most)) AS t(n)
)
SELECT 'c' || i AS customer_id, i || '-' || n AS order_id,
    DATE '{first}' + INTERVAL 10 HOUR + day::INTEGER * INTERVAL 1 DAY AS ordered_at,
    part::VARCHAR AS product_id, 'Product ' || part AS product_name, 1.0::DOUBLE AS quantity,
    round(mean * -ln((hash(i, n, 10) % 1000003 + 1) / 1000005) / 2 + 0.01, 2)::DOUBLE AS unit_price
FROM orders, range(2) AS p(part)
WHERE day < {days}
"""


def make(folder: Path, customers: int) -> dict[str, Any]:
    import duckdb

    with duckdb.connect() as con:
        con.execute(f"SET temp_directory = '{folder}/spilt'; SET memory_limit = '2GB'")
        sql = _ORDERS.format(customers=customers, days=DAYS, first=FIRST)
        found = con.execute(f"COPY ({sql}) TO '{folder}/orders.parquet' (COMPRESSION zstd)")
        return {"lines": found.fetchall()[0][0]}


@contextmanager
def shop(folder: Path, memory: str) -> Iterator[Any]:
    with Warehouse(folder / "warehouse.duckdb").connect() as con:
        con.execute(f"SET memory_limit = '{memory}'")
        con.execute(f"CREATE OR REPLACE TEMP VIEW orders AS FROM '{folder}/orders.parquet'")
        yield con


def group(folder: Path, memory: str) -> dict[str, Any]:
    with shop(folder, memory) as con, purchases(con, LAST):
        gather_statistics(con, LAST, LAST)
        found = con.execute("SELECT count(*) FROM predicted_value_statistics")
        return {"customers": found.fetchall()[0][0]}


def fit(folder: Path, memory: str, horizon: int) -> dict[str, Any]:
    with shop(folder, memory) as con:
        made = refit(con, LAST, horizon)
    (folder / "fit.json").write_text(made.as_json(), encoding="utf-8")
    return {"groups": made.groups, "published": made.published, "refused": made.refused}


def predict(folder: Path, memory: str) -> dict[str, Any]:
    made = Fit.from_json((folder / "fit.json").read_text(encoding="utf-8"))
    with shop(folder, memory) as con:
        score(con, made, "predicted")
        (row,) = con.execute("SELECT count(*), count(expected_orders) FROM predicted").fetchall()
        con.execute("DROP TABLE predicted")
        return {"rows": row[0], "modelled": row[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--horizon", type=int, default=180)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    for customers in options.customers:
        print(f"{customers:,} customers, DuckDB with {options.memory}")
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            run(folder, customers, options)
        finally:
            shutil.rmtree(folder)


def run(folder: Path, customers: int, options: argparse.Namespace) -> None:
    measure("(preparing the orders)", make, folder, customers)
    floor, _ = measure("grouping", group, folder, options.memory)
    for name, step, more in (("fit", fit, (options.horizon,)), ("score", predict, ())):
        cost, _ = measure(name, step, folder, options.memory, *more)
        print(
            f"  {name}: {cost.clock / floor.clock:.2f} x the grouping (clock), "
            f"{cost.cpu / floor.cpu:.2f} x (CPU)"
        )


if __name__ == "__main__":
    main()
