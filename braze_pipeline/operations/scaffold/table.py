"""Where a table is, and what the values of its columns look like."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from braze_pipeline.errors import SourceChanged, UsageError
from braze_pipeline.operations.scaffold.names import ANSWERS
from braze_pipeline.settings import CUSTOMER, SourceSettings
from braze_pipeline.settings.places import Connection, Database, DatabaseType, Files
from braze_pipeline.settings.sources import is_remote, problem_of
from braze_pipeline.sources.places import locate
from braze_pipeline.sources.places.located import damaged_file
from braze_pipeline.sources.readings import FALSE_WORDS, TRUE_WORDS
from braze_pipeline.sources.remote.extract import extracted
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import family, literal, name_key, quote
from braze_pipeline.storage.warehouse import named_rows, single_row

if TYPE_CHECKING:
    import duckdb

LOOKED_AT: Final = 100_000
"""Rows that are looked at. The first ones of a table are enough to propose a mapping."""
_DATABASE: Final = re.compile(
    r"(?P<type>\w+):(?P<uri_env>[A-Z][A-Z0-9_]*):(?P<relation>[\w$.\"-]+)"
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the values of a column have in common; see ``columns.sql``.

    Attributes:
        filled: Values that are not empty.
        different: How many different ones.
        yes_no: All are words for yes and no, in the usual languages.
        answers: Which of these words there are.
    """

    filled: int = 0
    different: int = 0
    whole: bool = False
    zero_or_one: bool = False
    decimal: bool = False
    comma: bool = False
    boolean: bool = False
    yes_no: bool = False
    answers: tuple[str, ...] = ()
    iso_date: bool = False
    iso_time: bool = False
    year_last: bool = False
    day_first: bool = False
    day_second: bool = False
    has_email: bool = False
    phone: bool = False


@dataclass(frozen=True, kw_only=True)
class TableColumn:
    """A column of the table.

    Attributes:
        name: Its name in the table.
        alias: Its name in the SQL: lower case, and needs no quotes.
        type: Its DuckDB type.
        is_raw: Text of a CSV file, which has no types: numbers and dates are text there too.
        shape: What its values have in common.
    """

    name: str
    alias: str
    type: str
    is_raw: bool
    shape: Shape

    @property
    def sql(self) -> str:
        """The column as SQL names it: without quotes where it needs none."""
        return self.name if self.name in {self.alias, CUSTOMER} else quote(self.name)

    @property
    def family(self) -> str:
        """The family of its type (``sql_text.family``)."""
        return family(self.type)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that the configuration is made for.

    Attributes:
        name: Its name in the SQL.
        place: The keys of its entry under ``sources:``.
        connections: The entries under ``connections:`` that it needs.
        rows: The rows that were looked at.
        columns: In order.
    """

    name: str
    place: Mapping[str, str]
    connections: Mapping[str, Mapping[str, str]]
    rows: int
    columns: tuple[TableColumn, ...]


def look_at(given: str, folder: Path, *, project: Path, environ: Mapping[str, str]) -> Table:
    """What a table has; it is read, and nothing is kept of it.

    Args:
        given: A file, folder or glob of Parquet or CSV files, its address in an object store, or
            ``TYPE:VARIABLE:RELATION`` for a table of a database.
        folder: The folder of the ``defs.yaml`` that will name the table.
        project: A file inside it is named relative to ``folder``; any other where it is.
        environ: The environment, with the address of the database.

    Raises:
        UsageError: it is none of these.
        SourceError: it is not there, or cannot be read.
    """
    import duckdb

    name, place, connections, source = _place(given, folder.resolve(), project.resolve())
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect() as con:
        with extracted([source], Path(scratch) / "extract", environ=environ) as (sources, _):
            located = locate(con, sources[0])
            if located is None or not located.columns:
                raise SourceChanged(f"{given} has no columns.", fix="Give a table with a header.")
            listed = ", ".join(map(quote, located.columns))
            query = f"SELECT {listed} FROM {located.relation} LIMIT {LOOKED_AT}"
            try:
                con.execute(f"CREATE TEMP TABLE looked_at AS {query}")
            except duckdb.Error as error:
                raise damaged_file(name, located.location, error) from error
        shapes = _shapes(con)
        aliases = _aliases(con, list(located.columns))
        (rows,) = single_row(con, "SELECT count(*) FROM looked_at")
        columns = tuple(
            TableColumn(
                name=column,
                alias=aliases[column],
                type=type_,
                is_raw=located.text,
                shape=shapes.get(column, Shape()),
            )
            for column, type_ in located.columns.items()
        )
    return Table(name=name, place=place, connections=connections, rows=rows, columns=columns)


def _place(
    given: str, folder: Path, project: Path
) -> tuple[str, dict[str, str], dict[str, dict[str, str]], SourceSettings]:
    """The name, the keys under `sources:` and `connections:`, and how to read it now."""
    if database := _DATABASE.fullmatch(given):
        return _database(**database.groupdict())
    if problem := problem_of(given, remote=True):
        raise UsageError(f"--from: {problem}", fix="See docs/sources.md for what can be read.")
    stem = given.rstrip("/").rsplit("/", 1)[-1].split(".")[0]
    name = _table_name(stem.replace("*", ""))
    if is_remote(given):
        return name, {"path": given}, {}, SourceSettings(name=name, place=Files(url=given))
    path = Path(given).resolve()
    if not has_magic(given) and not path.exists():
        raise UsageError(
            f"--from: there is no file or folder {path}.",
            fix="Check the path. For a table of a database, write TYPE:VARIABLE:TABLE, such as "
            "postgres:WAREHOUSE_URI:marts.customers.",
        )
    # Inside the project the path goes with it; another place stays where it is.
    shown = os.path.relpath(path, folder) if path.is_relative_to(project) else str(path)
    return name, {"path": shown}, {}, SourceSettings(name=name, path=path)


def _database(
    type: str,  # noqa: A002 - the key of defs.yaml
    uri_env: str,
    relation: str,
) -> tuple[str, dict[str, str], dict[str, dict[str, str]], SourceSettings]:
    if type not in get_args(DatabaseType):
        raise UsageError(
            f"--from: {type!r} is not a type of database.",
            fix=f"Write TYPE:VARIABLE:TABLE, with one of {', '.join(get_args(DatabaseType))}.",
        )
    name = _table_name(relation.rsplit(".", 1)[-1].strip('"'))
    connection = Connection.model_validate({"name": "warehouse", "type": type, "uri_env": uri_env})
    query = f"SELECT * FROM {relation} LIMIT {LOOKED_AT}"
    return (
        name,
        {"connection": "warehouse", "relation": relation},
        {"warehouse": {"type": type, "uri_env": uri_env}},
        SourceSettings(name=name, place=Database(connection=connection, query=query)),
    )


def _shapes(con: duckdb.DuckDBPyConnection) -> dict[str, Shape]:
    sql = read_sql(
        "operations.scaffold",
        "columns",
        table="looked_at",
        booleans=f"{TRUE_WORDS}, {FALSE_WORDS}",
        answers=", ".join(map(literal, ANSWERS)),
    )
    rows: list[dict[str, Any]] = named_rows(con, sql)
    return {row.pop("name"): Shape(**row | {"answers": tuple(row["answers"])}) for row in rows}


def _table_name(stem: str) -> str:
    """A name that SQL needs no quotes for, and that has no contract of its own."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"\W+", "_", plain).strip("_")
    if not name or not name[0].isalpha():
        name = f"table_{name}".rstrip("_")
    return f"my_{name}"[:60] if name in TABLES else name[:60]


def _aliases(con: duckdb.DuckDBPyConnection, names: list[str]) -> dict[str, str]:
    """A name for each column that SQL needs no quotes for, each once."""
    reserved = {str(row[0]) for row in con.execute(
        "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'"
    ).fetchall()}  # fmt: skip
    aliases: dict[str, str] = {}
    # The name of the identifier's column is taken.
    taken = {CUSTOMER}
    for number, name in enumerate(names, 1):
        words = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", name)).strip("_").lower()
        alias = words or f"column_{number}"
        if alias[0].isdigit() or alias in reserved:
            alias = f"value_{alias}"
        unique, count = alias, 2
        while name_key(unique) in taken:
            unique, count = f"{alias}_{count}", count + 1
        taken.add(name_key(unique))
        aliases[name] = unique
    return aliases
