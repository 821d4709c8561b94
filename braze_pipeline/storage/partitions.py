"""Tables with one set of rows a day: a rerun replaces its day, and old days are dropped.

A table always has just the columns of the newest build. A column that the user's SQL no longer
gives must not linger as NULL: the template would send those NULLs, and Braze would clear the
attribute of everyone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from braze_pipeline.storage import warehouse
from braze_pipeline.storage.warehouse import name_key, quote

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    from braze_pipeline.settings import TemplateSettings

MIN_RETENTION: Final = timedelta(days=1)
"""A day that was written less than this ago is not dropped, however old the day itself is: a
backfill of the past still needs it for its next steps."""


@dataclass(frozen=True, kw_only=True)
class SchemaChange:
    """How a table was changed to have the columns of a build.

    Attributes:
        added: Columns that are new; other days have NULL there.
        removed: Columns that are gone, for all days.
        retyped: Columns whose type changed; values of other days that do not fit are NULL.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()


def replace_partition(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    table: str,
    as_of: date,
    query: str,
    *,
    now: datetime | None = None,
    then: Callable[[SchemaChange], None] | None = None,
) -> SchemaChange:
    """Put a query's rows in the place of a day's, in one transaction; drop days beyond history.

    Args:
        con: A connection with no transaction under way.
        t: Says which schema, and how many days are kept (counted back from the newest).
        table: The table's name in the template's schema.
        as_of: The day.
        query: Gives the rows, without ``__as_of``.
        now: When this is, in UTC and without a zone; for tests.
        then: What else belongs to the same transaction.
    """
    written_at = now or datetime.now(UTC).replace(tzinfo=None)
    name = t.table(table)
    con.execute("BEGIN")
    try:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(t.schema)}")
        fitted = _fit(con, t, table, query)
        con.execute(f"DELETE FROM {name} WHERE __as_of = ?", [as_of])
        con.execute(
            f"INSERT INTO {name} BY NAME SELECT ?::DATE AS __as_of, * FROM ({query})",
            [as_of],
        )
        con.execute("DELETE FROM records.days WHERE table_name = ? AND as_of = ?", [name, as_of])
        con.execute(
            "INSERT INTO records.days (table_name, as_of, written_at) VALUES (?, ?, ?)",
            [name, as_of, written_at],
        )
        _drop_old(con, name, t.history_days, written_at)
        if then is not None:
            then(fitted)
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")
    return fitted


def _drop_old(
    con: duckdb.DuckDBPyConnection, name: str, history_days: int, written_at: datetime
) -> None:
    gone = con.execute(
        "DELETE FROM records.days WHERE table_name = $name AND written_at < $before AND as_of <= "
        "(SELECT max(as_of) FROM records.days WHERE table_name = $name) - $days::INTEGER "
        "RETURNING as_of",
        {"name": name, "before": written_at - MIN_RETENTION, "days": history_days},
    ).fetchall()
    if gone:
        con.execute(
            f"DELETE FROM {name} WHERE __as_of IN (SELECT unnest(?::DATE[]))",
            [[day for (day,) in gone]],
        )


def columns_of(con: duckdb.DuckDBPyConnection, t: TemplateSettings, table: str) -> dict[str, str]:
    """The columns of a template's table with their types; empty when there is no such table."""
    # Looked for first: in DuckDB 2 an error ends the transaction that it happens in.
    there = con.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() "
        "AND schema_name = ? AND table_name = ?",
        [t.schema, table],
    ).fetchone()
    return dict(warehouse.columns(con, t.table(table))) if there else {}


def _fit(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, table: str, query: str
) -> SchemaChange:
    name = t.table(table)
    wanted = dict(warehouse.columns(con, query))
    there = columns_of(con, t, table)
    there.pop("__as_of", None)
    if not there:
        columns = ", ".join(f"{quote(column)} {kind}" for column, kind in wanted.items())
        con.execute(f"CREATE TABLE IF NOT EXISTS {name} (__as_of DATE NOT NULL, {columns})")
        return SchemaChange()
    # SQL does not distinguish cases, but a name that is shown should be as the SQL has it.
    named = {name_key(column): column for column in there}
    added = tuple(c for c in wanted if name_key(c) not in named)
    removed = tuple(c for c in there if name_key(c) not in {name_key(w) for w in wanted})
    retyped = tuple(
        c for c, kind in wanted.items() if there.get(named.get(name_key(c), ""), kind) != kind
    )
    for column in added:
        con.execute(f"ALTER TABLE {name} ADD COLUMN {quote(column)} {wanted[column]}")
    for column in removed:
        con.execute(f"ALTER TABLE {name} DROP COLUMN {quote(column)}")
    for column in retyped:
        _retype(con, name, column, there[named[name_key(column)]], wanted[column])
    for column in wanted:
        old = named.get(name_key(column), column)
        if old != column:
            con.execute(f"ALTER TABLE {name} RENAME COLUMN {quote(old)} TO {quote(column)}")
    return SchemaChange(added=added, removed=removed, retyped=retyped)


def _retype(
    con: duckdb.DuckDBPyConnection, name: str, column: str, before: str, after: str
) -> None:
    import duckdb

    quoted = quote(column)
    using = f"TRY_CAST({quoted} AS {after})"
    # Apart from the transaction under way, which an error would end.
    with con.cursor() as aside:
        try:
            aside.execute(f"SELECT TRY_CAST(NULL::{before} AS {after})").fetchall()
        except duckdb.Error:  # no value of the one type is a value of the other
            using = f"NULL::{after}"
    con.execute(f"ALTER TABLE {name} ALTER COLUMN {quoted} SET DATA TYPE {after} USING {using}")
