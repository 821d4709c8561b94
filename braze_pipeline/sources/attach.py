"""The source tables as temporary views of a connection.

What belongs here: creating the views, and the checks that every table must pass before anything
relies on it. Where a table is (`places`) and how one column is read (`readings`) are apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.errors import ConfigurationError, SourceChanged
from braze_pipeline.sources.places import locate
from braze_pipeline.sources.places.located import LocatedSource, damaged_file
from braze_pipeline.sources.readings import Reading, accepted_values, reading
from braze_pipeline.sources.typed_tables import TABLES, SourceTable, contract_of
from braze_pipeline.storage import warehouse
from braze_pipeline.storage.masking import mask
from braze_pipeline.storage.sql_text import literal, name_key, quote
from braze_pipeline.storage.warehouse import single_row
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """A source table as it was attached.

    Attributes:
        name: The name of the source table.
        location: File, folder or relation.
        rows: The number of rows.
        columns: Name and DuckDB type of each column of the view.
        newest: The newest date in it (ISO); None where it has no dates.
        opens: The files and folders that DuckDB opens while the view is queried.
        left_out: Why columns are left out; each is an error where the SQL uses it.
    """

    name: str
    location: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    newest: str | None
    opens: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()


def attach_sources(
    con: duckdb.DuckDBPyConnection, sources: Sequence[SourceSettings], *, time_zone: str
) -> tuple[SourceInfo, ...]:
    """Create a temporary view for each source table.

    Times with a zone or offset become local to ``time_zone``; those without are local to it. A
    missing optional source is an empty view. Parquet files and tables stay where they are; CSV is
    read once, into a temporary table. A customer with two rows is an error: the pipeline cannot
    decide which of them is right.

    Raises:
        SourceMissing: a file, folder, database or relation is not there.
        SourceChanged: a column is missing, a value cannot be read as its type, a customer has no
            id or more than one row, or there are no rows at all.
        ConfigurationError: a mapped column does not exist in the source table.
        DatabaseLocked: another process writes the database of a source.
    """
    return tuple(_attach(con, source, time_zone) for source in sources)


def _attach(con: duckdb.DuckDBPyConnection, source: SourceSettings, time_zone: str) -> SourceInfo:
    import duckdb

    table = contract_of(source.name)
    located = locate(con, source)
    if located is None:
        nothing = ", ".join(f"NULL::{c.type} AS {quote(c.name)}" for c in table.columns)
        _view(con, source.name, f"SELECT {nothing} WHERE false")
        return _info(con, source.name, table, "not there (optional)")
    readings = _readings(source, table, located, time_zone)
    try:
        _load(con, located, readings)
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException) as error:
        raise damaged_file(source.name, located.location, error) from error
    _check_key(con, table, located)
    info = replace(
        _info(con, source.name, table, located.location, located.opens),
        left_out=tuple(why.replace("\n", " ") for _, why in located.left_out.values()),
    )
    if not info.rows and source.name in TABLES and not source.optional:
        raise SourceChanged(
            f"{located.title} has columns and no rows.",
            fix="Check the export: without customers, orders and consents nobody can be in the "
            "audience, so an empty table means that the export failed.",
        )
    return info


def _readings(
    source: SourceSettings, table: SourceTable, located: LocatedSource, time_zone: str
) -> list[Reading]:
    mapped = dict(source.columns)
    unknown = sorted(set(mapped) - {column.name for column in table.columns})
    if unknown:
        raise ConfigurationError(
            f"`sources: {source.name}: columns:` maps {', '.join(unknown)}, which is not a column "
            f"of the source table {source.name}.",
            fix=f"Map only {', '.join(column.name for column in table.columns)}; other columns "
            "pass through under their own names.",
        )
    return [
        reading(column, mapped.get(column.name), located, time_zone) for column in table.columns
    ]


def _load(con: duckdb.DuckDBPyConnection, located: LocatedSource, readings: list[Reading]) -> None:
    """Create the view; every value that must be read is checked once before anything uses it."""
    checked = [one for one in readings if one.invalid is not None]
    others = _others(located, readings)
    names = [*(one.column.name for one in readings), *others]
    values = [*(one.value for one in readings), *map(quote, others)]
    flags = [f"({one.invalid}) AS f{n}" for n, one in enumerate(checked)]
    relation = located.relation
    if not located.text:
        _check_values(con, located, checked, f"(SELECT {', '.join(flags)} FROM {relation})")
    else:
        # Numbered, because the source's columns may have any name.
        con.execute(f"DROP VIEW IF EXISTS temp.{quote(located.name)}")
        stored = [*(f"{value} AS c{n}" for n, value in enumerate(values)), *flags]
        table = quote(f"__{located.name}")
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {', '.join(stored)} FROM {relation}"
        )
        relation, values = f"temp.{table}", [f"c{n}" for n in range(len(values))]
        _check_values(con, located, checked, relation)
    shown = [f"{value} AS {quote(one)}" for value, one in zip(values, names, strict=True)]
    ours = set(map(name_key, names))
    left_out = {name: one for name, one in located.left_out.items() if name_key(name) not in ours}
    # Not absent: its name could then mean another column. As it is, the SQL fails if it uses it.
    shown += [
        f"error({literal(why)})::{type_} AS {quote(one)}" for one, (type_, why) in left_out.items()
    ]
    _view(con, located.name, f"SELECT {', '.join(shown)} FROM {relation}")
    for one, (_, why) in left_out.items():
        con.execute(f"COMMENT ON COLUMN temp.{quote(located.name)}.{quote(one)} IS {literal(why)}")


def _others(located: LocatedSource, readings: list[Reading]) -> list[str]:
    """The source's further columns, which pass through."""
    taken = {one.theirs for one in readings}
    ours = {name_key(one.column.name) for one in readings}
    return [name for name in located.columns if name not in taken and name_key(name) not in ours]


def _check_values(
    con: duckdb.DuckDBPyConnection,
    located: LocatedSource,
    checked: list[Reading],
    flagged: str,
) -> None:
    if not checked:
        return
    counts = ", ".join(f"count_if(f{n})" for n in range(len(checked)))
    # With this filter, the statistics of a Parquet file can show that nothing is wrong: no row
    # is read.
    anyone = " OR ".join(f"f{n}" for n in range(len(checked)))
    totals = single_row(con, f"SELECT {counts} FROM {flagged} WHERE {anyone}")
    for bad, one in zip(totals, checked, strict=True):
        if not bad:
            continue
        # Only now find the row: numbering all rows costs more than the check itself.
        row, value = single_row(
            con,
            f"SELECT n, value FROM (SELECT row_number() OVER () AS n, ({one.invalid}) AS bad, "
            f"{quote(one.theirs or '')}::VARCHAR AS value FROM {located.relation}) "
            "WHERE bad ORDER BY n LIMIT 1",
        )
        raise SourceChanged(
            f"{located.title} has values in the column '{one.theirs}' "
            f"that are not {accepted_values(one.column.type)}: {bad:,} of them, the first in row "
            f"{_row(located, row)}, of the form {mask(value)!r}.",
            fix="Fix them (YYYY-MM-DD, YYYY-MM-DD HH:MM:SS, numbers with a decimal "
            "point and no thousands separator, true or false), or leave them empty.",
        )


def _check_key(con: duckdb.DuckDBPyConnection, table: SourceTable, located: LocatedSource) -> None:
    if table.key is None:
        return
    missing, repeated = single_row(
        con,
        f"SELECT count(*) - count({table.key}), count({table.key}) - count(DISTINCT {table.key}) "
        f"FROM temp.{quote(located.name)}",
    )
    numbered = f"(SELECT row_number() OVER () AS n, {table.key} FROM temp.{quote(located.name)})"
    if missing:
        (first,) = single_row(con, f"SELECT min(n) FROM {numbered} WHERE {table.key} IS NULL")
        raise SourceChanged(
            f"{located.title} has {counted(missing, 'row')} without {table.key}, the first in row "
            f"{_row(located, first)}.",
            fix="Nothing can be sent for them: remove them, or find out whose they are.",
        )
    if repeated:
        (rows,) = single_row(
            con,
            f"SELECT min(n, 2) FROM {numbered} GROUP BY {table.key} HAVING count(*) > 1 "
            "ORDER BY min(n) LIMIT 1",
        )
        raise SourceChanged(
            f"{located.title} has {counted(repeated, 'row')} too many: their {table.key} occurs "
            f"more than once, such as in the rows {_row(located, *rows)}.",
            fix="Make it one row per customer; a view in a DuckDB database can choose the newest.",
        )


def _row(located: LocatedSource, *numbers: int) -> str:
    """The numbers of rows, from 1, as the file shows them."""
    shown = " and ".join(f"{number + located.text:,}" for number in numbers)
    return f"{shown}{' (the header is row 1)' if located.text else ''}"


def _view(con: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    con.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {query}")


def _info(
    con: duckdb.DuckDBPyConnection,
    name: str,
    table: SourceTable,
    location: str,
    opens: tuple[Path, ...] = (),
) -> SourceInfo:
    newest = f"max({table.dated_by})::DATE::VARCHAR" if table.dated_by else "NULL"
    rows, latest = single_row(con, f"SELECT count(*), {newest} FROM temp.{quote(name)}")
    columns = warehouse.columns(con, f"temp.{quote(name)}")
    return SourceInfo(
        name=name, location=location, rows=rows, columns=columns, newest=latest, opens=opens
    )
