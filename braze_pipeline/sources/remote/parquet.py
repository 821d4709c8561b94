"""A stream of rows, written as one private Parquet file in its own order, with bounded memory.

Arrow's own writer is used: for the lines of a shop it takes about half of the CPU time that a
stream through DuckDB's ``COPY`` takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import SourceChanged

if TYPE_CHECKING:
    import pyarrow as pa

    from braze_pipeline.settings.places import Place

_NUMERIC_MAX: Final = 38
_TYPE_HEADER: Final = 4
"""Postgres adds four to the type modifier, for the header of a value."""
_GROUP_ROWS: Final = 122_880
_GROUP_BYTES: Final = 64 << 20
"""A row group ends at the first of these: enough to compress well, and little enough memory."""


def guarded(
    rows: pa.RecordBatchReader, errors: AbstractContextManager[None]
) -> pa.RecordBatchReader:
    """The same rows; ``errors`` translates what reading them raises, and nothing else."""
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        with errors:
            yield from rows

    return pa.RecordBatchReader.from_batches(rows.schema, batches())


def write(name: str, place: Place, rows: pa.RecordBatchReader, file: Path) -> None:
    """Write every row.

    Postgres's NUMERIC comes as text: with a precision it becomes that DECIMAL, without one a
    DOUBLE, as such a value has no bound that DECIMAL could keep.

    Raises:
        SourceChanged: a column has a type, or a value, that Parquet cannot keep.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = kept(name, place, rows.schema)
    try:
        writer = pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=False)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise _unkept(name, place, schema) from error
    with writer:
        for group in _groups(rows):
            arrays = (
                _converted(name, place, column, field)
                for column, field in zip(group.columns, schema, strict=True)
            )
            writer.write_table(pa.Table.from_arrays(list(arrays), schema=schema))


def _groups(rows: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """The batches in row groups: a stream may come in batches of a few rows."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    size = length = 0
    for batch in rows:
        waiting.append(batch)
        length += batch.num_rows
        size += batch.nbytes
        if length >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting, rows.schema)
            waiting, size, length = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting, rows.schema)


def kept(name: str, place: Place, schema: pa.Schema) -> pa.Schema:
    """The schema of the file: the types that the columns have where they come from.

    Raises:
        SourceChanged: two columns have one name, or a column has no type that can be kept.
    """
    import pyarrow as pa

    names = [field.name.lower() for field in schema]
    repeated = sorted({one for one in names if names.count(one) > 1})
    if repeated:
        raise SourceChanged(
            f"The source table {name} cannot be read from {place}: it has several columns named "
            f"{', '.join(repeated)}.",
            fix="Give each column a name of its own in `query:`.",
        )
    return pa.schema([_field(name, place, field) for field in schema])


def _field(name: str, place: Place, field: pa.Field) -> pa.Field:
    import pyarrow as pa

    facts = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    match facts.get("POSTGRESQL:type"):
        case "numeric":
            return pa.field(field.name, _numeric(int(facts.get("POSTGRESQL:typmod", "-1"))))
        case "money":
            # It comes as a whole number of cents, or of whatever the server's locale has.
            raise SourceChanged(
                f"The source table {name} cannot be read from {place}: the column {field.name} is "
                "of the type money, whose unit depends on the server's settings.",
                fix=f"Read it with `query:`, and convert it there: {field.name}::numeric(12, 2).",
            )
    return field


def _numeric(modifier: int) -> pa.DataType:
    import pyarrow as pa

    precision, scale = (modifier - _TYPE_HEADER) >> 16, (modifier - _TYPE_HEADER) & 0x7FF
    if modifier < _TYPE_HEADER or precision > _NUMERIC_MAX or scale > precision:
        return pa.float64()
    return pa.decimal128(precision, scale)


def _converted(name: str, place: Place, column: pa.ChunkedArray, field: pa.Field) -> pa.Array:
    import pyarrow as pa

    if column.type == field.type:
        return column
    text = pa.chunked_array([chunk.storage for chunk in column.chunks], pa.string())
    try:
        return text.cast(field.type)
    except pa.ArrowInvalid:
        raise SourceChanged(
            f"The source table {name} cannot be read from {place}: the column {field.name} has a "
            "value that is not a number, such as NaN.",
            fix=f"Replace it in `query:`, such as nullif({field.name}, 'NaN').",
        ) from None


def _unkept(name: str, place: Place, schema: pa.Schema) -> SourceChanged:
    """Which column it is: the library names the type alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def fits(field: pa.Field) -> bool:
        try:
            pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([field])).close()
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            return False
        return True

    unfit = [f"{field.name} ({field.type})" for field in schema if not fits(field)]
    return SourceChanged(
        f"The source table {name} cannot be read from {place}: columns have types that cannot be "
        f"kept: {', '.join(unfit)}.",
        fix="Read the table with `query:`, and leave them out or cast them to text there.",
    )
