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
from braze_pipeline.settings.places import Database

if TYPE_CHECKING:
    import pyarrow as pa

    from braze_pipeline.settings.places import Place

_NUMERIC_MAX: Final = 38
_TYPE_HEADER: Final = 4
"""Postgres adds four to the type modifier, for the header of a value."""
_EXACT: Final = 1 << 53
"""Below it a DOUBLE keeps every whole number."""
_EPOCH_DAYS: Final = 10_957
"""Postgres counts from 2000-01-01, Arrow from 1970-01-01."""
_DAYS: Final = {"date": 1, "timestamp": 86_400_000_000, "timestamptz": 86_400_000_000}
"""Postgres's types that know ``infinity``, and how they count a day."""
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
    DOUBLE, as such a value has no bound that DECIMAL could keep. In a list it stays text. Its
    ``infinity`` becomes that of DuckDB.

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
        SourceChanged: there are no columns, two have one name, or one has no type that can be kept.
    """
    import pyarrow as pa

    names = [field.name.lower() for field in schema]
    if not names:
        raise SourceChanged(
            f"The source table {name} cannot be read from {place}: it has no columns.",
            fix="Name the columns to read in `query:`.",
        )
    repeated = sorted({one for one in names if names.count(one) > 1})
    if repeated:
        raise _refused(
            name,
            place,
            f"it has several columns named {', '.join(repeated)}",
            "give each column a name of its own",
        )
    return pa.schema([_field(name, place, field) for field in schema])


def empty(name: str, place: Place, schema: pa.Schema) -> pa.Table:
    """The columns of the file, without a row; raises as ``kept``."""
    import pyarrow as pa

    # Not `empty_table`, which cannot make a list of what Arrow knows as an extension (UUID, JSON).
    return pa.Table.from_batches([], kept(name, place, schema))


def _field(name: str, place: Place, field: pa.Field) -> pa.Field:
    import pyarrow as pa

    try:
        type_ = _type(field)
    except _UnfitError as unfit:
        raise _refused(
            name,
            place,
            f"the column {field.name} is of the type {unfit.type}{unfit.because}",
            f"convert it: {unfit.instead.format(field.name)}",
        ) from None
    return field if type_ == field.type else pa.field(field.name, type_)


class _UnfitError(Exception):
    """A type of Postgres whose values would be read wrong, and what to write instead."""

    def __init__(self, type_: str, instead: str = "{}::text", because: str = "") -> None:
        self.type, self.instead, self.because = type_, instead, because


def _type(field: pa.Field, *, listed: bool = False) -> pa.DataType:
    """The type that a column is kept as, or the elements of a list; raises ``_UnfitError``."""
    import pyarrow as pa

    facts = _facts(field)
    known = facts.get("POSTGRESQL:type", "")
    if pa.types.is_list(field.type):
        inner = _type(field.type.value_field, listed=True)
        return field.type if inner == field.type.value_type else pa.list_(inner)
    if known and pa.types.is_struct(field.type):
        raise _UnfitError(known, "to_jsonb({})")
    match known:
        case "numeric" if not listed:
            return _numeric(int(facts.get("POSTGRESQL:typmod", "-1")))
        case "money":
            # It comes as a whole number of cents, or of whatever the server's locale has.
            because = ", whose unit depends on the server's settings"
            raise _UnfitError(known, "{}::numeric(12, 2)", because)
        case "interval":
            raise _UnfitError(known)
        case "bytea":
            raise _UnfitError(known, "encode({}, 'hex')")
        case "citext" | "xml":
            return pa.string()
    if not isinstance(field.type, pa.OpaqueType):
        return field.type
    if field.type.storage_type != pa.string():
        # The database's own bytes, of a type that the driver does not know.
        raise _UnfitError(field.type.type_name)
    return pa.string()


def _numeric(modifier: int) -> pa.DataType:
    import pyarrow as pa

    precision, scale = (modifier - _TYPE_HEADER) >> 16, (modifier - _TYPE_HEADER) & 0x7FF
    if modifier < _TYPE_HEADER or precision > _NUMERIC_MAX or scale > precision:
        return pa.float64()
    return pa.decimal128(precision, scale)


def _converted(name: str, place: Place, column: pa.ChunkedArray, field: pa.Field) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type == field.type:
        return pa.chunked_array([_infinite(chunk, field) for chunk in column.chunks], field.type)
    try:
        numbers = column.cast(field.type)
    except pa.ArrowInvalid:
        number = field.type != pa.string()
        wrong = "not a number, such as NaN" if number else "not valid UTF-8"
        raise _refused(
            name,
            place,
            f"the column {field.name} has a value that is {wrong}",
            f"replace it, such as nullif({field.name}, 'NaN')" if number else "correct it",
        ) from None
    if pa.types.is_floating(field.type) and pc.any(_rounded(numbers)).as_py():
        raise _refused(
            name,
            place,
            f"the column {field.name} is a NUMERIC without a precision, and has a number above "
            "2^53, of which DOUBLE would change digits",
            f"convert it: {field.name}::text for an id, ::numeric(38, 0) for another whole number, "
            "::float8 if rounding is right",
        )
    return numbers


def _rounded(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.and_(pc.is_finite(numbers), pc.greater_equal(pc.abs(numbers), float(_EXACT)))


def _infinite(values: pa.Array, field: pa.Field) -> pa.Array:
    """The same values, with Postgres's ``infinity`` as DuckDB's.

    The driver adds the days between the epochs to the greatest and the least number, which mean
    infinity. The greatest overflows, and so do years that Arrow cannot count.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(field.type):
        items = _infinite(values.values, field.type.value_field)
        if items is values.values:
            return values
        return pa.ListArray.from_arrays(
            values.offsets, items, type=values.type, mask=values.is_null()
        )
    day = _DAYS.get(_facts(field).get("POSTGRESQL:type", ""))
    if day is None:
        return values
    whole = pa.int32() if pa.types.is_date(field.type) else pa.int64()
    numbers, greatest = values.cast(whole), (1 << whole.bit_width - 1) - 1
    least = _EPOCH_DAYS * day - greatest - 1
    if not pc.any(pc.less_equal(numbers, least)).as_py():
        return values
    numbers = pc.if_else(pc.less(numbers, least), pa.scalar(greatest, whole), numbers)
    numbers = pc.if_else(pc.equal(numbers, least), pa.scalar(-greatest, whole), numbers)
    return numbers.cast(field.type)


def _facts(field: pa.Field) -> dict[str, str]:
    """What the driver says of the column."""
    return {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}


def _refused(name: str, place: Place, why: str, fix: str) -> SourceChanged:
    """What the columns of a table are, or those of the brand's SQL, which has no ``query:``."""
    file = place.file if isinstance(place, Database) else None
    what, where = f"The source table {name}", "in `query:`"
    if file is not None:
        what, where = f"The result of {file}", "in the SQL"
    return SourceChanged(
        f"{what} cannot be read from {place}: {why}.", fix=f"{fix[0].upper()}{fix[1:]}, {where}."
    )


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
    return _refused(
        name,
        place,
        f"columns have types that cannot be kept: {', '.join(unfit)}",
        "leave them out or cast them to text",
    )
