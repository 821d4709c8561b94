"""Profiles and their rejections as they are stored: what stands for many days is there once.

``profile_rows`` has parts: the rows that were written for a day (``__as_of``) at one time
(``__part``, counted from 0 for each day). A part never changes, but for columns that come and go,
and people who are forgotten. ``records.profile_days`` says what a day consists of: a part of its
own, and most often a *base*, a part of an earlier day, without the customers in
``records.profile_replaced``. A base has no base itself. The view ``profiles`` shows the rows of
each day. ``records.profile_rejections``, which the view ``records.rejections`` shows, goes by the
same parts.

A day that is written again gets a new part, so that days which have the old one as their base stay
as they are. A part that no day needs is deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from braze_pipeline.profiles.staging import DIFFERENT
from braze_pipeline.storage import rejections
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.partitions import (
    OWN,
    SchemaChange,
    columns_of,
    match_columns,
    record_day,
)
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import day_sql, days_sql, literal, name_key, quote
from braze_pipeline.storage.transaction import transaction
from braze_pipeline.storage.warehouse import single_row

if TYPE_CHECKING:
    from datetime import date, datetime

    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE: Final = "profiles"
ROWS: Final = "profile_rows"
STAGE: Final = "profiles"
"""The stage of their rejections."""

MOST_REPLACED: Final = 0.1
"""The share of a base from which on a day gets all of its rows as a part of its own: those that
were replaced are copied from day to day."""

_DAYS: Final = "records.profile_days"
_REPLACED: Final = "records.profile_replaced"
_REJECTIONS: Final = "records.profile_rejections"
_OWN: Final = OWN | {"__part": "INTEGER NOT NULL"}
_STANDS: Final = f"NOT EXISTS (FROM {DIFFERENT} AS d WHERE d.customer_id = p.{{}})"
_REJECTED: Final = "customer_id, user_id, attribute, reason, message, masked_value, row_rejected"


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a run made for a day.

    Attributes:
        profiles: A query of the profiles that were read, without ``__as_of``.
        rejections: A query of their rejections: the columns that say what was rejected, and why.
        since: The earlier day whose rows stand, but for the customers in ``DIFFERENT``; if any.
        made_from: See ``storage.partitions``.
        run_id: The run that all rejections of the day belong to.
        at: Its time, in UTC without a zone.
    """

    profiles: str
    rejections: str
    since: date | None
    made_from: str | None
    run_id: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class _Own:
    """The new part of a day."""

    day: date
    part: int


def replace_day(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date, built: Built
) -> None:
    """Replace a day's profiles and rejections in one transaction, and drop days beyond history.

    Args:
        con: A connection without an open transaction.
        t: The template.
        as_of: The day.
        built: What was made for it.
    """
    rows, name = t.table(ROWS), _name(t)
    with transaction(con):
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(t.db_schema)}")
        _take_over(con, t)
        change = match_columns(con, t, ROWS, built.profiles, _OWN)
        # Also of parts without rows: what a day stands on must never get any.
        (part,) = single_row(
            con,
            "SELECT coalesce(max(part) + 1, 0) FROM ("
            f"SELECT __part AS part FROM {rows} WHERE __as_of = $day UNION ALL "
            f"SELECT part FROM {_DAYS} WHERE table_name = $name AND as_of = $day UNION ALL "
            f"SELECT base_part FROM {_DAYS} WHERE table_name = $name AND base = $day)",
            {"name": name, "day": as_of},
        )
        own = _Own(day=as_of, part=part)
        _add(con, t, own, built.profiles, built.rejections)
        _delete(con, t, [as_of], _REPLACED)
        base, base_part = (None, None) if built.since is None else _stand(con, t, own, built.since)
        _delete(con, t, [as_of], _DAYS)
        # A template that moved to another schema has its rejections of the day once.
        con.execute(
            f"UPDATE {_DAYS} SET destination = NULL, template = NULL "
            "WHERE destination = ? AND template = ? AND as_of = ?",
            [t.destination.name, t.name, as_of],
        )
        con.execute(
            f"INSERT INTO {_DAYS} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                name,
                as_of,
                part,
                base,
                base_part,
                t.destination.name,
                t.name,
                built.run_id,
                built.at,
            ],
        )
        _keep_what_is_there(con, rows, own, change)
        dropped = record_day(
            con, t, TABLE, as_of, changed=change != SchemaChange(), now=utc_now(),
            made_from=built.made_from,
        )  # fmt: skip
        _delete(con, t, dropped, _DAYS, _REPLACED)
        _delete_unused(con, t)
        # Those of earlier versions are not in parts.
        rejections.clear(
            con, destination=t.destination.name, template=t.name, stage=STAGE,
            days=[as_of, *dropped],
        )  # fmt: skip
        con.execute(read_sql("profiles", "parts", profiles=name, rows=rows, name=literal(name)))


def _name(t: TemplateSettings) -> str:
    """The profiles in ``records``; a template that only its case renames keeps its days."""
    return name_key(t.table(TABLE))


def _take_over(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> None:
    """Take over what earlier versions wrote: one table with all days, or days beside the rows."""
    name, rows = _name(t), t.table(ROWS)
    if columns_of(con, t, TABLE) and not columns_of(con, t, ROWS):
        con.execute(f"ALTER TABLE {name} RENAME TO {ROWS}")
        con.execute(f"ALTER TABLE {rows} ADD COLUMN __part INTEGER DEFAULT 0")
        query = f"SELECT DISTINCT ?, __as_of, 0 FROM {rows}"
        con.execute(f"INSERT INTO {_DAYS} (table_name, as_of, part) {query}", [name])
    if columns_of(con, t, "profile_days"):
        days, replaced = t.table("profile_days"), t.table("profile_replaced")
        con.execute(f"INSERT INTO {_DAYS} BY NAME SELECT ? AS table_name, * FROM {days}", [name])
        con.execute(f"INSERT INTO {_REPLACED} SELECT ?, * FROM {replaced}", [name])
        con.execute(f"DROP TABLE {days}")
        con.execute(f"DROP TABLE {replaced}")


def _add(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, own: _Own, profiles: str, rejected: str
) -> None:
    """Add rows to the new part of a day."""
    con.execute(
        f"INSERT INTO {t.table(ROWS)} BY NAME SELECT $day::DATE AS __as_of, "
        f"$part::INTEGER AS __part, * FROM ({profiles})",
        {"day": own.day, "part": own.part},
    )
    con.execute(
        f"INSERT INTO {_REJECTIONS} BY NAME SELECT $name AS table_name, $day AS as_of, "
        f"$part AS part, * FROM ({rejected})",
        {"name": _name(t), "day": own.day, "part": own.part},
    )


def _stand(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, own: _Own, since: date
) -> tuple[date | None, int | None]:
    """Take over the rows of the earlier day that stand; returns the base of the day, if any."""
    rows, name = t.table(ROWS), _name(t)
    part, day, day_part = single_row(
        con,
        f"SELECT part, base, base_part FROM {_DAYS} WHERE table_name = ? AND as_of = ?",
        [name, since],
    )
    base = (since, part) if day is None else (day, day_part)
    con.execute(
        f"INSERT INTO {_REPLACED} SELECT $name, $day, customer_id FROM {DIFFERENT} UNION "
        f"SELECT $name, $day, customer_id FROM {_REPLACED} "
        "WHERE table_name = $name AND as_of = $since",
        {"name": name, "day": own.day, "since": since},
    )
    (share,) = single_row(
        con,
        f"SELECT (SELECT count(*) FROM {_REPLACED} WHERE table_name = $name AND as_of = $day) "
        "/ greatest(1, "
        f"(SELECT count(*) FROM {rows} WHERE __as_of = $base AND __part = $part) + "
        f"(SELECT count(DISTINCT customer_id) FROM {_REJECTIONS} WHERE table_name = $name "
        "AND as_of = $base AND part = $part AND row_rejected))",
        {"name": name, "day": own.day, "base": base[0], "part": base[1]},
    )
    profile_stands, rejection_stands = map(_STANDS.format, ("__customer_id", "customer_id"))
    if share > MOST_REPLACED:
        _delete(con, t, [own.day], _REPLACED)
        _add(
            con, t, own,
            f"SELECT * EXCLUDE (__as_of) FROM {name} AS p WHERE __as_of = {day_sql(since)} "
            f"AND {profile_stands}",
            f"SELECT {_REJECTED} FROM {rejections.TABLE} AS p WHERE as_of = {day_sql(since)} "
            f"AND destination = {literal(t.destination.name)} AND template = {literal(t.name)} "
            f"AND stage = {literal(STAGE)} AND {rejection_stands}",
        )  # fmt: skip
        return None, None
    if day is not None:
        _add(
            con, t, own,
            f"SELECT * EXCLUDE (__as_of, __part) FROM {rows} AS p "
            f"WHERE __as_of = {day_sql(since)} AND __part = {part} AND {profile_stands}",
            f"SELECT {_REJECTED} FROM {_REJECTIONS} AS p WHERE table_name = {literal(name)} "
            f"AND as_of = {day_sql(since)} AND part = {part} AND {rejection_stands}",
        )  # fmt: skip
    return base


def _keep_what_is_there(
    con: duckdb.DuckDBPyConnection, rows: str, own: _Own, change: SchemaChange
) -> None:
    """Earlier rows do not know a new attribute: their NULL means "keep it", never "clear it"."""
    if names := [*change.added, *change.retyped]:
        con.execute(
            f"UPDATE {rows} SET __held = list_distinct(list_concat(__held, $names)) "
            "WHERE NOT (__as_of = $day AND __part = $part)",
            {"day": own.day, "part": own.part, "names": names},
        )


def _delete(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: list[date], *tables: str
) -> None:
    for table in tables:
        con.execute(
            f"DELETE FROM {table} WHERE table_name = ? AND as_of IN ({days_sql(days)})", [_name(t)]
        )


def _delete_unused(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> None:
    """Delete the parts that no day needs any more."""
    name, rows = _name(t), t.table(ROWS)
    unused = con.execute(
        f"(SELECT __as_of, __part FROM {rows} GROUP BY ALL UNION SELECT as_of, part "
        f"FROM {_REJECTIONS} WHERE table_name = $name GROUP BY ALL) EXCEPT "
        f"(SELECT as_of, part FROM {_DAYS} WHERE table_name = $name UNION ALL "
        f"SELECT base, base_part FROM {_DAYS} WHERE table_name = $name)",
        {"name": name},
    ).fetchall()
    for part in unused:
        con.execute(f"DELETE FROM {rows} WHERE __as_of = ? AND __part = ?", part)
        con.execute(
            f"DELETE FROM {_REJECTIONS} WHERE table_name = ? AND as_of = ? AND part = ?",
            [name, *part],
        )
