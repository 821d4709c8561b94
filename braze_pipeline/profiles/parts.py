"""The profiles as they are stored: what is the same on many days is there once.

``profile_rows`` has parts: the rows that were written for a day (``__as_of``) at one time
(``__part``, counted from 0 for each day). A part never changes, but for columns that come and go,
and people who are forgotten. ``profile_days`` says what a day consists of: a part of its own, and
most often a *base*, a part of an earlier day, without the customers in ``profile_replaced``. A base
has no base itself. The view ``profiles`` shows the rows of each day.

A day that is written again gets a new part, so that days which have the old one as their base stay
as they are. A part that no day needs is deleted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from braze_pipeline.profiles.staging import DIFFERENT
from braze_pipeline.storage.partitions import (
    OWN,
    SchemaChange,
    columns_of,
    match_columns,
    record_day,
)
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.transaction import transaction
from braze_pipeline.storage.warehouse import quote, single_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE: Final = "profiles"
ROWS: Final = "profile_rows"

MOST_REPLACED: Final = 0.1
"""The share of a base from which on a day gets all of its rows as a part of its own: those that
were replaced are copied from day to day."""

_OWN: Final = OWN | {"__part": "INTEGER NOT NULL"}
_NOT_DIFFERENT: Final = f"NOT EXISTS (FROM {DIFFERENT} AS d WHERE d.customer_id = p.__customer_id)"


def replace_day(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    as_of: date,
    query: str,
    *,
    since: date | None,
    made_from: str | None,
    then: Callable[[], None],
) -> None:
    """Replace a day's profiles in one transaction, and drop days beyond history.

    Args:
        con: A connection without an open transaction.
        t: The template.
        as_of: The day.
        query: The rows that were read, without ``__as_of``.
        since: The earlier day whose rows stand, but for the customers in ``DIFFERENT``; if any.
        made_from: See ``storage.partitions``.
        then: Called in the same transaction.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    rows, days, replaced = (t.table(name) for name in (ROWS, "profile_days", "profile_replaced"))
    with transaction(con):
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(t.db_schema)}")
        _prepare(con, t, days, replaced)
        change = match_columns(con, t, ROWS, query, _OWN)
        # Also of parts without rows: what a day stands on must never get any.
        (part,) = single_row(
            con,
            "SELECT coalesce(max(part) + 1, 0) FROM ("
            f"SELECT __part AS part FROM {rows} WHERE __as_of = $day UNION ALL "
            f"SELECT part FROM {days} WHERE as_of = $day UNION ALL "
            f"SELECT base_part FROM {days} WHERE base = $day)",
            {"day": as_of},
        )
        own = {"day": as_of, "part": part}
        values = "$day::DATE AS __as_of, $part::INTEGER AS __part"
        con.execute(f"INSERT INTO {rows} BY NAME SELECT {values}, * FROM ({query})", own)
        con.execute(f"DELETE FROM {replaced} WHERE as_of = ?", [as_of])
        base, base_part = (None, None) if since is None else _stand(con, t, own, since)
        con.execute(f"DELETE FROM {days} WHERE as_of = ?", [as_of])
        con.execute(f"INSERT INTO {days} VALUES (?, ?, ?, ?)", [as_of, part, base, base_part])
        _keep_what_is_there(con, rows, own, change)
        dropped = record_day(
            con, t, TABLE, as_of, changed=change != SchemaChange(), now=now, made_from=made_from
        )
        for table in (days, replaced):
            con.execute(f"DELETE FROM {table} WHERE as_of IN (SELECT unnest(?::DATE[]))", [dropped])
        _delete_unused(con, rows, days)
        con.execute(_view(t, days, replaced))
        then()


def _prepare(con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: str, replaced: str) -> None:
    """Make up for what is absent; before, ``profiles`` was a table with all rows of each day."""
    con.execute(
        f"CREATE TABLE IF NOT EXISTS {days} "
        "(as_of DATE NOT NULL, part INTEGER NOT NULL, base DATE, base_part INTEGER)"
    )
    con.execute(
        f"CREATE TABLE IF NOT EXISTS {replaced} (as_of DATE NOT NULL, __customer_id VARCHAR)"
    )
    if columns_of(con, t, TABLE) and not columns_of(con, t, ROWS):
        rows = t.table(ROWS)
        con.execute(f"ALTER TABLE {t.table(TABLE)} RENAME TO {ROWS}")
        con.execute(f"ALTER TABLE {rows} ADD COLUMN __part INTEGER DEFAULT 0")
        con.execute(f"INSERT INTO {days} SELECT DISTINCT __as_of, 0, NULL, NULL FROM {rows}")


def _stand(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, own: dict[str, object], since: date
) -> tuple[date | None, int | None]:
    """Take over the rows of the earlier day that stand; returns the base of the day, if any."""
    rows, days, replaced = (t.table(name) for name in (ROWS, "profile_days", "profile_replaced"))
    part, day, day_part = single_row(
        con, f"SELECT part, base, base_part FROM {days} WHERE as_of = ?", [since]
    )
    base = (since, part) if day is None else (day, day_part)
    con.execute(
        f"INSERT INTO {replaced} SELECT $day, customer_id FROM {DIFFERENT} UNION "
        f"SELECT $day, __customer_id FROM {replaced} WHERE as_of = $since",
        {"day": own["day"], "since": since},
    )
    (share,) = single_row(
        con,
        f"SELECT (SELECT count(*) FROM {replaced} WHERE as_of = ?) / greatest(count(*), 1) "
        f"FROM {rows} WHERE __as_of = ? AND __part = ?",
        [own["day"], *base],
    )
    of_since = f"WHERE p.__as_of = $since AND {_NOT_DIFFERENT}"
    copied = "$day::DATE AS __as_of, $part::INTEGER AS __part, p.* EXCLUDE"
    given = own | {"since": since}
    if share > MOST_REPLACED:
        con.execute(f"DELETE FROM {replaced} WHERE as_of = ?", [own["day"]])
        query = f"SELECT {copied} (__as_of) FROM {t.table(TABLE)} AS p {of_since}"
        con.execute(f"INSERT INTO {rows} BY NAME {query}", given)
        return None, None
    if day is not None:
        query = f"SELECT {copied} (__as_of, __part) FROM {rows} AS p {of_since} AND p.__part = $own"
        con.execute(f"INSERT INTO {rows} BY NAME {query}", given | {"own": part})
    return base


def _keep_what_is_there(
    con: duckdb.DuckDBPyConnection, rows: str, own: dict[str, object], change: SchemaChange
) -> None:
    """Earlier rows do not know a new attribute: their NULL means "keep it", never "clear it"."""
    if names := [*change.added, *change.retyped]:
        con.execute(
            f"UPDATE {rows} SET __held = list_distinct(list_concat(__held, $names)) "
            "WHERE NOT (__as_of = $day AND __part = $part)",
            own | {"names": names},
        )


def _delete_unused(con: duckdb.DuckDBPyConnection, rows: str, days: str) -> None:
    unused = con.execute(
        f"SELECT __as_of, __part FROM {rows} GROUP BY ALL EXCEPT (SELECT as_of, part FROM {days} "
        f"UNION ALL SELECT base, base_part FROM {days})"
    ).fetchall()
    for part in unused:
        con.execute(f"DELETE FROM {rows} WHERE __as_of = ? AND __part = ?", part)


def _view(t: TemplateSettings, days: str, replaced: str) -> str:
    return read_sql(
        "profiles", "parts", profiles=t.table(TABLE), rows=t.table(ROWS), days=days,
        replaced=replaced,
    )  # fmt: skip
