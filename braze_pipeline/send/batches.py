"""The plan's snapshot as requests: streamed, in order, without what is answered already."""

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
"""Rows held at a time: two hundred requests of 75."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Neighbouring objects of one request of the plan.

    Attributes:
        request_no: The request's number in the plan.
        first: Position in it of the first object.
        values: The objects, as JSON: Arrow's, so that no Python object is made of each.
        joined: The same with commas between them.
    """

    request_no: int
    first: int
    values: pa.BinaryArray
    joined: bytes

    def __len__(self) -> int:
        """How many objects."""
        return len(self.values)

    @property
    def body(self) -> bytes:
        """The request's body."""
        return HEAD + self.joined + TAIL

    def body_of(self, positions: Sequence[int]) -> bytes:
        """A body of some of the objects."""
        if len(positions) == len(self.values):
            return self.body
        return HEAD + b",".join(self.values.take(positions).to_pylist()) + TAIL

    def part(self, first: int, count: int) -> Batch:
        """Some of its objects: ``count`` from the position ``first`` of this batch."""
        values = self.values.slice(first, count)
        return Batch(self.request_no, self.first + first, values, b",".join(values.to_pylist()))

    def halves(self) -> tuple[Batch, Batch]:
        """The same in two parts; for a batch of at least two objects."""
        middle = len(self) // 2
        return self.part(0, middle), self.part(middle, len(self) - middle)


def users_in(snapshot: Path) -> int:
    """How many users a snapshot holds."""
    import pyarrow.parquet as pq

    return int(pq.ParquetFile(snapshot).metadata.num_rows)


def batches(snapshot: Path, done: Mapping[int, Sequence[tuple[int, int]]]) -> Iterator[Batch]:
    """The requests of a snapshot, less the ranges that have their answer.

    Raises:
        NotBuilt: the file is damaged, or its rows are not in the order of their numbers.
    """
    for whole in _requests(snapshot):
        for begin, end in _open_ranges(0, len(whole), done.get(whole.request_no, ())):
            yield whole if end - begin == len(whole) else whole.part(begin, end - begin)


def _open_ranges(
    first: int, count: int, done: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """What lies between the ranges that are done."""
    at = first
    for begin, length in sorted(done):
        if begin > at:
            yield at, min(begin, first + count)
        at = max(at, begin + length)
    if at < first + count:
        yield at, first + count


def _requests(snapshot: Path) -> Iterator[Batch]:
    """Whole requests; one that lies over two pieces of the file is joined."""
    import pyarrow as pa

    held: Batch | None = None
    for numbers, values in _arrow(snapshot):
        for found in _runs(numbers, values):
            if held is not None and found.request_no == held.request_no:
                both = pa.concat_arrays([held.values, found.values])
                held = Batch(held.request_no, 0, both, held.joined + b"," + found.joined)
                continue
            if held is not None:
                if found.request_no < held.request_no:
                    raise NotBuilt(
                        f"The snapshot {snapshot.name} is not in the order of its requests.",
                        fix="Materialize braze_plan again.",
                    )
                yield held
            held = found
    if held is not None:
        yield held


def _runs(numbers: np.ndarray[Any, Any], values: pa.BinaryArray) -> Iterator[Batch]:
    """Neighbours with equal numbers, their objects joined all at once."""
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
