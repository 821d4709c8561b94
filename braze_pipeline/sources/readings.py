"""From the types of a source to those of the typed contract, in SQL.

Each column of the contract is an expression over one column of the source. Where values must be
read (numbers or yes and no in text, any date), a second expression finds the values that are there
and cannot be read, so that they are reported and never count as missing. How people's details are
read, such as a birthdate in text, is in `profiles`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from braze_pipeline.errors import SourceChanged
from braze_pipeline.sources.places.located import LocatedSource, left_out_error
from braze_pipeline.sources.typed_tables import ColumnType, SourceColumn
from braze_pipeline.storage.sql_text import family, literal, name_key, number_text, quote
from braze_pipeline.user_input import did_you_mean

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2099
"""The years of dates that are read. DuckDB reads 24-03-01 as the year 24, which would sort before
everything else; no order, consent or living person is older than 1900, and a date in 2100 or later
was mistyped or stands for "never"."""

_LARGEST: Final = 10**14
"""A number from here on was mistyped; as a DECIMAL with four digits behind the point, which money
needs, it has no room."""

TRUE_WORDS: Final = "'true', 't', 'yes', 'y', '1'"
FALSE_WORDS: Final = "'false', 'f', 'no', 'n', '0'"
"""Words for true and false in lower case, as a list in SQL."""
_WITH_OFFSET = r"[0-9]:[0-9]{2}.*(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$"
"""A time of day with a zone or offset: ``10:00Z``, ``10:00:00+01:00``."""


@dataclass(frozen=True)
class Reading:
    """How a column of the contract is read.

    Attributes:
        theirs: The source's column; None where an optional one is not there.
        value: The value, in SQL.
        invalid: A condition in SQL for a value that is there and cannot be read; None where every
            value can.
    """

    column: SourceColumn
    theirs: str | None
    value: str
    invalid: str | None = None


def reading(
    column: SourceColumn, theirs: str | None, located: LocatedSource, time_zone: str
) -> Reading:
    """How to read one column.

    Args:
        column: The column of the contract.
        theirs: The source's column that the template maps to it, if any.
        located: The source.
        time_zone: Times without a zone are local to it; times with one are converted to it.

    Raises:
        SourceChanged: the column is missing, or of a type that cannot be read as the contract's.
    """
    wanted = theirs or column.name
    name = located.column(wanted)
    for absent, (_, why) in located.left_out.items():
        if name_key(absent) == name_key(wanted):
            raise left_out_error(why)
    if name is None:
        if column.optional and theirs is None:
            return Reading(column, None, f"NULL::{column.type}")
        raise SourceChanged(
            f"{located.title} has no column '{wanted}'. It has: "
            f"{', '.join(located.columns)}.{did_you_mean(wanted, located.columns)}",
            fix=f"Add the column, or map one to it under `sources: {located.name}: columns:` in "
            "defs.yaml.",
        )
    type_ = located.columns[name]
    value = _value(quote(name), type_, column, time_zone)
    if value is None:
        raise SourceChanged(
            f"{located.title} has the column '{name}' as {type_}, "
            f"which cannot be read as {column.type}.",
            fix=f"Write it as {column.type}, or map another column under `sources: {located.name}: "
            "columns:` in defs.yaml.",
        )
    return Reading(column, name, value, _invalid(quote(name), type_, column.type, value))


def _value(column: str, type_: str, ours: SourceColumn, time_zone: str) -> str | None:
    """The value in SQL; None where the source's type cannot be read as the contract's."""
    match ours.type:
        case "VARCHAR":
            return _text(column, type_, ours)
        case "BOOLEAN":
            return _boolean(column, family(type_))
        case "DOUBLE":
            return _number(column, family(type_))
        case _:
            return column if type_ == ours.type else _time(column, type_, ours.type, time_zone)


def _invalid(column: str, type_: str, ours: ColumnType, value: str) -> str | None:
    """The condition for values that cannot be read; None where the type rules them out."""
    if ours == "VARCHAR" or (ours == type_ == "BOOLEAN"):
        return None
    if family(type_) == "text" or ours == "BOOLEAN":
        return f"trim({column}::VARCHAR) <> '' AND ({value}) IS NULL"
    if ours == "DOUBLE":
        # In this form the statistics of a Parquet file can show that there is none. A DECIMAL may
        # have no room for the limit.
        number = f"{column}::DOUBLE" if family(type_) == "decimal" else column
        return (
            f"NOT ({number} > -{_LARGEST} AND {number} < {_LARGEST}) AND isfinite({column}::DOUBLE)"
        )
    return f"NOT {_plausible(value, ours)}"


def accepted_values(ours: ColumnType) -> str:
    """What the values of a column must be, for messages."""
    if ours in {"DATE", "TIMESTAMP"}:
        return f"a {ours} in the years {FIRST_YEAR} to {LAST_YEAR}"
    return f"a {ours} between -10^14 and 10^14" if ours == "DOUBLE" else f"a {ours}"


def _plausible(value: str, ours: ColumnType) -> str:
    return (
        f"(({value}) >= {ours} '{FIRST_YEAR}-01-01' AND ({value}) < {ours} '{LAST_YEAR + 1}-01-01')"
    )


def _text(column: str, type_: str, ours: SourceColumn) -> str | None:
    text = f"{column}::VARCHAR"
    match family(type_):
        case "list" | "struct" | "binary":
            return None
        case "double":
            text = f"CASE WHEN isfinite({column}) THEN {number_text(column)} END"
        case "decimal" if ours.identifier:
            text = f"regexp_replace({text}, '\\.0+$', '')"
        case "timestamp":
            text = (
                f"CASE WHEN {column} = date_trunc('day', {column}) THEN {column}::DATE::VARCHAR "
                f"ELSE {text} END"
            )
    if ours.word:
        text = f"lower(trim({text}))"
    if ours.identifier and type_ == "VARCHAR":
        # Most ids begin with a printable ASCII character. Trimming those too, in every order line,
        # took two fifths of the time of a pass over them.
        text = (
            f"CASE WHEN {column} >= '!' AND {column} < chr(127) THEN {column} "
            f"WHEN trim({column}) <> '' THEN {column} END"
        )
    return text


def _time(column: str, type_: str, ours: ColumnType, time_zone: str) -> str | None:
    zone = literal(time_zone)
    match family(type_):
        case "instant":
            local = f"timezone({zone}, {column}::TIMESTAMPTZ)"
        case "date" | "timestamp":
            local = f"{column}::TIMESTAMP"
        case "text":
            text = f"trim({column}::VARCHAR)"
            read = (
                f"CASE WHEN regexp_matches({text}, {literal(_WITH_OFFSET)}) "
                f"THEN timezone({zone}, TRY_CAST({text} AS TIMESTAMPTZ)) "
                f"ELSE TRY_CAST({text} AS TIMESTAMP) END"
            )
            local = f"CASE WHEN {_plausible(read, 'TIMESTAMP')} THEN {read} END"
        case _:
            return None
    return local if ours == "TIMESTAMP" else f"({local})::DATE"


def _number(column: str, family_: str) -> str | None:
    match family_:
        case "integer" | "decimal" | "double":
            number = f"{column}::DOUBLE"
        case "text":
            number = f"TRY_CAST(trim({column}::VARCHAR) AS DOUBLE)"
        case _:
            return None
    # NaN is how pandas writes a missing number.
    return f"CASE WHEN abs({number}) < {_LARGEST} THEN {number} END"


def _boolean(column: str, family_: str) -> str | None:
    if family_ == "boolean":
        return column
    if family_ not in {"text", "integer", "decimal", "double"}:
        return None
    text = f"lower(trim({column}::VARCHAR))"
    # Numbers from pandas: 1.0 and 0.0.
    return (
        f"CASE WHEN {text} IN ({TRUE_WORDS}, '1.0') THEN true "
        f"WHEN {text} IN ({FALSE_WORDS}, '0.0') THEN false END"
    )
