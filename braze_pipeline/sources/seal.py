"""A separate DuckDB for the brand's SQL, with the source tables and nothing else.

Whoever writes the SQL decides what goes to Braze, and must not be able to send what they may not
read: a file of the machine, another brand's rows, the ledger. So the SQL runs in memory, apart from
the warehouse, and once the sources are attached DuckDB opens no other file, loads no extension and
accepts no settings (DuckDB docs, "Securing DuckDB"). Checks of the SQL's text are in `reach`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import SourceChanged
from braze_pipeline.sources.attach import SourceInfo, attach_sources
from braze_pipeline.storage.sql_text import file_literal, literal, quote
from braze_pipeline.storage.warehouse import columns, prepare, resource_errors

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings

BUILT: Final = "built"
"""The database for the results of the brand's SQL, in a file of ``scratch``."""


@contextmanager
def sealed(
    sources: Sequence[SourceSettings], *, time_zone: str, scratch: Path
) -> Iterator[tuple[duckdb.DuckDBPyConnection, tuple[SourceInfo, ...]]]:
    """A connection with the sources, and the database ``BUILT`` to put results in.

    Args:
        sources: See ``attach_sources``, also for the errors.
        time_zone: Likewise.
        scratch: An empty private folder, for the results and for what does not fit in memory.

    Raises:
        SourceChanged: a view of a source's database reads files of its own.
        DiskFull: no room is left beside ``scratch``.
        OutOfMemory: a statement needs more memory than DuckDB may use.
    """
    import duckdb

    with resource_errors(scratch), duckdb.connect() as con:
        prepare(con)
        con.execute(f"SET temp_directory = {literal(str(scratch / 'spilt'))}")
        # Only this DuckDB reads the file, and the newest format is written in a quarter less time.
        con.execute(f"ATTACH {_file(scratch)} AS {BUILT} (STORAGE_VERSION 'latest')")
        infos = attach_sources(con, sources, time_zone=time_zone)
        _seal(con, infos)
        yield con, infos


def attach_built(con: duckdb.DuckDBPyConnection, scratch: Path) -> None:
    """Attach the results to another connection, once the sealed one is closed."""
    con.execute(f"ATTACH {_file(scratch)} AS {BUILT} (READ_ONLY)")


def _file(scratch: Path) -> str:
    """The file of the database ``BUILT``, as a SQL literal."""
    return literal(str(scratch / f"{BUILT}.duckdb"))


def _seal(con: duckdb.DuckDBPyConnection, sources: Sequence[SourceInfo]) -> None:
    """From here on, only files that the views of the sources open can be read."""
    import duckdb

    opens = [path for source in sources for path in source.opens]
    folders = [path for path in opens if path.is_dir()]
    files = [path for path in opens if path not in folders]
    for setting, paths in (("allowed_directories", folders), ("allowed_paths", files)):
        # A file is checked twice: as it is written in the view, and as it is found.
        listed = ", ".join(f"{literal(str(path))}, {file_literal(path)}" for path in paths)
        con.execute(f"SET {setting} = [{listed}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    for source in sources:
        try:
            columns(con, f"temp.{quote(source.name)}")
        except duckdb.PermissionException as error:
            raise SourceChanged(
                f"The source table {source.name} ({source.location}) is a view that reads files "
                "of its own, and these are out of reach.",
                fix="Make it a table, or give the files under `path:` in defs.yaml.",
            ) from error
