"""A place: Parquet or CSV files with a header: one, a folder of them, or a glob."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final, TypeVar

from braze_pipeline.errors import SourceChanged, SourceMissing
from braze_pipeline.sources.places import csv_reader
from braze_pipeline.sources.places.located import (
    LocatedSource,
    damaged_file,
    describe,
    of_extract,
)
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import file_literal
from braze_pipeline.storage.warehouse import EXTRACTS, SNAPSHOTS

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings

PARQUET = (".parquet", ".pq")
SUFFIXES = (*PARQUET, *csv_reader.SUFFIXES, *(f"{one}.gz" for one in csv_reader.SUFFIXES))
_LEFTOVERS: Final = (
    *(".bak", ".old", ".orig", ".swp", "~"),
    *(".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".inprogress"),
    "._copying_",
    *(".crc", ".md5", ".sha1", ".sha256", ".sha512", ".sig", ".md", ".log", ".done", ".ok"),
)
"""What ends the name of a backup, of an unfinished copy, and of a note about a table's file."""
_PARQUET: Final = re.compile(r"\.(parquet|pq)(?![a-z0-9])")
_TABLE: Final = re.compile(
    r"\.(parquet|pq|csv|tsv|txt|gz|gzip|bz2|zst|xz|lz4|zip|7z|tar|tgz)(?![a-z0-9])"
)
"""What a file's name has anywhere in it if it may be a part of a table."""
_LONGER: Final = re.compile(rf"{_TABLE.pattern}\W*\w")
"""A glob that goes on behind such an ending, as ``*.csv.2026*`` does."""
_Path = TypeVar("_Path", bound=PurePath)


def locate(con: duckdb.DuckDBPyConnection, source: SourceSettings) -> LocatedSource:
    """Find the files of a source.

    Raises:
        SourceMissing: they are not there.
        SourceChanged: they are there and cannot be read.
    """
    import duckdb

    name, path = source.name, _path_of(source)
    location = source.location or str(path)
    files = _files(source, path)
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
            _check_decimals(con, found, listed)
        except (SourceChanged, duckdb.Error) as error:
            damage = _damaged(con, name, files)
            if damage is None:
                raise
            raise damage from error
        return found if source.location is None else of_extract(con, found, files[0])
    if kinds == {"csv"}:
        return describe(
            con, name, csv_reader.relation(f"The source table {name}", files), location, text=True
        )
    raise SourceChanged(
        f"The source table {name} cannot be read: by their names, the files of {location} are "
        f"{'both Parquet and CSV' if kinds == {'csv', 'parquet'} else 'neither Parquet nor CSV'}.",
        fix="Give files that end in .parquet or in .csv, and only one of these for a table.",
    )


def _files(source: SourceSettings, path: Path) -> tuple[Path, ...]:
    """The files of a table, in order."""
    if not _is_glob(path) and not path.is_dir():
        return (path,)
    base, pattern, found = _inside(path)
    if source.location is not None:
        return tuple(found)  # of an extract, for which they were chosen where they come from
    chosen = table_files(source.name, str(base), [one.relative_to(base) for one in found], pattern)
    return tuple(base / one for one in chosen)


def _inside(path: Path) -> tuple[Path, str, list[Path]]:
    """A folder, the pattern of a glob below it, and what is there, whatever its name."""
    first = _wildcard(path)
    if first is None:
        return path, "", sorted(one for one in path.rglob("*") if one.is_file())
    base, pattern = Path(*path.parts[:first]), str(Path(*path.parts[first:]))
    return base, pattern, sorted(base.glob(pattern))


def table_files(name: str, folder: str, below: Sequence[_Path], pattern: str = "") -> list[_Path]:
    """Those of the files in a folder that are the table's, on disk as in an object store.

    Of a whole folder, these are its Parquet files, or else its CSV files. Writers of lakes and
    programs that copy files keep what is theirs, or not complete, under names that begin with ``_``
    or a point, or end in something of their own. A glob that names such files means them.

    Args:
        name: The source table, for messages.
        folder: What messages call the folder.
        below: The files, by their paths below the folder.
        pattern: The glob that they match; empty for a folder.

    Raises:
        SourceChanged: a file that is not read may be a part of the table, by its name.
    """
    shown = [one for one in below if not _is_hidden(one, pattern)]
    files = [one for one in shown if _is_read(one, pattern)]
    parquet = [] if pattern else [one for one in files if _kind(one) == "parquet"]
    # Beside Parquet files, what may be CSV is no part of the table.
    ending = _PARQUET if parquet else _TABLE
    unclear = [
        one
        for one in shown
        if ending.search(one.name.lower())
        and not one.name.lower().endswith(_LEFTOVERS)
        and not _is_read(one, pattern)
    ]
    if unclear:
        others = f" (and {len(unclear) - 1:,} more)" if unclear[1:] else ""
        raise SourceChanged(
            f"The source table {name} cannot be read: {folder}/{unclear[0]}{others} may be a part "
            "of it, but files whose names end like this are not read.",
            fix="Write it as .parquet, .csv or .csv.gz. If it is not a part of the table, move it "
            "to another folder, or let its name begin with `_`.",
        )
    return parquet or files


def no_table_file(ignored: Sequence[PurePath]) -> str:
    """What a place lacks, and why the files that it has instead do not count."""
    if not ignored:
        return "has no Parquet or CSV file"
    return (
        f"has no Parquet or CSV file that counts: {len(ignored):,} ignored, such as "
        f"{ignored[0].name}, because names or folders begin with `_` or a point, or names end "
        "otherwise"
    )


def _is_hidden(below: PurePath, pattern: str) -> bool:
    """As Spark has it: ``_day=1`` is not hidden, but a partition by a column with such a name."""
    named = [part for part in pattern.split("/") if part.startswith(("_", "."))]
    return any(
        (part.startswith(".") or (part.startswith("_") and "=" not in part))
        and not any(fnmatchcase(part, one) for one in named)
        for part in below.parts
    )


def _is_read(file: PurePath, pattern: str) -> bool:
    """Whether the name ends like that of a table's file, or as the glob itself says."""
    given, wanted = file.name.lower(), pattern.rpartition("/")[2].lower()
    if given.endswith(_LEFTOVERS):
        return wanted.endswith(_LEFTOVERS)
    return given.endswith(SUFFIXES) or _LONGER.search(wanted) is not None


def _is_glob(path: Path) -> bool:
    return _wildcard(path) is not None


def _wildcard(path: Path) -> int | None:
    """The first part of a path that is a pattern, and not the name of something that is there."""
    magic = (n for n, part in enumerate(path.parts) if has_magic(part))
    return next((n for n in magic if not Path(*path.parts[: n + 1]).exists()), None)


def _kind(file: PurePath) -> str | None:
    if file.suffix.lower() in PARQUET:
        return "parquet"
    suffixes = {suffix.lower() for suffix in file.suffixes}
    return "csv" if suffixes & set(csv_reader.SUFFIXES) else None


def _literals(files: Sequence[Path]) -> str:
    return f"[{', '.join(file_literal(file) for file in files)}]"


def find_source(folder: Path, name: str, *, shared: bool = False) -> Path | None:
    """``NAME.parquet``, ``NAME.csv`` or the folder ``NAME/`` in a folder; None for none.

    In the ``shared`` folder of the source tables other endings count, too. In the folder of one
    table such a file is a part of it.
    """
    endings = (".parquet", ".csv", "", *(SUFFIXES if shared else ()))
    candidates = (folder / f"{name}{end}" for end in endings)
    return next((candidate for candidate in candidates if candidate.exists()), None)


def _path_of(source: SourceSettings) -> Path:
    given = source.path
    found = given
    if given is not None and given.is_dir():
        found = find_source(given, source.name, shared=source.shared)
    if found is None and given is not None and not source.shared and _is_one_table(given):
        found = given
    if found is not None and (found.exists() or _is_glob(found)):
        if _files(source, found):
            return found
        what = f"{found} {no_table_file(_inside(found)[2])}"
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
    """Whether a folder has the files of one table, and not all source tables."""
    return all(find_source(folder, name) is None for name in TABLES)


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


def _check_decimals(con: duckdb.DuckDBPyConnection, found: LocatedSource, files: str) -> None:
    """DuckDB 1.5 reads a wrong number where a decimal does not fill whole words of eight bytes."""
    wide = con.execute(
        f"SELECT name, precision FROM parquet_schema({files}) "
        "WHERE precision > 38 AND type_length::INTEGER % 8 <> 0 LIMIT 1"
    ).fetchone()
    if wide:
        raise SourceChanged(
            f"{found.title} has the column '{wide[0]}' as a decimal of {wide[1]} digits, which "
            "cannot be read.",
            fix="Write it as a decimal of at most 38 digits, or as a DOUBLE.",
        )


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
