"""Purchases and what is known of each customer at a day, in temporary tables of DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.sources import user_sql
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.warehouse import single_row

if TYPE_CHECKING:
    import duckdb

TABLES = ("purchases", "statistics", "histories", "factors", "backtest")


@contextmanager
def purchases(
    con: duckdb.DuckDBPyConnection, as_of: date
) -> Iterator[tuple[date | None, date | None]]:
    """The table of purchases up to the end of a day, while it is used.

    Gives the first and the last day with a purchase.

    Raises:
        SourceChanged: the orders cannot be read to their end, or have numbers that are no money.
    """
    import duckdb

    try:
        try:
            con.execute(read_sql("predicted_value", "purchases"), {"as_of": as_of})
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.IOException) as error:
            raise user_sql.damaged(error) from error
        first, last = single_row(con, "SELECT min(day), max(day) FROM predicted_value_purchases")
        yield first, last
    finally:
        for table in TABLES:
            con.execute(f"DROP TABLE IF EXISTS temp.predicted_value_{table}")


def gather_statistics(con: duckdb.DuckDBPyConnection, day: date, until: date) -> None:
    """Make the table of what is known at the end of ``day``, and what was bought to ``until``."""
    con.execute(read_sql("predicted_value", "statistics"), {"day": day, "until": until})
