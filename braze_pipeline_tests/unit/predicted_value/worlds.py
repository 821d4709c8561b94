"""Customers drawn from the model, and shops made of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from braze_pipeline.predicted_value.bg_nbd import OrderGroups

if TYPE_CHECKING:
    from braze_pipeline.predicted_value.likelihood import Floats

FIRST = date(2024, 1, 1)
TRUTH = {"r": 0.8, "alpha": 40.0, "a": 0.7, "b": 3.0, "p": 5.0, "q": 4.0, "v": 60.0}


def draw(customers: int, days: int, *, seed: int = 1) -> list[tuple[int, Floats, Floats]]:
    """For each customer number the days and values of the orders, as the model assumes them.

    All begin in the first half of the time; days are whole only where the shop makes them so.
    """
    rng = np.random.default_rng(seed)
    found = []
    for number in range(customers):
        rate = rng.gamma(TRUTH["r"], 1 / TRUTH["alpha"])
        stop = rng.beta(TRUTH["a"], TRUTH["b"])
        mean = rng.gamma(TRUTH["q"], 1 / TRUTH["v"])
        at = rng.uniform(0, days / 2)
        times = [at]
        while (at := at + rng.exponential(1 / rate)) < days:
            times.append(at)
            if rng.random() < stop:
                break
        values = rng.gamma(TRUTH["p"], 1 / mean, len(times))
        found.append((number, np.array(times), values))
    return found


def grouped(histories: Sequence[tuple[int, Floats, Floats]], days: int) -> OrderGroups:
    """Each customer as a group of one."""
    return OrderGroups(
        repeats=np.array([len(times) - 1.0 for _, times, _ in histories]),
        recency=np.array([times[-1] - times[0] for _, times, _ in histories]),
        tenure=np.array([days - times[0] for _, times, _ in histories]),
        customers=np.ones(len(histories)),
    )


def shop(con: duckdb.DuckDBPyConnection, histories: Sequence[tuple[int, Floats, Floats]]) -> None:
    """The table ``orders``: each order is an invoice of two lines."""
    sizes = [len(times) for _, times, _ in histories]
    rows: dict[str, Any] = {
        "customer_id": np.repeat([f"c{number}" for number, _, _ in histories], sizes),
        "day": np.concatenate([times for _, times, _ in histories]).astype(int),
        "value": np.round(np.concatenate([values for _, _, values in histories]) + 0.01, 2),
    }
    con.register("drawn", pa.table(rows))
    con.execute(
        f"""
        CREATE OR REPLACE TABLE orders AS
        SELECT customer_id, 'o' || row_number() OVER () AS order_id,
            DATE '{FIRST}' + day::INTEGER + INTERVAL 10 HOUR AS ordered_at, part AS product_id,
            'Thing' AS product_name, 1.0 AS quantity,
            CASE part WHEN '1' THEN value - 0.01 ELSE 0.01 END AS unit_price
        FROM drawn, (VALUES ('1'), ('2')) AS parts(part)
        """
    )
    con.unregister("drawn")
