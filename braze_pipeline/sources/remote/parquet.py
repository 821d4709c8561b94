"""A stream of rows, written as one private Parquet file in its own order, with bounded memory.

Arrow's own writer is used: for the lines of a shop it takes about half of the CPU time that a
stream through DuckDB's ``COPY`` takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import SourceChanged
from braze_pipeline.settings.places import Database
from braze_pipeline.sources.places.located import LEFT_OUT, left_out_error

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
_UNREADABLE: Final = {"record", "_record"}
"""Rows without a type of their own: the driver stops at the first."""
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

    A column with a type or a value that cannot be kept as it is, is left out, and the file says
    why: who does not use it is not stopped, and who uses it is told (``located``).

    Raises:
        SourceChanged: there are no columns, or two have one name; a column cannot be kept, and is
            of the brand's own SQL.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, left_out = _kept(name, place, rows.schema)
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=False) as writer:
        for group in _groups(rows):
            arrays = []
            for field in schema:
                try:
                    if field.name not in left_out:
                        arrays.append(_converted(group.column(field.name), field))
                        continue
                except _UnfitError as unfit:
                    left_out[field.name] = _left_out(name, place, field.name, unfit)
                arrays.append(pa.nulls(group.num_rows, field.type))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        writer.add_key_value_metadata({LEFT_OUT: json.dumps(left_out)})


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


def _kept(name: str, place: Place, schema: pa.Schema) -> tuple[pa.Schema, dict[str, str]]:
    """The columns of the file, and why others are left out; raises as ``write``."""
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
    fields, left_out = [], {}
    for field in schema:
        try:
            fields.append(_field(field))
        except _UnfitError as unfit:
            if _facts(field).get("POSTGRESQL:type") in _UNREADABLE:
                why = f"the column {field.name} {unfit.why}, which the driver cannot read"
                raise _refused(name, place, why, unfit.instead.format(field.name)) from None
            left_out[field.name] = _left_out(name, place, field.name, unfit)
    if not fields:
        raise left_out_error(next(iter(left_out.values())))
    return pa.schema(fields), left_out


def empty(name: str, place: Place, schema: pa.Schema) -> pa.Table:
    """The columns of the file, without a row; raises as ``write``."""
    import pyarrow as pa

    # Not `empty_table`, which cannot make a list of what Arrow knows as an extension (UUID, JSON).
    return pa.Table.from_batches([], _kept(name, place, schema)[0])


def _left_out(name: str, place: Place, column: str, unfit: _UnfitError) -> str:
    """Why a column is left out, and how to have it, on two lines; raises as ``write``."""
    instead = unfit.instead.format(column)
    if isinstance(place, Database) and place.file is not None:
        raise _refused(name, place, f"the column {column} {unfit.why}", instead) from None
    where = "in `query:`"
    if isinstance(place, Database) and place.relation is not None:
        where += ", in place of `relation:`"
    return (
        f"The column {column} of the source table {name} ({place}) is left out, because it "
        f"{unfit.why}.\nIf you need it, {instead}, {where}."
    )


def _field(field: pa.Field) -> pa.Field:
    """The column as it is kept; raises ``_UnfitError``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    type_ = _type(field)
    kept = field if type_ == field.type else pa.field(field.name, type_)
    try:
        pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([kept])).close()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise _unfit(str(field.type)) from error
    return kept


class _UnfitError(Exception):
    """A column that would be read wrong: why, and what to write instead, with ``{}`` for it."""

    def __init__(self, why: str, instead: str) -> None:
        self.why, self.instead = why, instead


def _unfit(type_: str, conversion: str = "{}::text", because: str = "") -> _UnfitError:
    """By its type, as the database calls it, or as the driver does that does not know it."""
    unknown = re.fullmatch(r"unnamed<oid:(\d+)>", type_)
    named = f"a type that the driver does not know (oid {unknown[1]})" if unknown else ""
    return _UnfitError(
        f"is of {named or f'the type {type_}'}{because}", f"convert it: {conversion}"
    )


def _type(field: pa.Field, *, listed: bool = False) -> pa.DataType:
    """The type that a column is kept as, or the elements of a list; raises ``_UnfitError``."""
    import pyarrow as pa

    facts = _facts(field)
    known = facts.get("POSTGRESQL:type", "")
    if pa.types.is_list(field.type):
        inner = _type(field.type.value_field, listed=True)
        return field.type if inner == field.type.value_type else pa.list_(inner)
    if known and pa.types.is_struct(field.type):
        raise _unfit(known, "to_jsonb({})")
    match known:
        case "numeric" if not listed:
            return _numeric(int(facts.get("POSTGRESQL:typmod", "-1")))
        case "money":
            # It comes as a whole number of cents, or of whatever the server's locale has.
            because = ", whose unit depends on the server's settings"
            raise _unfit(known, "{}::numeric(12, 2)", because)
        case "interval":
            raise _unfit(known)
        case "bytea":
            raise _unfit(known, "encode({}, 'hex')")
        case "citext" | "xml":
            return pa.string()
    if not isinstance(field.type, pa.OpaqueType):
        return field.type
    if field.type.storage_type != pa.string():
        # The database's own bytes, of a type that the driver does not know.
        raise _unfit(field.type.type_name)
    return pa.string()


def _numeric(modifier: int) -> pa.DataType:
    import pyarrow as pa

    precision, scale = (modifier - _TYPE_HEADER) >> 16, (modifier - _TYPE_HEADER) & 0x7FF
    if modifier < _TYPE_HEADER or precision > _NUMERIC_MAX or scale > precision:
        return pa.float64()
    return pa.decimal128(precision, scale)


def _converted(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """The values as they are kept; raises ``_UnfitError``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type == field.type:
        return pa.chunked_array([_infinite(chunk, field) for chunk in column.chunks], field.type)
    try:
        numbers = column.cast(field.type)
    except pa.ArrowInvalid:
        if field.type == pa.string():
            raise _UnfitError("has a value that is not valid UTF-8", "correct it") from None
        raise _UnfitError(
            "has a value that is not a number, such as NaN", "replace it, such as nullif({}, 'NaN')"
        ) from None
    if pa.types.is_floating(field.type) and pc.any(_rounded(numbers)).as_py():
        raise _UnfitError(
            "is a NUMERIC without a precision, and has a number above 2^53, of which DOUBLE would "
            "change digits",
            "convert it: {}::text for an id, ::numeric(38, 0) for another whole number, ::float8 "
            "if rounding is right",
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
