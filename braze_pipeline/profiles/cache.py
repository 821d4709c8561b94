"""The cache of raw values that were read once: what reading costs grows with new values only.

Raw values are personal data. They lie in the same file as the source's copies, are dropped after
some months (and then read anew where they still occur), and `forget_values` deletes them at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from braze_pipeline.profiles.normalise import READERS
from braze_pipeline.storage.warehouse import arrow, literal, registered

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    import duckdb

TABLE: Final = "records.normalised_values"

PAGE: Final = 20_000
"""Raw values that are read and stored at once."""

KEEP_DAYS: Final = 90
"""Days that an entry is kept at least; twice as long at most, so that not all go at once."""


def read_new(con: duckdb.DuckDBPyConnection, *, kind: str, pairs: str, today: date) -> int:
    """Read the raw values that the cache does not have yet, and store the outcomes.

    Args:
        con: An open connection.
        kind: How to read them.
        pairs: A query that yields ``params`` and ``raw``; repeated and NULL pairs are fine.
        today: When, for `prune`.

    Returns:
        How many were new.
    """
    how = READERS[kind]
    con.execute(f"DELETE FROM {TABLE} WHERE kind = ? AND version <> ?", [kind, how.version])
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE __new_raw AS
        SELECT row_number() OVER () - 1 AS n, params, raw
        FROM (SELECT DISTINCT params, raw FROM ({pairs}) WHERE raw IS NOT NULL) AS seen
        ANTI JOIN (SELECT params, raw FROM {TABLE} WHERE kind = {literal(kind)}) AS known
        USING (params, raw)
    """)
    found = con.execute("SELECT count(*) FROM __new_raw").fetchone()
    count = int(found[0]) if found else 0
    for start in range(0, count, PAGE):
        _read_page(con, kind=kind, start=start, today=today)
    con.execute("DROP TABLE __new_raw")
    return count


def _read_page(con: duckdb.DuckDBPyConnection, *, kind: str, start: int, today: date) -> None:
    import pyarrow as pa

    how = READERS[kind]
    page = arrow(
        con, f"SELECT params, raw FROM __new_raw WHERE n >= {start} AND n < {start + PAGE}"
    )
    outcomes = [
        how.read(raw, params)
        for params, raw in zip(page["params"].to_pylist(), page["raw"].to_pylist(), strict=True)
    ]
    outcome = pa.table(
        {
            "params": page["params"],
            "raw": page["raw"],
            "value": pa.array([one.value for one in outcomes], pa.string()),
            "problem": pa.array([one.problem for one in outcomes], pa.string()),
        }
    )
    with registered(con, "__outcome", outcome):
        con.execute(
            f"INSERT INTO {TABLE} (kind, params, raw, version, value, problem, made_on) "
            "SELECT ?, params, raw, ?, value, problem, ? FROM __outcome",
            [kind, how.version, today],
        )


def prune(con: duckdb.DuckDBPyConnection, today: date) -> None:
    """Drop entries that are `KEEP_DAYS` to twice as many days old, spread by their hash."""
    con.execute(
        f"DELETE FROM {TABLE} WHERE made_on + ({KEEP_DAYS} + (hash(raw) % {KEEP_DAYS})::INTEGER)"
        " < ?",
        [today],
    )


def forget_values(con: duckdb.DuckDBPyConnection, values: Iterable[str]) -> int:
    """Delete everything kept about these values, raw or canonical; how many entries went.

    Outer white space does not count, since raw values are kept without it.
    """
    wanted = sorted({text for value in values for text in (value, value.strip())})
    found = con.execute(
        f"DELETE FROM {TABLE} WHERE list_contains(?, raw) OR list_contains(?, value)",
        [wanted, wanted],
    ).fetchone()
    return int(found[0]) if found else 0
