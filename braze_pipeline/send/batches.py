"""The plan's snapshot as requests: streamed, in order, without what is already answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.errors import NotBuilt

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

HEAD: Final = b'{"attributes":['
TAIL: Final = b"]}"

_ROWS: Final = 15_000
"""Rows in memory at a time: two hundred requests of 75."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Neighbouring objects of one request of the plan.

    Attributes:
        request_no: The request's number in the plan.
        first: Position of the first object in that request.
        values: The objects as JSON, in Arrow, which makes no Python object of each.
        joined: The same objects joined by commas.
    """

    request_no: int
    first: int
    values: pa.BinaryArray
    joined: bytes

    def __len__(self) -> int:
        """The number of objects."""
        return len(self.values)

    @property
    def body(self) -> bytes:
        """The request's body."""
        return HEAD + self.joined + TAIL

    def body_of(self, positions: Sequence[int]) -> bytes:
        """A body with some of the objects."""
        if len(positions) == len(self.values):
            return self.body
        return HEAD + b",".join(self.values.take(positions).to_pylist()) + TAIL

    def part(self, first: int, count: int) -> Batch:
        """``count`` of its objects, from position ``first`` in this batch."""
        values = self.values.slice(first, count)
        return Batch(self.request_no, self.first + first, values, b",".join(values.to_pylist()))

    def parts(self, count: int) -> Iterator[Batch]:
        """The batch in parts of ``count`` objects; the last may have fewer."""
        for first in range(0, len(self), count):
            yield self.part(first, min(count, len(self) - first))

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two parts; it must have at least two objects."""
        middle = len(self) // 2
        return self.part(0, middle), self.part(middle, len(self) - middle)


def users_in(snapshot: Path) -> int:
    """The number of users in a snapshot."""
    import pyarrow.parquet as pq

    return int(pq.ParquetFile(snapshot).metadata.num_rows)


def batches(snapshot: Path, done: Mapping[int, Sequence[tuple[int, int]]]) -> Iterator[Batch]:
    """The requests of a snapshot, without the ranges that are answered.

    Raises:
        NotBuilt: the file is damaged, or its requests are not in order.
    """
    for whole in _requests(snapshot):
        for begin, end in _open_ranges(len(whole), done.get(whole.request_no, ())):
            yield whole if end - begin == len(whole) else whole.part(begin, end - begin)


def _open_ranges(count: int, done: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The ranges between those that are done."""
    at = 0
    for begin, length in sorted(done):
        if begin > at:
            yield at, begin
        at = max(at, begin + length)
    if at < count:
        yield at, count


def _requests(snapshot: Path) -> Iterator[Batch]:
    """Whole requests; a request that spans two pieces of the file is joined."""
    import pyarrow as pa

    last: Batch | None = None
    for numbers, values in _arrow(snapshot):
        for batch in _runs(numbers, values):
            if last is None:
                last = batch
            elif batch.request_no == last.request_no:
                both = pa.concat_arrays([last.values, batch.values])
                last = Batch(last.request_no, 0, both, last.joined + b"," + batch.joined)
            elif batch.request_no < last.request_no:
                raise NotBuilt(
                    f"The requests in the snapshot {snapshot.name} are not in order.",
                    fix="Materialize braze_plan again.",
                )
            else:
                yield last
                last = batch
    if last is not None:
        yield last


def _runs(numbers: np.ndarray[Any, Any], values: pa.BinaryArray) -> Iterator[Batch]:
    """Neighbors with equal numbers; their objects are joined in one operation."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    cuts = np.flatnonzero(np.diff(numbers)) + 1
    offsets = [0, *cuts.tolist(), len(numbers)]
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    joined = pc.binary_join(lists, b",").to_pylist()
    for start, end, text in zip(offsets, offsets[1:], joined, strict=False):
        yield Batch(int(numbers[start]), 0, values.slice(start, end - start), text)


def _arrow(snapshot: Path) -> Iterator[tuple[Any, pa.BinaryArray]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(snapshot) as file:
            for batch in file.iter_batches(batch_size=_ROWS, columns=["__request", "__object"]):
                if batch.num_rows:
                    yield batch.column(0).to_numpy(), batch.column(1).cast(pa.binary())
    except (OSError, pa.ArrowException) as error:
        raise NotBuilt(
            f"The snapshot {snapshot.name} cannot be read.", fix="Materialize braze_plan again."
        ) from error
