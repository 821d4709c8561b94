"""Parts of SQL as text: names, literals, days, and the families of DuckDB's types."""

from __future__ import annotations

import glob
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

OURS = "__"
"""The prefix of our own columns in tables that also have a brand's columns. A brand's column may
not start with it, so that none can be mistaken for ours."""


def name_key(name: str) -> str:
    """Equal for names that are equal in DuckDB: ``A`` and ``a`` are, ``Ä`` and ``ä`` are not."""
    return name.translate(_LOWER)


def quote(identifier: str) -> str:
    """An identifier, quoted for SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL literal, where DuckDB accepts no parameter (paths, COPY)."""
    return "'" + text.replace("'", "''") + "'"


def file_literal(path: Path) -> str:
    """One file to read, as a SQL literal: DuckDB reads ``[``, ``*`` and ``?`` as a pattern, also if
    there is a file of that name. In ``COPY … TO`` and ``ATTACH`` a name is only a name.
    """
    return literal(glob.escape(str(path)))


def day_sql(day: date) -> str:
    """A day as a SQL literal."""
    return f"DATE '{day.isoformat()}'"


def days_sql(days: Iterable[date]) -> str:
    """Days as SQL literals, for ``IN``.

    Only by literals does DuckDB read no other days: neither of a table, nor of ``profiles`` and
    ``records.rejections``, which are views over parts of many days.
    """
    return ", ".join(map(day_sql, days)) or "NULL"


def rows_of(table: str, column: str, value: str | None) -> str:
    """The table, or of it the rows with one value, to select from."""
    return table if value is None else f"(SELECT * FROM {table} WHERE {column} = {literal(value)})"


def family(type_: str) -> str:
    """The family of a DuckDB type: types that are mapped in the same way."""
    if type_.endswith("]"):
        return "list"
    # The bare name: without the precision, the fields or the words of an ENUM.
    return _FAMILIES.get(type_.upper().partition("(")[0], "other")


def number_text(column: str) -> str:
    """A double as text, as SQL: pandas and spreadsheets make 12346.0 of the number 12346.

    Above 2^53 it is not known which whole number was meant.
    """
    return (
        f"CASE WHEN {column} = trunc({column}) AND abs({column}) < {1 << 53} "
        f"THEN {column}::BIGINT::VARCHAR ELSE {column}::VARCHAR END"
    )


def has_fraction(type_: str) -> bool:
    """Whether numbers of a DuckDB type can have a fraction."""
    return family(type_) == "double" or (family(type_) == "decimal" and not type_.endswith(",0)"))


_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_FAMILIES = {
    name: family_
    for family_, names in {
        "text": ("VARCHAR", "ENUM"),
        "json": ("JSON",),
        "boolean": ("BOOLEAN",),
        "integer": (*_INTEGERS, *(f"U{name}" for name in _INTEGERS)),
        "decimal": ("DECIMAL",),
        "double": ("FLOAT", "DOUBLE"),
        "date": ("DATE",),
        "timestamp": ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
        "instant": ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS WITH TIME ZONE"),
        "binary": ("BLOB", "BIT"),
        "struct": ("STRUCT", "MAP", "UNION"),
    }.items()
    for name in names
}
