"""A place: a Parquet file, a CSV file with a header, or a folder of Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.errors import SourceChanged, SourceMissing
from braze_pipeline.sources.places import csv_reader
from braze_pipeline.sources.places.located import LocatedSource, describe
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.storage.warehouse import SNAPSHOTS, literal

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings

PARQUET = {".parquet", ".pq"}


def locate(con: duckdb.DuckDBPyConnection, source: SourceSettings) -> LocatedSource:
    """Find the file or folder of a source.

    Raises:
        SourceMissing: it is not there.
        SourceChanged: it is there and cannot be read.
    """
    name, path = source.name, _path_of(source)
    if path.is_dir():
        _refuse_snapshots(name, path)
        files = literal(str(path / "**" / "*.parquet"))
        # DuckDB resolves links before it checks whether it may read a file.
        links = (file for file in path.rglob("*.parquet") if file.is_symlink())
        found = describe(con, name, f"read_parquet({files})", str(path), opens=(path, *links))
        _check_same_columns(con, name, found, files)
        return found
    if path.suffix.lower() in PARQUET:
        relation = f"read_parquet({literal(str(path))})"
        return describe(con, name, relation, str(path), opens=(path,))
    if not csv_reader.SUFFIXES.isdisjoint(suffix.lower() for suffix in path.suffixes):
        return describe(con, name, csv_reader.relation(name, path), str(path), text=True)
    raise SourceChanged(
        f"The source table {name} cannot be read: the name of {path} is neither that of a Parquet "
        "file nor that of a CSV file.",
        fix="Give a file that ends in .parquet or .csv, or a folder of Parquet files.",
    )


def find_source(folder: Path, name: str) -> Path | None:
    """``NAME.parquet``, ``NAME.csv`` or the folder ``NAME/`` in a folder; None for none."""
    candidates = (folder / f"{name}.parquet", folder / f"{name}.csv", folder / name)
    return next((candidate for candidate in candidates if candidate.exists()), None)


def _path_of(source: SourceSettings) -> Path:
    given = source.path
    found = find_source(given, source.name) if given is not None and given.is_dir() else given
    if found is None and given is not None and not source.shared and _is_one_table(given):
        found = given
    if found is not None and found.exists():
        if not found.is_dir() or any(found.rglob("*.parquet")):
            return found
        what = f"the folder {found} contains no Parquet file"
    elif given is not None and given.is_dir():
        what = (
            f"the folder {given} has neither {source.name}.parquet nor {source.name}.csv nor a "
            f"folder {source.name}/"
        )
    elif given is not None:
        what = f"there is no file or folder {given}"
    else:
        what = "no place is configured for it"
    raise SourceMissing(
        f"The source table {source.name} is not there: {what}.",
        fix="Set BRAZE_PIPELINE_SOURCES to the folder of the source tables, or set "
        f"`sources: {source.name}: path:` in defs.yaml.",
    )


def _is_one_table(folder: Path) -> bool:
    """Whether a folder holds the files of one table, and not all source tables."""
    if any(find_source(folder, name) is not None for name in TABLES):
        return False
    return any(folder.rglob("*.parquet"))


def _refuse_snapshots(name: str, folder: Path) -> None:
    """The plan's snapshots are Parquet too: in the folder of a table they would count as rows."""
    snapshot = next(folder.rglob(f"*{SNAPSHOTS}/*.parquet"), None)
    if snapshot is not None:
        raise SourceChanged(
            f"The folder {folder} of the source table {name} contains files that the pipeline "
            f"wrote: {snapshot.parent}.",
            fix="Keep the table's files in a folder of their own, or move the database "
            "(BRAZE_PIPELINE_DATABASE).",
        )


def _check_same_columns(
    con: duckdb.DuckDBPyConnection, name: str, found: LocatedSource, files: str
) -> None:
    """Every file of a folder has every column: DuckDB would fail in the middle of a query."""
    lacking = con.execute(
        f"WITH file AS (SELECT file_name, list(lower(name)) AS names FROM parquet_schema({files}) "
        "GROUP BY file_name) SELECT c, min(file_name) FROM file, (SELECT unnest($columns) AS c) "
        "WHERE NOT list_contains(names, lower(c)) "
        # The columns of a partitioned folder are in the paths.
        "AND NOT contains(lower(file_name), '/' || lower(c) || '=') "
        "GROUP BY c ORDER BY c LIMIT 1",
        {"columns": list(found.columns)},
    ).fetchone()
    if lacking:
        raise SourceChanged(
            f"The source table {name} has no column '{lacking[0]}' in {lacking[1]}, although other "
            "files of the folder have it.",
            fix="Write all files of a table with the same columns.",
        )
