"""The sample's tables, parts of them, and predictions for tests that need a table of one's own.

The demo computes its predictions. These are what a customer spent so far, on two days, for nine
customers in ten: made in a second, and as varied as real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

DATA = Path(__file__).parents[1] / "data"
FILES: Mapping[str, Path] = {
    "customers": DATA / "customers.csv",
    "consents": DATA / "consents.csv",
    "orders": DATA / "orders.parquet",
}
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
    return {**FILES, "predictions": file}


def part_of(files: Mapping[str, Path], folder: Path, *, one_in: int) -> None:
    """Write tables with one in so many customers into ``folder``, as Parquet files.

    Lines without a customer stay: counting them is part of a run.
    """
    with duckdb.connect() as con:
        for name, file in files.items():
            con.execute(
                f"COPY (FROM '{file}' WHERE hash(customer_id::VARCHAR) % {one_in} = 0 "
                f"OR customer_id IS NULL) TO '{folder / name}.parquet'"
            )
