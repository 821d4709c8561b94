"""Where source tables can be read from, one small module for each kind of place.

A place is a function ``locate(con, source)`` that finds a table there and describes it as a
`LocatedSource`, or raises ``SourceMissing``. To add a place, write such a module and choose it in
`locate`. How columns are read and checked is the same for all places (`attach`, `readings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.errors import SourceMissing
from braze_pipeline.sources.places import duckdb_file, files

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import SourceSettings
    from braze_pipeline.sources.places.located import LocatedSource


def locate(con: duckdb.DuckDBPyConnection, source: SourceSettings) -> LocatedSource | None:
    """Find a source table; None when it is optional and not there.

    Raises:
        SourceMissing: it is not there.
        SourceChanged: it is there and cannot be read.
        DatabaseLocked: another process writes the database that it is in.
    """
    find = files.locate if source.database is None else duckdb_file.locate
    try:
        return find(con, source)
    except SourceMissing:
        if source.optional:
            return None
        raise
