"""The sample's tables, and predictions for the tests that need a table of the brand's own.

The demo computes its predictions. These are what a customer spent so far, on two days, for nine
customers in ten: made in a second, and as varied as real ones.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

DATA = Path(__file__).parents[1] / "data"
PREDICTIONS = f"""
SELECT customer_id, predicted_on,
    round(greatest(0, sum(quantity * unit_price)), 2)::DOUBLE AS predicted_clv
FROM '{DATA}/orders.parquet', unnest([DATE '2011-09-01', DATE '2011-12-01']) AS days(predicted_on)
WHERE ordered_at < predicted_on AND customer_id[-1] <> '7'
GROUP BY ALL
"""


def tables(folder: Path) -> dict[str, Path]:
    """The files of the sample's four tables, by name; predictions are written into ``folder``."""
    file = folder / "predictions.parquet"
    if not file.exists():
        with duckdb.connect() as con:
            con.execute(f"COPY ({PREDICTIONS}) TO '{file}' (FORMAT parquet)")
    files = {name: DATA / f"{name}.csv" for name in ("customers", "consents")}
    return files | {"orders": DATA / "orders.parquet", "predictions": file}
