"""Where a source table lies, and what it looks like there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.errors import DatabaseLocked, SourceChanged, SourceError, SourceMissing
from braze_pipeline.sources import csvfile
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.storage import warehouse
from braze_pipeline.storage.warehouse import SNAPSHOTS, literal, name_key, quote
from braze_pipeline.user_input import did_you_mean

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings

PARQUET = {".parquet", ".pq"}


@dataclass(frozen=True)
class LocatedSource:
    """A source as it lies there.

    Attributes:
        location: File, folder or relation, for messages.
        relation: What to put after FROM.
        columns: Its own columns with their DuckDB types.
        text: All columns are text that was not read yet (CSV).
    """

    location: str
    relation: str
    columns: dict[str, str]
    text: bool = False

    def column(self, name: str) -> str | None:
        """A column by name, as SQL finds it."""
        return next((c for c in self.columns if name_key(c) == name_key(name)), None)


def find_source(folder: Path, name: str) -> Path | None:
    """``NAME.parquet``, ``NAME.csv`` or the folder ``NAME/`` in a folder; None for none."""
    for candidate in (folder / f"{name}.parquet", folder / f"{name}.csv", folder / name):
        if candidate.exists():
            return candidate
    return None


def find(con: duckdb.DuckDBPyConnection, source: SourceSettings) -> LocatedSource | None:
    """Find a source and describe it; None when it is optional and not there.

    Raises:
        SourceMissing: it is not there.
        SourceChanged: it is there and cannot be read.
        DatabaseLocked: another process writes the database it lies in.
    """
    if source.database is not None:
        return _in_database(con, source, source.database)
    path = place_of(source)
    if path is None:
        return None
    if path.is_dir():
        _refuse_ours(source, path)
        files = literal(str(path / "**" / "*.parquet"))
        found = _described(con, source, f"read_parquet({files})", str(path))
        _check_files(con, source, found, files)
        return found
    if path.suffix.lower() in PARQUET:
        return _described(con, source, f"read_parquet({literal(str(path))})", str(path))
    if not csvfile.SUFFIXES.isdisjoint(suffix.lower() for suffix in path.suffixes):
        return _described(con, source, csvfile.reader(source.name, path), str(path), text=True)
    raise SourceChanged(
        f"The source table {source.name} cannot be read: {path} is by its name neither Parquet "
        "nor CSV.",
        fix="Give a file that ends in .parquet or .csv, or a folder of Parquet files.",
    )


def unreadable(name: str, location: str, error: Exception) -> SourceError:
    """What DuckDB says of a file, without the line of data that it quotes."""
    text = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    where = f", line {line[1]}" if line else ""
    if "unicode" in text or "utf-8" in text.lower():
        what = "is not UTF-8"
    elif "Expected Number of Columns" in text:
        what = "has a row with another number of columns than the header"
    elif "unterminated quote" in text.lower() or "quote" in text.lower():
        what = "has a quotation mark that nothing closes, or text after one"
    elif line:
        what = "has a row that is no CSV"
    elif "chema mismatch" in text:
        what = "has files whose columns are of different types"
    else:
        what = "is empty, damaged, or of another format than its name says"
    return SourceChanged(
        f"The source table {name} cannot be read: {location}{where} {what}.",
        fix="Write it anew: Parquet, or CSV in UTF-8 with a header line.",
    )


def place_of(source: SourceSettings) -> Path | None:
    """The file or folder that holds the source itself, None when it is optional and not there.

    Raises:
        SourceMissing: it is not there.
    """
    given = source.path
    found = find_source(given, source.name) if given is not None and given.is_dir() else given
    if found is None and given is not None and not source.shared and _is_parquet_folder(given):
        found = given
    if found is not None and found.exists():
        if not found.is_dir() or any(found.rglob("*.parquet")):
            return found
        what = f"the folder {found} holds no Parquet file"
    elif given is not None and given.is_dir():
        what = (
            f"the folder {given} has neither {source.name}.parquet nor {source.name}.csv nor a "
            f"folder {source.name}/"
        )
    elif given is not None:
        what = f"there is no file or folder {given}"
    else:
        what = "no place is configured for it"
    if source.optional:
        return None
    raise SourceMissing(
        f"The source table {source.name} is not there: {what}.",
        fix="Set BRAZE_PIPELINE_SOURCES to the folder of the source tables, or give "
        f"`sources: {source.name}: path:` in defs.yaml.",
    )


def _is_parquet_folder(folder: Path) -> bool:
    """Whether a folder is one table's own files, not the folder in which all tables lie."""
    if any(find_source(folder, name) is not None for name in TABLES):
        return False
    return any(folder.rglob("*.parquet"))


def _refuse_ours(source: SourceSettings, folder: Path) -> None:
    """The plan's snapshots are Parquet too: in a table's folder they would count as its rows."""
    ours = next(folder.rglob(f"*{SNAPSHOTS}/*.parquet"), None)
    if ours is not None:
        raise SourceChanged(
            f"The folder {folder} of the source table {source.name} holds files that the pipeline "
            f"wrote: {ours.parent}.",
            fix="Keep the table's files in a folder of their own, or the database elsewhere "
            "(BRAZE_PIPELINE_DATABASE).",
        )


def _check_files(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, found: LocatedSource, files: str
) -> None:
    """Each file of a folder has each column: DuckDB would find out in the middle of a query."""
    lacking = con.execute(
        f"WITH file AS (SELECT file_name, list(lower(name)) AS names FROM parquet_schema({files}) "
        "GROUP BY file_name) SELECT c, min(file_name) FROM file, (SELECT unnest($columns) AS c) "
        "WHERE NOT list_contains(names, lower(c)) "
        # Columns of a partitioned folder stand in the paths.
        "AND NOT contains(lower(file_name), '/' || lower(c) || '=') "
        "GROUP BY c ORDER BY c LIMIT 1",
        {"columns": list(found.columns)},
    ).fetchone()
    if lacking:
        raise SourceChanged(
            f"The source table {source.name} has no column '{lacking[0]}' in {lacking[1]}, which "
            "other files of the folder have.",
            fix="Write all files of a table with the same columns.",
        )


def _in_database(
    con: duckdb.DuckDBPyConnection, source: SourceSettings, database: Path
) -> LocatedSource | None:
    relation = source.relation or source.name
    if not database.is_file():
        if source.optional:
            return None
        raise SourceMissing(
            f"The source table {source.name} is not there: there is no database {database}.",
            fix=f"Mend `sources: {source.name}: database:` in defs.yaml.",
        )
    alias = _attached(con, source.name, database)
    schema, _, name = relation.rpartition(".")
    schema = schema or "main"
    there = [
        f"{found_schema}.{found}"
        for found_schema, found in con.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = $db "
            "UNION ALL SELECT schema_name, view_name FROM duckdb_views() "
            "WHERE database_name = $db AND NOT internal ORDER BY ALL",
            {"db": alias},
        ).fetchall()
    ]
    if name_key(f"{schema}.{name}") not in map(name_key, there):
        if source.optional:
            return None
        raise SourceMissing(
            f"The source table {source.name} is not there: {database} has no table or view "
            f"{relation}.{did_you_mean(f'{schema}.{name}', there)}",
            fix=f"Mend `sources: {source.name}: relation:` in defs.yaml.",
        )
    where = ".".join(quote(part) for part in (alias, schema, name))
    return _described(con, source, where, f"{relation} in {database}")


def _attached(con: duckdb.DuckDBPyConnection, name: str, database: Path) -> str:
    """The alias of a database, attached read-only if it is not attached yet.

    DuckDB opens a file once in a process: two tables of one file share it, and so does the
    pipeline's own file.
    """
    import duckdb

    for alias, path in con.execute("SELECT database_name, path FROM duckdb_databases()").fetchall():
        if path and Path(path).resolve() == database.resolve():
            return str(alias)
    alias = f"__source_{name}"
    try:
        con.execute(f"ATTACH {literal(str(database))} AS {quote(alias)} (READ_ONLY)")
    except duckdb.Error as error:
        if "Could not set lock on file" in str(error):
            raise DatabaseLocked(
                f"Another process writes {database}, where the source table {name} lies.",
                fix="Let it end and run again, or give a copy or an export of the table.",
            ) from error
        raise SourceChanged(
            f"The source table {name} cannot be read: {database} is no DuckDB file that this "
            "version can open.",
            fix=f"Mend `sources: {name}: database:` in defs.yaml, or export the table as Parquet.",
        ) from error
    return alias


def _described(
    con: duckdb.DuckDBPyConnection,
    source: SourceSettings,
    relation: str,
    location: str,
    *,
    text: bool = False,
) -> LocatedSource:
    import duckdb

    try:
        columns = dict(warehouse.columns(con, f"SELECT * FROM {relation}"))
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        # A view that does not work; such errors name tables and columns, never values.
        raise SourceChanged(
            f"The source table {source.name} cannot be read from {location}: {error}",
            fix="Mend the view, and qualify the names in it.",
        ) from error
    except duckdb.Error as error:
        raise unreadable(source.name, location, error) from error
    return LocatedSource(location, relation, columns, text)
