"""A place: a table or view in another DuckDB database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.errors import DatabaseLocked, SourceChanged, SourceMissing
from braze_pipeline.sources.places.located import LocatedSource, describe
from braze_pipeline.storage.sql_text import literal, name_key, quote
from braze_pipeline.user_input import did_you_mean

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings


def locate(con: duckdb.DuckDBPyConnection, source: SourceSettings) -> LocatedSource:
    """Attach the database of a source, and find its table or view there.

    Raises:
        SourceMissing: the database, or the table or view in it, is not there.
        SourceChanged: the database or the view cannot be read.
        DatabaseLocked: another process writes the database.
    """
    database, relation = source.database, source.relation or source.name
    if database is None or not database.is_file():
        raise SourceMissing(
            f"The source table {source.name} is not there: there is no database {database}.",
            fix=f"Fix `sources: {source.name}: database:` in defs.yaml.",
        )
    alias = _attach(con, source.name, database)
    schema, _, name = relation.rpartition(".")
    schema = schema or "main"
    relations = con.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = $db "
        "UNION ALL SELECT schema_name || '.' || view_name FROM duckdb_views() "
        "WHERE database_name = $db AND NOT internal ORDER BY ALL",
        {"db": alias},
    ).fetchall()
    names = {name_key(found): found for (found,) in relations}
    if name_key(f"{schema}.{name}") not in names:
        raise SourceMissing(
            f"The source table {source.name} is not there: {database} has no table or view "
            f"{relation}.{did_you_mean(f'{schema}.{name}', names.values())}",
            fix=f"Fix `sources: {source.name}: relation:` in defs.yaml.",
        )
    qualified = ".".join(quote(part) for part in (alias, schema, name))
    return describe(con, source.name, qualified, f"{relation} in {database}")


def _attach(con: duckdb.DuckDBPyConnection, name: str, database: Path) -> str:
    """The alias of a database, attached read-only unless it is attached already.

    DuckDB opens a file once per process: several tables of one file share it, also with the
    pipeline's own database.
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
                f"Another process is writing to {database}, which holds the source table {name}.",
                fix="Wait until it has finished and run again, or give a copy or an export of the "
                "table.",
            ) from error
        raise SourceChanged(
            f"The source table {name} cannot be read: {database} is not a DuckDB file that this "
            "version can open.",
            fix=f"Fix `sources: {name}: database:` in defs.yaml, or export the table as Parquet.",
        ) from error
    return alias
