"""The model of a customer's value: BG/NBD for orders, times Gamma-Gamma for the value of one.

What belongs here: from the statistics of customers, in DuckDB, to groups, to parameters, and to
what is expected of each group. The groups keep memory bounded: however many customers there are,
Python only sees how many have the same history.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from braze_pipeline.predicted_value import bg_nbd, gamma_gamma
from braze_pipeline.predicted_value.likelihood import Refused
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.warehouse import arrow, registered, single_row

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.predicted_value.likelihood import Floats

FEWEST_REPEAT_CUSTOMERS = 100
"""With fewer, the parameters depend on a handful of people."""

MOST_GROUPS = 50_000
"""With more, days (and values) are grouped more coarsely: 8 days instead of one change a parameter
by less than a thousandth. So a fit takes a second or two for any number of customers."""

CHUNK = 200_000
"""Groups that are computed at a time."""


def fit_model(con: duckdb.DuckDBPyConnection) -> tuple[dict[str, float], int]:
    """The parameters by name, and the number of groups, from the statistics of all customers.

    Raises:
        Refused: there are too few repeat customers, or the model does not describe them.
        ConfigurationError: scipy is not installed.
    """
    query = "SELECT count(*) FILTER (repeats > 0) FROM predicted_value_statistics"
    (repeat,) = single_row(con, query)
    if repeat < FEWEST_REPEAT_CUSTOMERS:
        raise Refused(
            f"Too few customers bought on more than one day: {repeat:,}, and the model needs at "
            f"least {FEWEST_REPEAT_CUSTOMERS}."
        )
    orders = bg_nbd.OrderGroups(*_grouped(con, "order_groups", 1))
    values = gamma_gamma.ValueGroups(*_grouped(con, "value_groups", 0.005))
    found = {**bg_nbd.fit(orders).parameters, **gamma_gamma.fit(values).parameters}
    return found, len(orders.customers)


def _grouped(con: duckdb.DuckDBPyConnection, name: str, width: float) -> list[Floats]:
    """The columns of a grouping query, with the first width that gives few enough groups."""
    while True:
        query = read_sql("predicted_value", name, width=width)
        (groups,) = single_row(con, f"SELECT count(*) FROM ({query})")
        if groups <= MOST_GROUPS:
            return [column.to_numpy() for column in arrow(con, query).columns]
        width *= 2


def compute_factors(
    con: duckdb.DuckDBPyConnection, parameters: Mapping[str, float], days: int
) -> None:
    """Make the table of what is expected of each history in the next ``days``.

    It is empty without parameters.
    """
    import pyarrow as pa

    con.execute(read_sql("predicted_value", "histories"))
    (histories,) = single_row(con, "SELECT count(*) FROM predicted_value_histories")
    for start in range(0, histories if parameters else 0, CHUNK):
        chunk = arrow(
            con,
            "SELECT repeats, recency, tenure FROM predicted_value_histories "
            f"WHERE rowid >= {start} AND rowid < {start + CHUNK}",
        )
        history = [column.to_numpy().astype(float) for column in chunk.columns]
        orders = bg_nbd.expected_orders(parameters, days, *history)
        active = bg_nbd.probability_active(parameters, *history)
        rows = chunk.append_column("orders", pa.array(orders))
        rows = rows.append_column("active", pa.array(active))
        with registered(con, "predicted_value_chunk", rows):
            con.execute("INSERT INTO predicted_value_factors FROM predicted_value_chunk")
