"""The source tables, as views with the columns and types that everything downstream relies on.

A source is a Parquet file, a CSV file with a header, a folder of Parquet files, or a table or view
of another DuckDB database. What is missing or cannot be read is an error that names table, file,
column and, for CSV, the row; nothing becomes NULL in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.core.warehouse import literal, quote
from braze_pipeline.errors import SourceChanged, SourceMissing

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings


@dataclass(frozen=True, kw_only=True)
class SourceColumn:
    """A column that a source table has, or may have.

    Attributes:
        type: Its DuckDB type in our view; ``VARCHAR`` keeps messy text as it is.
        optional: NULL where the source lacks it.
    """

    name: str
    type: str = "VARCHAR"
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class SourceTable:
    """A source table: its columns, what makes a row unique, and what tells how new it is."""

    columns: tuple[SourceColumn, ...]
    key: str | None = None
    dated_by: str | None = None


def _texts(*names: str, optional: bool = False) -> tuple[SourceColumn, ...]:
    return tuple(SourceColumn(name=name, optional=optional) for name in names)


TABLES: Final[dict[str, SourceTable]] = {
    "customers": SourceTable(
        columns=(
            *_texts("customer_id", "given_name", "surname", "email", "phone", "city", "country"),
            *_texts("birthdate", "gender", "loyalty_status"),
            *_texts("braze_id", "language", "time_zone", optional=True),
        ),
        key="customer_id",
    ),
    "orders": SourceTable(
        columns=(
            *_texts("order_id", "customer_id"),
            SourceColumn(name="ordered_at", type="TIMESTAMP"),
            *_texts("product_id", "product_name"),
            SourceColumn(name="quantity", type="DOUBLE"),
            SourceColumn(name="unit_price", type="DOUBLE"),
        ),
        dated_by="ordered_at",
    ),
    "consents": SourceTable(
        columns=(
            *_texts("customer_id", "channel"),
            SourceColumn(name="opted_in", type="BOOLEAN"),
            SourceColumn(name="changed_at", type="TIMESTAMP"),
        ),
        dated_by="changed_at",
    ),
    "predictions": SourceTable(
        columns=(
            *_texts("customer_id"),
            SourceColumn(name="predicted_on", type="DATE"),
            SourceColumn(name="predicted_clv", type="DOUBLE"),
        ),
        dated_by="predicted_on",
    ),
}
"""The source tables by name, with the design's columns."""


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """What was found of a source.

    Attributes:
        location: File, folder or relation.
        rows: Its rows.
        newest: The newest date in it, None where it has none.
    """

    name: str
    location: str
    rows: int
    newest: str | None


@dataclass(frozen=True)
class _Found:
    """A source as it lies there: how to read it, and its own columns with their types."""

    location: str
    relation: str
    columns: dict[str, str]


def attach_sources(
    con: duckdb.DuckDBPyConnection, sources: Sequence[SourceSettings], *, time_zone: str
) -> tuple[SourceInfo, ...]:
    """Create the temporary views customers, orders, consents and predictions.

    Timestamps with a zone become local to ``time_zone``; those without are taken as local to it.
    An optional source that is not there is an empty view.

    Raises:
        SourceMissing: a file, folder, database or relation is not there.
        SourceChanged: a column is missing, a value cannot be read as its type, or a customer id
            is there twice.
    """
    return tuple(_attach(con, source, time_zone) for source in sources)


def find_source(folder: Path, name: str) -> Path | None:
    """``NAME.parquet``, ``NAME.csv`` or the folder ``NAME/`` in a folder; None for none."""
    for candidate in (folder / f"{name}.parquet", folder / f"{name}.csv", folder / name):
        if candidate.exists():
            return candidate
    return None


def _attach(con: duckdb.DuckDBPyConnection, source: SourceSettings, time_zone: str) -> SourceInfo:
    table = TABLES[source.name]
    found = _find(con, source)
    if found is None:
        nothing = ", ".join(f"NULL::{c.type} AS {c.name}" for c in table.columns)
        con.execute(f"CREATE OR REPLACE TEMP VIEW {source.name} AS SELECT {nothing} WHERE false")
        return SourceInfo(name=source.name, location="not there (optional)", rows=0, newest=None)
    expressions = _expressions(source, table, found, time_zone)
    _check_values(con, source, found, table)
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW {source.name} AS SELECT {', '.join(expressions)} "
        f"FROM {found.relation}"
    )
    _check_key(con, source, found, table)
    newest = f"max({table.dated_by})::DATE::VARCHAR" if table.dated_by else "NULL"
    row = con.execute(f"SELECT count(*), {newest} FROM {source.name}").fetchone()
    rows, latest = row or (0, None)
    return SourceInfo(name=source.name, location=found.location, rows=rows, newest=latest)


def _find(con: duckdb.DuckDBPyConnection, source: SourceSettings) -> _Found | None:
    if source.database is not None:
        return _database(con, source, source.database)
    path = source.path
    # A folder is either the source's own Parquet files or the folder of all sources.
    if path is not None and path.is_dir():
        inside = find_source(path, source.name)
        path = inside if inside or not any(path.glob("*.parquet")) else path
    if path is None or not path.exists():
        if source.optional:
            return None
        where = source.path or "the configured place"
        raise SourceMissing(
            f"The source table {source.name} is not there: neither {source.name}.parquet, "
            f"{source.name}.csv nor a folder {source.name}/ in {where}."
            if path is None
            else f"The source table {source.name} is not there: no file {path}.",
            fix="Set BRAZE_PIPELINE_SOURCES to the folder of the source tables, or give "
            f"`sources: {source.name}: path:` in defs.yaml.",
        )
    return _file(con, source, path)


def _file(con: duckdb.DuckDBPyConnection, source: SourceSettings, path: Path) -> _Found:
    if path.is_dir():
        reader = f"read_parquet({literal(str(path / '*.parquet'))}, union_by_name = true)"
    elif path.suffix == ".parquet":
        reader = f"read_parquet({literal(str(path))})"
    else:
        # Everything as text: a type guessed from the first rows would fail at a later one.
        reader = f"read_csv({literal(str(path))}, header = true, all_varchar = true)"
    return _described(con, source, reader, str(path))


def _database(con: duckdb.DuckDBPyConnection, source: SourceSettings, database: Path) -> _Found:
    if not database.exists():
        raise SourceMissing(
            f"The source table {source.name} is not there: no database {database}.",
            fix=f"Mend `sources: {source.name}: database:` in defs.yaml.",
        )
    alias = quote(f"source_{database.stem}")
    con.execute(f"ATTACH IF NOT EXISTS {literal(str(database))} AS {alias} (READ_ONLY)")
    parts = (source.relation or "").split(".")
    relation = ".".join([alias, *(quote(part) for part in parts)])
    return _described(con, source, relation, f"{database}: {source.relation}")


def _described(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, relation: str, location: str
) -> _Found:
    import duckdb

    try:
        rows = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    except duckdb.CatalogException as error:
        raise SourceMissing(
            f"The source table {source.name} is not there: no relation in {location}.",
            fix=f"Mend `sources: {source.name}: relation:` in defs.yaml.",
        ) from error
    except duckdb.Error as error:
        raise SourceChanged(
            f"The source table {source.name} cannot be read: {location} is damaged or of another "
            "format than its name says.",
            fix="Write it anew as Parquet, or as CSV with a header line, in UTF-8.",
        ) from error
    return _Found(location, relation, {row[0]: row[1] for row in rows})


def _expressions(
    source: SourceSettings, table: SourceTable, found: _Found, time_zone: str
) -> list[str]:
    """Our columns out of theirs; further columns of theirs pass through."""
    renamed = dict(source.columns)
    taken = set(renamed.values())
    expressions = []
    for column in table.columns:
        theirs = renamed.get(column.name, column.name)
        if theirs in found.columns:
            cast = _cast(quote(theirs), found.columns[theirs], column.type, time_zone)
            expressions.append(f"{cast} AS {quote(column.name)}")
        elif column.optional and column.name not in renamed:
            expressions.append(f"NULL::{column.type} AS {quote(column.name)}")
        else:
            raise _missing_column(source, found, theirs)
        taken.add(theirs)
    ours = {column.name for column in table.columns}
    further = [name for name in found.columns if name not in taken and name not in ours]
    return [*expressions, *(quote(name) for name in further)]


def _missing_column(source: SourceSettings, found: _Found, name: str) -> SourceChanged:
    near = difflib.get_close_matches(name, list(found.columns), n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return SourceChanged(
        f"The source table {source.name} ({found.location}) has no column '{name}'. "
        f"It has: {', '.join(found.columns)}.{hint}",
        fix=f"Add the column, or map it under `sources: {source.name}: columns:` in defs.yaml.",
    )


def _cast(column: str, theirs: str, ours: str, time_zone: str) -> str:
    if ours == "VARCHAR" and theirs in {"DOUBLE", "FLOAT"}:
        # Ids that came through a spreadsheet or pandas: 12346.0 is the customer 12346.
        return (
            f"CASE WHEN {column} = floor({column}) THEN {column}::HUGEINT::VARCHAR "
            f"ELSE {column}::VARCHAR END"
        )
    if ours in {"TIMESTAMP", "DATE"} and "WITH TIME ZONE" in theirs:
        local = f"timezone({literal(time_zone)}, {column})"
        return local if ours == "TIMESTAMP" else f"{local}::DATE"
    if theirs == ours:
        return column
    return f"{column}::{ours}"


def _check_values(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, found: _Found, table: SourceTable
) -> None:
    """Find text that is no value of its column's type before a query fails on it."""
    renamed = dict(source.columns)
    typed = [
        (column, renamed.get(column.name, column.name))
        for column in table.columns
        if column.type != "VARCHAR"
    ]
    checks = [
        (column, theirs) for column, theirs in typed if found.columns.get(theirs) == "VARCHAR"
    ]
    if not checks:
        return
    conditions = {
        theirs: f"{quote(theirs)} IS NOT NULL "
        f"AND TRY_CAST({quote(theirs)} AS {column.type}) IS NULL"
        for column, theirs in checks
    }
    counts = ", ".join(
        f"count(*) FILTER ({condition}), min(n) FILTER ({condition})"
        for condition in conditions.values()
    )
    row = con.execute(
        f"SELECT {counts} FROM (SELECT *, row_number() OVER () AS n FROM {found.relation})"
    ).fetchone()
    for position, (column, theirs) in enumerate(checks):
        bad, first = (row[2 * position], row[2 * position + 1]) if row else (0, 0)
        if bad:
            raise SourceChanged(
                f"The source table {source.name} ({found.location}) has {bad:,} values in column "
                f"'{theirs}' that are no {column.type}; the first is in data row {first:,}.",
                fix="Mend the rows (dates as YYYY-MM-DD, times as YYYY-MM-DD HH:MM:SS, numbers "
                "with a point, true or false), or leave the value empty.",
            )


def _check_key(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, found: _Found, table: SourceTable
) -> None:
    """Two rows of one customer would be two truths about a person: none can be chosen for you."""
    if table.key is None:
        return
    row = con.execute(
        f"SELECT count(*) - count(DISTINCT {table.key}), count(*) FILTER ({table.key} IS NULL) "
        f"FROM {source.name}"
    ).fetchone()
    double, missing = row or (0, 0)
    if double - max(missing - 0, 0) > 0 or missing:
        what = f"{missing:,} rows without" if missing else f"{double:,} rows with a repeated"
        raise SourceChanged(
            f"The source table {source.name} ({found.location}) has {what} {table.key}.",
            fix="Make it one row a customer; a view in a DuckDB database can choose the newest.",
        )
