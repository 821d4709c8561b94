"""The plan's rows, numbered into requests, as an immutable Parquet file.

The limits hold by construction: rows are numbered in runs of ``objects_per_request``; a run that
is too large in bytes is cut so that each part fits, and an object that fits no request never gets
here. A reader sees the whole file or none: it is written under another name, synced and renamed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline import private
from braze_pipeline.ledger.ledger import count
from braze_pipeline.plan.diff import STAGE
from braze_pipeline.plan.payload import FRAME_BYTES
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.warehouse import literal

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.ledger.layout import Column
    from braze_pipeline.settings import DestinationSettings

_USER = ("__user_id", "__as_of", "__reason", "__object", "__customer_id", "__member", "__known")
_ROWS = "__plan_rows"


def usable_bytes(destination: DestinationSettings) -> int:
    """The bytes of a request body that objects and their commas may take."""
    return destination.max_body_bytes - FRAME_BYTES


def write(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    destination: DestinationSettings,
    columns: Sequence[Column],
    *,
    where: str,
) -> None:
    """Write the rows of ``STAGE`` for which ``where`` holds."""
    private.folder(path.parent)
    values = [name for c in columns for name in (c.changed, c.new, c.old)]
    # Sent in full counts as such only if nothing was suppressed as older.
    staged = [*_USER, "(__full OR __new) AND NOT __stale AS __full", *values]
    names = ", ".join([*_USER, "__full", *values])
    size = destination.objects_per_request
    draft = path.with_suffix(".draft")
    source = _numbered_source(con, ", ".join(staged), where)
    _copy(
        con,
        f"SELECT (rowid // {size})::INTEGER AS __request, (rowid % {size})::INTEGER AS __index, "
        f"{names} FROM {source}",
        draft,
    )
    con.execute(f"DROP TABLE IF EXISTS {_ROWS}")
    limit = usable_bytes(destination)
    if _oversize(con, draft, limit):
        cut = path.with_suffix(".cut")
        source = f"read_parquet({literal(str(draft))})"
        _copy(con, read_sql("plan", "cut", source=source, limit=limit, names=names), cut)
        draft.unlink()
        cut.replace(draft)
    _sync(draft)
    draft.replace(path)
    _sync(path.parent)


def _numbered_source(con: duckdb.DuckDBPyConnection, selected: str, where: str) -> str:
    """What to number the rows of: row ids of a table just made are dense.

    A window function would number them too, but on one core. Where every staged row goes out, as
    on a first run, the stage itself will do.
    """
    if not count(con, f"SELECT count(*) FROM {STAGE} WHERE NOT ({where})"):
        return f"(SELECT rowid, {selected} FROM {STAGE})"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_ROWS} AS SELECT {selected} FROM {STAGE} WHERE {where}"
    )
    return _ROWS


def _copy(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    con.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet)")


def _oversize(con: duckdb.DuckDBPyConnection, path: Path, limit: int) -> int:
    return count(
        con,
        f"SELECT count(*) FROM (SELECT __request FROM read_parquet({literal(str(path))}) "
        f"GROUP BY __request HAVING sum(strlen(__object) + 1) > {limit})",
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
