"""The plan's rows, numbered into requests, as an immutable Parquet file.

The limits hold by construction: rows are numbered in runs of as many objects as the endpoint takes
in a request; a run that is too large in bytes is cut so that each part fits, and an object that
fits no request never gets here. A reader sees the whole file or none: it is written under another
name, synced and renamed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline import private
from braze_pipeline.braze.track_endpoints import LARGE_PLAN, TrackEndpoint
from braze_pipeline.plan.diff import STAGE
from braze_pipeline.plan.payload import FRAME_BYTES
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import file_literal, literal
from braze_pipeline.storage.warehouse import arrow_batches

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    from braze_pipeline.ledger.layout import Column

    _Place = tuple[pa.Array, pa.Array]

_USER = ("__user_id", "__as_of", "__reason", "__object", "__customer_id", "__member", "__known")
_STAGED = (
    "__user_id", "__customer_id", "__as_of", "__present", "__evaluated", "__advances", "__stale",
    "__send", "__suppressed",
)  # fmt: skip
_UNFINISHED = (".draft", ".staged", ".cut")
"""Endings of the files that become a snapshot, or are gone when it is there."""
_ROWS = 20_480
"""Rows of a batch, two of which are in memory, and of a row group of the file: about 25 MB with 20
attributes."""


def write(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    query: str,
    endpoints: tuple[TrackEndpoint, TrackEndpoint],
    columns: Sequence[Column],
) -> TrackEndpoint:
    """Write the rows of ``query`` (see ``diff.stage``) that are sent; all go into ``STAGE``.

    The rows stream through, so that memory does not grow with the plan. ``STAGE`` has no values.

    Args:
        con: The database.
        path: The file to write.
        query: The rows.
        endpoints: The endpoint of a small plan and of a large one (``endpoints_for_plan``).
        columns: The attributes.

    Returns:
        The endpoint that the requests are made for.
    """
    private.folder(path.parent)
    values = [name for c in columns for name in (c.changed, c.new, c.old)]
    # Sent in full counts as such only if nothing was suppressed as older.
    full = "(__full OR __new) AND NOT __stale AS __full"
    names = [*_USER, "__full", *values]
    rest = [name for name in _STAGED if name not in _USER]
    goes = "__send AND __suppressed IS NULL AS __goes"
    selected = ", ".join([*_USER, full, *values, *rest, goes])
    draft, staged, cut = (path.with_suffix(suffix) for suffix in _UNFINISHED)
    try:
        sent = _write(con, f"SELECT {selected} FROM ({query})", draft, staged, names, endpoints)
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {STAGE} AS FROM read_parquet({file_literal(staged)})"
        )
    finally:
        staged.unlink(missing_ok=True)
    limit = sent.endpoint.body_bytes - FRAME_BYTES
    if sent.largest > limit:
        source = f"read_parquet({file_literal(draft)})"
        _copy(con, read_sql("plan", "cut", source=source, limit=limit, names=", ".join(names)), cut)
        draft.unlink()
        cut.replace(draft)
    _sync(draft)
    draft.replace(path)
    _sync(path.parent)
    return sent.endpoint


def remove_unfinished(folder: Path, template: str = "") -> None:
    """Remove what killed processes left of a template's snapshots, or of all.

    The database must be open for writing: no other process writes a snapshot then.
    """
    for suffix in _UNFINISHED:
        for path in folder.glob(f"{template}-*{suffix}" if template else f"*{suffix}"):
            path.unlink(missing_ok=True)


def _write(
    con: duckdb.DuckDBPyConnection,
    query: str,
    draft: Path,
    staged: Path,
    names: Sequence[str],
    endpoints: tuple[TrackEndpoint, TrackEndpoint],
) -> _Requests:
    """Number the rows that go, as they come.

    Here, where all rows pass one place: DuckDB could number them in a table of its own, which needs
    memory for the whole plan, or on one core. The order of the join is not the order of a table,
    and need not be.
    """
    import pyarrow as pa

    with ExitStack() as files, arrow_batches(con, query, rows=_ROWS) as rows:
        sent = _Requests(endpoints, large=LARGE_PLAN)
        schema = pa.schema(
            [
                pa.field("__request", pa.int32()),
                pa.field("__index", pa.int32()),
                *map(rows.schema.field, names),
            ]
        )
        to_draft = files.enter_context(snapshot_writer(draft, schema))
        to_staged = files.enter_context(
            snapshot_writer(staged, pa.schema(map(rows.schema.field, _STAGED)))
        )
        for batch in _ahead(rows):
            to_staged.write_batch(batch.select(_STAGED))
            goes = batch["__goes"]
            if goes.true_count:
                # Filtering copies the rows: on a first night there is nothing to leave out.
                all_go = goes.true_count == len(batch)
                going = (batch if all_go else batch.filter(goes)).select(names)
                for place, rows_of_it in sent.number(going):
                    to_draft.write_batch(
                        pa.record_batch([*place, *rows_of_it.columns], schema=schema)
                    )
        for place, rows_of_it in sent.end():
            to_draft.write_batch(pa.record_batch([*place, *rows_of_it.columns], schema=schema))
    return sent


def _ahead(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches, each of which is computed while the one before is written."""
    with ThreadPoolExecutor(1, "reading") as reader:
        coming = reader.submit(next, rows, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, rows, None)
            yield batch


def snapshot_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of a plan's files.

    Without dictionaries, and statistics of the numbers alone: half the time, and 2 % more bytes.
    Nearly all of the file is objects, no two of which are equal. LZ4 is read in less than half the
    time of Snappy, at the same size.
    """
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        private.file(path),
        schema,
        use_dictionary=False,
        write_statistics=["__request"],
        compression="lz4",
    )


class _Requests:
    """Numbers objects into requests; ``largest`` is the most bytes any of them has.

    Each object counts with its comma. The first rows wait until it is known whether the plan is
    large, which decides the endpoint.
    """

    def __init__(self, endpoints: tuple[TrackEndpoint, TrackEndpoint], *, large: int) -> None:
        self.endpoint, self._for_large = endpoints
        self._waiting: list[pa.RecordBatch] = []
        self._wait_for = large if self.endpoint != self._for_large else 0
        self._rows = 0
        self._last = 0
        self.largest = 0

    def number(self, rows: pa.RecordBatch) -> Iterator[tuple[_Place, pa.RecordBatch]]:
        """Request and index of the next rows, and of those that waited."""
        if not self._wait_for:
            yield self._place(rows["__object"]), rows
            return
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= self._wait_for:
            self.endpoint = self._for_large
            yield from self.end()

    def end(self) -> Iterator[tuple[_Place, pa.RecordBatch]]:
        """The rows that still wait."""
        self._wait_for = 0
        for rows in self._waiting:
            yield self._place(rows["__object"]), rows
        self._waiting = []

    def _place(self, objects: pa.StringArray) -> _Place:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        size = self.endpoint.objects
        request, index = np.divmod(np.arange(self._rows, self._rows + len(objects)), size)
        sizes = np.bincount(request - request[0], weights=pc.binary_length(objects).to_numpy() + 1)
        if index[0]:  # the request began in the objects before
            sizes[0] += self._last
        self._rows += len(objects)
        self._last = int(sizes[-1])
        self.largest = max(self.largest, int(sizes.max()))
        return pa.array(request, pa.int32()), pa.array(index, pa.int32())


def _copy(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    con.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet)")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
