"""Tables with one set of rows per day: a rerun replaces its day, and old days are dropped.

A table has exactly the columns of the newest build. A column that the user's SQL no longer returns
must not stay behind as NULL: the template would send those NULLs, and Braze would clear the
attribute for everyone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from braze_pipeline.storage import warehouse
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.sql_text import name_key, quote
from braze_pipeline.storage.transaction import transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

    from braze_pipeline.settings import TemplateSettings

MIN_RETENTION: Final = timedelta(days=1)
"""A day written less than this ago is kept, however old the day itself is: a backfill still needs
it for its next steps."""

OWN: Final = {"__as_of": "DATE NOT NULL"}
"""The column that day tables have besides those of the query."""


@dataclass(frozen=True, kw_only=True)
class SchemaChange:
    """How a table was changed to match the columns of a build.

    Attributes:
        added: New columns; NULL for other days.
        removed: Columns removed for all days.
        retyped: Columns with another type; values of other days that do not fit become NULL.
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
    """Replace a day's rows with those of a query, in one transaction, and drop days beyond history.

    Args:
        con: A connection without an open transaction.
        t: The template: its schema, and how many days to keep (counted back from the newest).
        table: The table's name in that schema.
        as_of: The day.
        query: Returns the rows, without ``__as_of``.
        now: The current time in UTC without a zone; for tests.
        then: Called in the same transaction.

    Each writing of a day has a version of its own in ``records.days``. It stands for the rows as
    they were written, so days that a change of the columns changed lose it.
    """
    name = t.table(table)
    with transaction(con):
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(t.db_schema)}")
        change = match_columns(con, t, table, query)
        con.execute(f"DELETE FROM {name} WHERE __as_of = ?", [as_of])
        con.execute(
            f"INSERT INTO {name} BY NAME SELECT ?::DATE AS __as_of, * FROM ({query})",
            [as_of],
        )
        dropped = record_day(
            con, t, table, as_of, changed=change != SchemaChange(), now=now or utc_now(),
            made_from=None,
        )  # fmt: skip
        if dropped:
            con.execute(
                f"DELETE FROM {name} WHERE __as_of IN (SELECT unnest(?::DATE[]))", [dropped]
            )
        if then is not None:
            then(change)
    return change


def record_day(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    table: str,
    as_of: date,
    *,
    changed: bool,
    now: datetime,
    made_from: str | None,
) -> list[date]:
    """Note that a day of a table was written; returns the days beyond history, to be deleted.

    Args:
        con: A connection with an open transaction.
        t: The template.
        table: The table's name in the template's schema.
        as_of: The day.
        changed: Whether the table's columns were changed for it, and so the rows of all days.
        now: The current time in UTC without a zone.
        made_from: Whatever tells what the rows were made from, for whoever makes them.
    """
    name = t.table(table)
    con.execute("DELETE FROM records.days WHERE table_name = ? AND as_of = ?", [name, as_of])
    con.execute(
        "INSERT INTO records.days (table_name, as_of, written_at, version, made_from) "
        "VALUES (?, ?, ?, uuid(), ?)",
        [name, as_of, now, made_from],
    )
    if changed:
        con.execute(
            "UPDATE records.days SET version = NULL, made_from = NULL "
            "WHERE table_name = ? AND as_of <> ?",
            [name, as_of],
        )
    dropped = con.execute(
        "DELETE FROM records.days WHERE table_name = $name AND written_at < $before AND as_of <= "
        "(SELECT max(as_of) FROM records.days WHERE table_name = $name) - $days::INTEGER "
        "RETURNING as_of",
        {"name": name, "before": now - MIN_RETENTION, "days": t.history_days},
    ).fetchall()
    return [day for (day,) in dropped]


def columns_of(con: duckdb.DuckDBPyConnection, t: TemplateSettings, table: str) -> dict[str, str]:
    """The columns of a template's table or view with their types; empty if there is none."""
    # Checked first: in DuckDB 2 an error aborts the transaction.
    there = con.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_catalog = current_database() "
        "AND table_schema = ? AND table_name = ?",
        [t.db_schema, table],
    ).fetchone()
    return dict(warehouse.columns(con, t.table(table))) if there else {}


def match_columns(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    table: str,
    query: str,
    own: dict[str, str] = OWN,
) -> SchemaChange:
    """Give a table the columns of a query, besides its ``own``; create it if absent."""
    name = t.table(table)
    wanted = dict(warehouse.columns(con, query))
    there = columns_of(con, t, table)
    for column in own:
        there.pop(column, None)
    if not there:
        columns = ", ".join(f"{quote(column)} {kind}" for column, kind in (own | wanted).items())
        con.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
        return SchemaChange()
    keys = {name_key(column) for column in wanted}
    removed = tuple(column for column in there if name_key(column) not in keys)
    for column in removed:
        con.execute(f"ALTER TABLE {name} DROP COLUMN {quote(column)}")
    spelled = {name_key(column): column for column in there}
    added, retyped = [], []
    for column, kind in wanted.items():
        old = spelled.get(name_key(column))
        if old is None:
            con.execute(f"ALTER TABLE {name} ADD COLUMN {quote(column)} {kind}")
            added.append(column)
            continue
        if there[old] != kind:
            _retype(con, name, column, there[old], kind)
            retyped.append(column)
        if old != column:
            # SQL ignores case, but people should see a name as their SQL spells it.
            con.execute(f"ALTER TABLE {name} RENAME COLUMN {quote(old)} TO {quote(column)}")
    return SchemaChange(added=tuple(added), removed=removed, retyped=tuple(retyped))


def _retype(
    con: duckdb.DuckDBPyConnection, name: str, column: str, before: str, after: str
) -> None:
    import duckdb

    quoted = quote(column)
    using = f"TRY_CAST({quoted} AS {after})"
    # Outside the open transaction, which an error would abort.
    with con.cursor() as aside:
        try:
            aside.execute(f"SELECT TRY_CAST(NULL::{before} AS {after})").fetchall()
        except duckdb.Error:  # the types have no values in common
            using = f"NULL::{after}"
    con.execute(f"ALTER TABLE {name} ALTER COLUMN {quoted} SET DATA TYPE {after} USING {using}")
