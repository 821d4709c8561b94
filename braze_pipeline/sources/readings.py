"""From a source's own types to ours, in SQL.

Each column of ours comes out of one of theirs by an expression. Where values have to be read (a
number or yes and no in text, any date), a second expression finds what is there and cannot be read:
so that it is found and reported, and never taken for missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from braze_pipeline.errors import SourceChanged
from braze_pipeline.sources.find import LocatedSource
from braze_pipeline.sources.typed_tables import ColumnType, SourceColumn
from braze_pipeline.storage.warehouse import literal, quote
from braze_pipeline.user_input import did_you_mean

_NUMBERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER",
    "UBIGINT", "UHUGEINT", "DECIMAL", "FLOAT", "DOUBLE",
)  # fmt: skip
_FLOATS = ("FLOAT", "DOUBLE")
_ZONED = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS WITH TIME ZONE")
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2099
"""The years of dates that are read. DuckDB reads 24-03-01 as the year 24, which would sort before
everything that happened; no order, consent or living person is older than 1900, and what is dated
2100 or later was mistyped or stands for "never"."""

_YES = "('true', 't', 'yes', 'y', '1', '1.0')"
_NO = "('false', 'f', 'no', 'n', '0', '0.0')"
_WITH_OFFSET = r"[0-9]:[0-9]{2}.*(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$"
"""A time of day that says where on earth: ``10:00Z``, ``10:00:00+01:00``."""


@dataclass(frozen=True)
class Reading:
    """How a column of ours is read.

    Attributes:
        theirs: The source's column; None where an optional one is not there.
        value: The value, in SQL.
        unreadable: A condition in SQL for what is there and cannot be read; None if all can be.
    """

    column: SourceColumn
    theirs: str | None
    value: str
    unreadable: str | None = None


def reading(
    column: SourceColumn, theirs: str | None, found: LocatedSource, *, table: str, time_zone: str
) -> Reading:
    """How to read one column.

    Args:
        column: Ours.
        theirs: The name that the template maps, if it maps one.
        found: The source.
        table: The source table's name, for messages.
        time_zone: Times without a zone are local to it, times with one are brought to it.

    Raises:
        SourceChanged: the column is missing, or of a type that ours cannot be read from.
    """
    name = found.column(theirs or column.name)
    if name is None:
        if column.optional and theirs is None:
            return Reading(column, None, f"NULL::{column.type}")
        wanted = theirs or column.name
        raise SourceChanged(
            f"The source table {table} ({found.location}) has no column '{wanted}'. "
            f"It has: {', '.join(found.columns)}.{did_you_mean(wanted, found.columns)}",
            fix=f"Add the column, or map it under `sources: {table}: columns:` in defs.yaml.",
        )
    kind = found.columns[name].partition("(")[0]
    if found.columns[name].endswith("]"):
        kind = "LIST"
    if column.type == "VARCHAR":
        value = _text(quote(name), kind, column)
    else:
        value = _typed(quote(name), kind, column.type, time_zone)
    if value is None:
        raise SourceChanged(
            f"The source table {table} ({found.location}) has the column '{name}' as "
            f"{found.columns[name]}, which cannot be read as {column.type}.",
            fix=f"Write it as {column.type}, or map another column under `sources: {table}: "
            "columns:` in defs.yaml.",
        )
    return Reading(column, name, value, _unreadable(quote(name), kind, column.type, value))


def _unreadable(column: str, kind: str, ours: ColumnType, value: str) -> str | None:
    """The condition for what is there and none of ours; None where their type rules that out."""
    if ours == "VARCHAR" or (ours == kind == "BOOLEAN"):
        return None
    if kind in {"VARCHAR", "ENUM"} or ours == "BOOLEAN":
        return f"trim({column}::VARCHAR) <> '' AND ({value}) IS NULL"
    return f"NOT {_plausible(value, ours)}" if ours in {"DATE", "TIMESTAMP"} else None


def what_is_read(ours: ColumnType) -> str:
    """What the values of a column must be, for messages."""
    if ours in {"DATE", "TIMESTAMP"}:
        return f"a {ours} in the years {FIRST_YEAR} to {LAST_YEAR}"
    return f"a {ours}"


def _plausible(value: str, ours: ColumnType) -> str:
    return (
        f"(({value}) >= {ours} '{FIRST_YEAR}-01-01' AND ({value}) < {ours} '{LAST_YEAR + 1}-01-01')"
    )


def _text(column: str, kind: str, ours: SourceColumn) -> str | None:
    if kind in {"STRUCT", "MAP", "UNION", "BLOB", "BIT"} or kind == "LIST":
        return None
    text = f"{column}::VARCHAR"
    if kind in _FLOATS:
        # Ids that came through a spreadsheet or pandas: 12346.0 is the customer 12346.
        text = (
            f"CASE WHEN isfinite({column}) THEN CASE WHEN {column} = trunc({column}) "
            f"AND abs({column}) < 1e15 THEN {column}::BIGINT::VARCHAR ELSE {text} END END"
        )
    elif kind in _TIMES[1:]:
        text = (
            f"CASE WHEN {column} = date_trunc('day', {column}) THEN {column}::DATE::VARCHAR "
            f"ELSE {text} END"
        )
    if ours.word:
        text = f"lower(trim({text}))"
    if ours.identifier and kind == "VARCHAR":
        # Most ids begin with a printable sign of ASCII. To trim those too, on every line of the
        # orders, took two fifths of a pass over them.
        text = (
            f"CASE WHEN {column} >= '!' AND {column} < chr(127) THEN {column} "
            f"WHEN trim({column}) <> '' THEN {column} END"
        )
    return text


def _typed(column: str, kind: str, ours: ColumnType, time_zone: str) -> str | None:
    if ours in {"TIMESTAMP", "DATE"}:
        return _time(column, kind, ours, time_zone)
    if ours == "BOOLEAN":
        return _boolean(column, kind)
    return _number(column, kind)


def _time(column: str, kind: str, ours: ColumnType, time_zone: str) -> str | None:
    zone = literal(time_zone)
    if kind in _ZONED:
        local = f"timezone({zone}, {column}::TIMESTAMPTZ)"
    elif kind in _TIMES:
        local = f"{column}::TIMESTAMP" if kind != "TIMESTAMP" else column
        if kind == ours:
            return column
    elif kind in {"VARCHAR", "ENUM"}:
        text = f"trim({column}::VARCHAR)"
        read = (
            f"CASE WHEN regexp_matches({text}, {literal(_WITH_OFFSET)}) "
            f"THEN timezone({zone}, TRY_CAST({text} AS TIMESTAMPTZ)) "
            f"ELSE TRY_CAST({text} AS TIMESTAMP) END"
        )
        local = f"CASE WHEN {_plausible(read, 'TIMESTAMP')} THEN {read} END"
    else:
        return None
    return local if ours == "TIMESTAMP" else f"({local})::DATE"


def _number(column: str, kind: str) -> str | None:
    if kind in {"VARCHAR", "ENUM"}:
        column = f"TRY_CAST(trim({column}::VARCHAR) AS DOUBLE)"
    elif kind not in _NUMBERS:
        return None
    elif kind not in _FLOATS:
        return f"{column}::DOUBLE"
    # NaN is how pandas writes a missing number.
    return f"CASE WHEN isfinite({column}) THEN {column}::DOUBLE END"


def _boolean(column: str, kind: str) -> str | None:
    if kind == "BOOLEAN":
        return column
    if kind not in {"VARCHAR", "ENUM"} and kind not in _NUMBERS:
        return None
    text = f"lower(trim({column}::VARCHAR))"
    return f"CASE WHEN {text} IN {_YES} THEN true WHEN {text} IN {_NO} THEN false END"
