"""Tables with one set of rows a day: a rerun replaces its day, old days are dropped."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.core.warehouse import quote

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings


def replace_day(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, table: str, as_of: date, query: str
) -> None:
    """Put a query's rows in the place of a day's, in one transaction; drop days beyond history.

    A column that the query newly has is added (NULL for other days). One that it no longer has
    stays for the other days. One whose type changed makes the table start anew: days of two types
    could not be compared.
    """
    name = t.table(table)
    con.execute("BEGIN")
    try:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(t.schema)}")
        _fit(con, t, table, query)
        con.execute(f"DELETE FROM {name} WHERE __as_of = ?", [as_of])
        con.execute(f"INSERT INTO {name} BY NAME SELECT ?::DATE AS __as_of, q.* FROM ({query}) q",
                    [as_of])  # fmt: skip
        con.execute(
            f"DELETE FROM {name} WHERE __as_of <= (SELECT max(__as_of) FROM {name}) - ?::INTEGER "
            "AND __as_of <> ?",
            [t.history_days, as_of],
        )
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")


def _fit(con: duckdb.DuckDBPyConnection, t: TemplateSettings, table: str, query: str) -> None:
    wanted = {str(row[0]): str(row[1]) for row in con.execute(f"DESCRIBE {query}").fetchall()}
    there = {
        str(name): str(kind)
        for name, kind in con.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = "
            "current_database() AND schema_name = ? AND table_name = ?",
            [t.schema, table],
        ).fetchall()
    }
    name = t.table(table)
    if any(there.get(column, kind) != kind for column, kind in wanted.items()):
        con.execute(f"DROP TABLE {name}")
        there = {}
    if not there:
        columns = ", ".join(f"{quote(column)} {kind}" for column, kind in wanted.items())
        con.execute(f"CREATE TABLE {name} (__as_of DATE NOT NULL, {columns})")
        return
    for column, kind in wanted.items():
        if column not in there:
            con.execute(f"ALTER TABLE {name} ADD COLUMN {quote(column)} {kind}")
