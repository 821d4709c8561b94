"""A place: Parquet or CSV files with a header: one, a folder of them, or a glob."""

from __future__ import annotations

from collections.abc import Sequence
from glob import has_magic
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from braze_pipeline.errors import SourceChanged, SourceMissing
from braze_pipeline.sources.places import csv_reader
from braze_pipeline.sources.places.located import LocatedSource, damaged_file, describe
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import file_literal
from braze_pipeline.storage.warehouse import EXTRACTS, SNAPSHOTS

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings

PARQUET = (".parquet", ".pq")
SUFFIXES = (*PARQUET, *csv_reader.SUFFIXES, *(f"{one}.gz" for one in csv_reader.SUFFIXES))


def locate(con: duckdb.DuckDBPyConnection, source: SourceSettings) -> LocatedSource:
    """Find the files of a source.

    Raises:
        SourceMissing: they are not there.
        SourceChanged: they are there and cannot be read.
    """
    import duckdb

    name, path = source.name, _path_of(source)
    location = source.location or str(path)
    files = _files(path)
    if path.is_dir():
        _refuse_own_files(name, path)
    kinds = {_kind(file) for file in files}
    if kinds == {"parquet"}:
        listed = _literals(files)
        # DuckDB resolves links before it checks whether it may read a file.
        links = (file for file in files if file.is_symlink())
        opens = (path, *links) if not _is_glob(path) else files
        try:
            found = describe(con, name, f"read_parquet({listed})", location, opens=tuple(opens))
            if len(files) > 1:
                _check_same_columns(con, name, found, listed)
        except (SourceChanged, duckdb.Error) as error:
            damage = _damaged(con, name, files)
            if damage is None:
                raise
            raise damage from error
        return found
    if kinds == {"csv"}:
        return describe(con, name, csv_reader.relation(name, files), location, text=True)
    raise SourceChanged(
        f"The source table {name} cannot be read: by their names, the files of {location} are "
        f"{'both Parquet and CSV' if kinds == {'csv', 'parquet'} else 'neither Parquet nor CSV'}.",
        fix="Give files that end in .parquet or in .csv, and only one of these for a table.",
    )


def _files(path: Path) -> tuple[Path, ...]:
    """The files of a table, in order; of a folder, its Parquet files, else its CSV files."""
    if _is_glob(path):
        found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        return tuple(one for one in found if is_table_file(PurePath(one.name)))
    if not path.is_dir():
        return (path,)
    below = sorted(one for one in path.rglob("*") if one.is_file())
    inside = [one for one in below if is_table_file(one.relative_to(path))]
    parquet = tuple(one for one in inside if _kind(one) == "parquet")
    return parquet or tuple(inside)


def is_table_file(below: PurePath) -> bool:
    """Whether a file is part of the table of a folder, by its path below the folder.

    Writers of lakes and programs that copy files keep what is theirs, or not complete, under names
    that begin with ``_`` or a point, or end in something of their own.
    """
    hidden = any(part.startswith(("_", ".")) for part in below.parts)
    return not hidden and below.name.lower().endswith(SUFFIXES)


def _is_glob(path: Path) -> bool:
    return has_magic(str(path)) and not path.exists()


def _kind(file: Path) -> str | None:
    if file.suffix.lower() in PARQUET:
        return "parquet"
    suffixes = {suffix.lower() for suffix in file.suffixes}
    return "csv" if suffixes & set(csv_reader.SUFFIXES) else None


def _literals(files: Sequence[Path]) -> str:
    return f"[{', '.join(file_literal(file) for file in files)}]"


def find_source(folder: Path, name: str) -> Path | None:
    """``NAME.parquet``, ``NAME.csv`` or the folder ``NAME/`` in a folder; None for none."""
    candidates = (folder / f"{name}.parquet", folder / f"{name}.csv", folder / name)
    return next((candidate for candidate in candidates if candidate.exists()), None)


def _path_of(source: SourceSettings) -> Path:
    given = source.path
    found = find_source(given, source.name) if given is not None and given.is_dir() else given
    if found is None and given is not None and not source.shared and _is_one_table(given):
        found = given
    if found is not None and (found.exists() or _is_glob(found)):
        if _files(found):
            return found
        what = f"{found} has no Parquet or CSV file"
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
        f"`sources: {source.name}: path:` in defs.yaml."
        if source.shared
        else f"Deliver it, or correct `sources: {source.name}: path:` in defs.yaml.",
    )


def _is_one_table(folder: Path) -> bool:
    """Whether a folder holds the files of one table, and not all source tables."""
    if any(find_source(folder, name) is not None for name in TABLES):
        return False
    return bool(_files(folder))


def _refuse_own_files(name: str, folder: Path) -> None:
    """Snapshots and extracts are Parquet too: in the folder of a table they would count as rows."""
    snapshot = next(
        (one for own in (SNAPSHOTS, EXTRACTS) for one in folder.rglob(f"*{own}/**/*.parquet")), None
    )
    if snapshot is not None:
        raise SourceChanged(
            f"The folder {folder} of the source table {name} contains files that the pipeline "
            f"wrote: {snapshot.parent}.",
            fix="Keep the table's files in a folder of their own, or move the database "
            "(BRAZE_PIPELINE_DATABASE).",
        )


def _damaged(
    con: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path]
) -> SourceChanged | None:
    """Of several Parquet files, the first that DuckDB cannot open."""
    import duckdb

    for file in files:
        try:
            con.execute(f"SELECT count(*) FROM parquet_schema({file_literal(file)})")
        except duckdb.Error as error:
            return damaged_file(name, str(file), error)
    return None


def _check_same_columns(
    con: duckdb.DuckDBPyConnection, name: str, found: LocatedSource, files: str
) -> None:
    """Every file of a folder has every column, with one type: DuckDB would fail or cast them."""
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
    differs = con.execute(read_sql("sources.places", "column_types", files=files)).fetchone()
    if differs:
        raise SourceChanged(
            f"The source table {name} has the column '{differs[0]}' with different types in "
            f"{differs[1]} and {differs[2]}.",
            fix="Write all files of a table with the same types.",
        )
