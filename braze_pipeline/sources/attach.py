"""The source tables as temporary views of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from braze_pipeline.errors import ConfigurationError, SourceChanged
from braze_pipeline.sources.find import LocatedSource, find, unreadable
from braze_pipeline.sources.readings import Reading, reading, what_is_read
from braze_pipeline.sources.typed_tables import TABLES, SourceTable
from braze_pipeline.storage import warehouse
from braze_pipeline.storage.masking import mask
from braze_pipeline.storage.warehouse import name_key, quote

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """What was found of a source.

    Attributes:
        name: Of the source table.
        location: File, folder or relation.
        rows: How many it has.
        columns: Name and DuckDB type of each column of the view.
        newest: The newest date in it (ISO), None where it has none.
    """

    name: str
    location: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    newest: str | None


def attach_sources(
    con: duckdb.DuckDBPyConnection, sources: Sequence[SourceSettings], *, time_zone: str
) -> tuple[SourceInfo, ...]:
    """Create the temporary views customers, orders, consents and predictions.

    Times with a zone or offset become local to ``time_zone``; those without are local to it. A
    missing optional source is an empty view. Parquet files and tables stay where they are; CSV is
    read once, into a temporary table. A customer who is there twice is an error: which row tells
    the truth about a person cannot be chosen for the brand.

    Raises:
        SourceMissing: a file, folder, database or relation is not there.
        SourceChanged: a column is missing, a value cannot be read as its type, a customer has no
            id or more than one row, or there are no rows at all.
        ConfigurationError: a mapped column is none of ours.
        DatabaseLocked: another process writes a database that a source lies in.
    """
    return tuple(_attach(con, source, time_zone) for source in sources)


def _attach(con: duckdb.DuckDBPyConnection, source: SourceSettings, time_zone: str) -> SourceInfo:
    table = TABLES[source.name]
    found = find(con, source)
    if found is None:
        nothing = ", ".join(f"NULL::{c.type} AS {quote(c.name)}" for c in table.columns)
        _view(con, source.name, f"SELECT {nothing} WHERE false")
        return _info(con, source.name, table, "not there (optional)")
    readings = _readings(source, table, found, time_zone)
    try:
        _load(con, source.name, found, readings)
    except _engine_errors() as error:
        raise unreadable(source.name, found.location, error) from error
    _check_key(con, source.name, table, found)
    info = _info(con, source.name, table, found.location)
    if not info.rows and not source.optional:
        raise SourceChanged(
            f"The source table {info.name} ({info.location}) has columns and no rows.",
            fix="Check what writes it: nobody can be in the audience without customers, orders and "
            "consents, so an empty table is an export that went wrong.",
        )
    return info


def _readings(
    source: SourceSettings, table: SourceTable, found: LocatedSource, time_zone: str
) -> list[Reading]:
    mapped = dict(source.columns)
    unknown = sorted(set(mapped) - {column.name for column in table.columns})
    if unknown:
        raise ConfigurationError(
            f"`sources: {source.name}: columns:` maps {', '.join(unknown)}, which the table "
            f"{source.name} does not have.",
            fix=f"Its columns are {', '.join(column.name for column in table.columns)}; others "
            "pass through under their own names.",
        )
    return [
        reading(column, mapped.get(column.name), found, table=source.name, time_zone=time_zone)
        for column in table.columns
    ]


def _load(
    con: duckdb.DuckDBPyConnection, name: str, found: LocatedSource, readings: list[Reading]
) -> None:
    """The view; every value that has to be read is looked at once before anything relies on it."""
    checked = [one for one in readings if one.unreadable is not None]
    others = _others(found, readings)
    names = [*(one.column.name for one in readings), *others]
    values = [*(one.value for one in readings), *map(quote, others)]
    flags = [f"({one.unreadable}) AS f{n}" for n, one in enumerate(checked)]
    source = found.relation
    if not found.text:
        _check_values(con, name, found, checked, f"(SELECT {', '.join(flags)} FROM {source})")
    else:
        # Numbered, because a column of theirs may have any name.
        con.execute(f"DROP VIEW IF EXISTS temp.{quote(name)}")
        stored = [*(f"{value} AS c{n}" for n, value in enumerate(values)), *flags]
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {quote('__' + name)} AS "
            f"SELECT {', '.join(stored)} FROM {source}"
        )
        source, values = f"temp.{quote('__' + name)}", [f"c{n}" for n in range(len(values))]
        _check_values(con, name, found, checked, source)
    shown = [f"{value} AS {quote(one)}" for value, one in zip(values, names, strict=True)]
    _view(con, name, f"SELECT {', '.join(shown)} FROM {source}")


def _others(found: LocatedSource, readings: list[Reading]) -> list[str]:
    """Further columns of theirs, which pass through."""
    taken = {one.theirs for one in readings}
    ours = {name_key(one.column.name) for one in readings}
    return [name for name in found.columns if name not in taken and name_key(name) not in ours]


def _check_values(
    con: duckdb.DuckDBPyConnection,
    name: str,
    found: LocatedSource,
    checked: list[Reading],
    flagged: str,
) -> None:
    if not checked:
        return
    counts = ", ".join(f"count_if(f{n})" for n in range(len(checked)))
    # With the filter, a Parquet file's statistics can show that nothing is wrong: no row is read.
    anyone = " OR ".join(f"f{n}" for n in range(len(checked)))
    found_bad = con.execute(f"SELECT {counts} FROM {flagged} WHERE {anyone}").fetchone() or ()
    for bad, one in zip(found_bad, checked, strict=True):
        if not bad:
            continue
        # Only now the row is looked for: numbering all rows costs more than the check itself.
        first = con.execute(
            f"SELECT n, value FROM (SELECT row_number() OVER () AS n, ({one.unreadable}) AS bad, "
            f"{quote(one.theirs or '')}::VARCHAR AS value FROM {found.relation}) "
            "WHERE bad ORDER BY n LIMIT 1"
        ).fetchone()
        row, value = first or (0, None)
        raise SourceChanged(
            f"The source table {name} ({found.location}) has values in the column '{one.theirs}' "
            f"that are not {what_is_read(one.column.type)}: {bad:,} of them, the first in row "
            f"{row + found.text:,}{' (the header is row 1)' if found.text else ''}, of the form "
            f"{mask(value)!r}.",
            fix="Fix them (YYYY-MM-DD, YYYY-MM-DD HH:MM:SS, numbers with a point and no other "
            "sign, true or false), or leave them empty.",
        )


def _check_key(
    con: duckdb.DuckDBPyConnection, name: str, table: SourceTable, found: LocatedSource
) -> None:
    if table.key is None:
        return
    row = con.execute(
        f"SELECT count(*) - count({table.key}), count({table.key}) - count(DISTINCT {table.key}) "
        f"FROM temp.{quote(name)}"
    ).fetchone()
    missing, repeated = row or (0, 0)
    if missing:
        raise SourceChanged(
            f"The source table {name} ({found.location}) has {missing:,} rows without {table.key}.",
            fix="Nothing can be sent for them: leave them out, or find out whose they are.",
        )
    if repeated:
        raise SourceChanged(
            f"The source table {name} ({found.location}) has {repeated:,} rows too many: their "
            f"{table.key} is there more than once.",
            fix="Make it one row a customer; a view in a DuckDB database can choose the newest.",
        )


def _view(con: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    con.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {query}")


def _info(
    con: duckdb.DuckDBPyConnection, name: str, table: SourceTable, location: str
) -> SourceInfo:
    newest = f"max({table.dated_by})::DATE::VARCHAR" if table.dated_by else "NULL"
    row = con.execute(f"SELECT count(*), {newest} FROM temp.{quote(name)}").fetchone()
    rows, latest = row or (0, None)
    return SourceInfo(
        name=name,
        location=location,
        rows=int(rows),
        columns=warehouse.columns(con, f"temp.{quote(name)}"),
        newest=latest,
    )


def _engine_errors() -> tuple[type[Exception], ...]:
    """What DuckDB raises when a file is not what it should be."""
    import duckdb

    return (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException)
