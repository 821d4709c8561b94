"""The cache of raw values that were read once, so that only new values cost time.

Raw values are personal data. They are in the same file as the copies of the sources, are dropped
after some months (and read again where they still occur), and `empty` deletes them at once.
How a value is read is in `normalise`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from braze_pipeline.profiles.normalise import READERS
from braze_pipeline.profiles.software import reader_version
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import literal
from braze_pipeline.storage.warehouse import arrow, registered, single_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    import duckdb

    from braze_pipeline.profiles.normalise.by_sql import InSql

TABLE: Final = "records.normalised_values"

PAGE: Final = 20_000
"""Raw values that are read and stored at once."""

MANY: Final = 1_000
"""From so many new values on, SQL reads those it can: compiling its patterns takes a moment."""

MOST_PARAMS: Final = 20
"""Countries whose numbers SQL reads: those with the most new numbers."""

KEEP_DAYS: Final = 90
"""An entry is kept for this many days to twice as many, so that not all expire at once."""


def read_new(con: duckdb.DuckDBPyConnection, *, kind: str, pairs: str, today: date) -> int:
    """Read the raw values that are not in the cache yet, and store the outcomes.

    Args:
        con: An open connection.
        kind: The name of the reader.
        pairs: A query that gives ``params`` and ``raw``; repeated and NULL pairs are fine.
        today: The date to store, for `prune`.

    Returns:
        The number of new values.
    """
    reader = READERS[kind]
    version = reader_version(reader.version)
    con.execute(f"DELETE FROM {TABLE} WHERE kind = ? AND version <> ?", [kind, version])
    con.execute(read_sql("profiles", "new_values", pairs=pairs, table=TABLE, kind=literal(kind)))
    (count,) = single_row(con, "SELECT count(*) FROM __new_raw")
    left = count
    if reader.by_sql is not None and count >= MANY:
        left = _read_by_sql(con, kind=kind, version=version, by_sql=reader.by_sql, today=today)
    for start in range(0, left, PAGE):
        _read_page(con, kind=kind, version=version, start=start, today=today)
    con.execute("DROP TABLE __new_raw")
    return int(count)


def _read_by_sql(
    con: duckdb.DuckDBPyConnection,
    *,
    kind: str,
    version: int,
    by_sql: Callable[[Sequence[str]], InSql],
    today: date,
) -> int:
    """Read what SQL can read; returns how many values are left, numbered from 0 again."""
    frequent = con.execute(
        f"SELECT params FROM __new_raw GROUP BY params HAVING count(*) >= {MANY} "
        f"ORDER BY count(*) DESC, params LIMIT {MOST_PARAMS}"
    ).fetchall()
    found = by_sql([params for (params,) in frequent])
    # Not in one statement: it would compute the value again for the problem.
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE __read AS SELECT params, raw, text, {found.value} AS value "
        f"FROM (SELECT params, raw, {found.text} AS text FROM __new_raw)"
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE __left AS SELECT params, raw, {found.problem} AS problem "
        "FROM __read WHERE value IS NULL"
    )
    con.execute(
        f"INSERT INTO {TABLE} (kind, params, raw, version, value, problem, made_on) "
        "SELECT $kind, params, raw, $version, value, problem, $today FROM ("
        "SELECT params, raw, value, NULL AS problem FROM __read WHERE value IS NOT NULL UNION ALL "
        "SELECT params, raw, NULL, problem FROM __left WHERE problem IS NOT NULL)",
        {"kind": kind, "version": version, "today": today},
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE __new_raw AS "
        "SELECT row_number() OVER () - 1 AS n, params, raw FROM __left WHERE problem IS NULL"
    )
    con.execute("DROP TABLE __read")
    con.execute("DROP TABLE __left")
    return int(single_row(con, "SELECT count(*) FROM __new_raw")[0])


def _read_page(
    con: duckdb.DuckDBPyConnection, *, kind: str, version: int, start: int, today: date
) -> None:
    import pyarrow as pa

    reader = READERS[kind]
    page = arrow(
        con, f"SELECT params, raw FROM __new_raw WHERE n >= {start} AND n < {start + PAGE}"
    )
    outcomes = [
        reader.read(raw, params)
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
            [kind, version, today],
        )


def prune(con: duckdb.DuckDBPyConnection, today: date) -> None:
    """Drop entries that are `KEEP_DAYS` to twice as many days old, spread by their hash."""
    con.execute(
        f"DELETE FROM {TABLE} WHERE made_on + ({KEEP_DAYS} + (hash(raw) % {KEEP_DAYS})::INTEGER)"
        " < ?",
        [today],
    )


def empty(con: duckdb.DuckDBPyConnection) -> int:
    """Delete all entries, so that no value of a forgotten person stays; returns how many.

    An entry does not know whose value it was, and the sources may have another one by now. The
    next run reads again what it needs: the values of rows that changed.
    """
    (deleted,) = single_row(con, f"DELETE FROM {TABLE}")
    return int(deleted)
