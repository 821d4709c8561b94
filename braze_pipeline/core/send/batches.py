"""The plan's snapshot as requests: streamed, in order, without what is answered already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.errors import LedgerError

if TYPE_CHECKING:
    import pyarrow as pa

HEAD: Final = b'{"attributes":['
TAIL: Final = b"]}"

_ROWS: Final = 15_000
"""Rows held at a time: two hundred requests of 75."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Neighbouring objects of one request of the plan.

    Attributes:
        request_no: The request's number in the plan.
        first: Position in it of the first object.
        objects: The objects, as JSON.
    """

    request_no: int
    first: int
    objects: tuple[bytes, ...]

    def part(self, first: int, count: int) -> Batch:
        """Some of its objects: ``count`` from the position ``first`` of this batch."""
        return Batch(self.request_no, self.first + first, self.objects[first : first + count])

    def halves(self) -> tuple[Batch, Batch]:
        """The same in two parts; for a batch of at least two objects."""
        middle = len(self.objects) // 2
        return self.part(0, middle), self.part(middle, len(self.objects) - middle)


def users_in(snapshot: Path) -> int:
    """How many users a snapshot holds."""
    import pyarrow.parquet as pq

    return int(pq.ParquetFile(snapshot).metadata.num_rows)


def batches(snapshot: Path, done: Mapping[int, Sequence[tuple[int, int]]]) -> Iterator[Batch]:
    """The requests of a snapshot, less the ranges that have their answer.

    Raises:
        LedgerError: the file is damaged, or its rows are not in the order of their numbers.
    """
    for request_no, first, objects in _requests(snapshot):
        for begin, end in _open_ranges(first, len(objects), done.get(request_no, ())):
            yield Batch(request_no, begin, tuple(objects[begin - first : end - first]))


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


def _requests(snapshot: Path) -> Iterator[tuple[int, int, list[bytes]]]:
    """Request number, its first index and its objects; a request over two batches is joined."""
    held: list[bytes] = []
    number = -1
    for found in _arrow(snapshot):
        numbers, objects = found
        for start, end in _runs(numbers):
            if numbers[start] == number:
                held += objects[start:end]
                continue
            if numbers[start] < number:
                raise LedgerError(
                    f"The snapshot {snapshot.name} is not in the order of its requests.",
                    fix="Materialize braze_plan again.",
                )
            if held:
                yield number, 0, held
            number, held = int(numbers[start]), objects[start:end]
    if held:
        yield number, 0, held


def _runs(numbers: Any) -> Iterator[tuple[int, int]]:  # noqa: ANN401 - a NumPy array
    """Start and end of each run of equal numbers."""
    import numpy as np

    cuts = np.flatnonzero(np.diff(numbers)) + 1
    starts = [0, *cuts.tolist()]
    ends = [*cuts.tolist(), len(numbers)]
    return zip(starts, ends, strict=True)


def _arrow(snapshot: Path) -> Iterator[tuple[Any, list[bytes]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(snapshot) as file:
            for batch in file.iter_batches(batch_size=_ROWS, columns=["__request", "__object"]):
                if batch.num_rows:
                    yield batch.column(0).to_numpy(), _bytes(batch.column(1))
    except (OSError, pa.ArrowException) as error:
        raise LedgerError(
            f"The snapshot {snapshot.name} cannot be read.", fix="Materialize braze_plan again."
        ) from error


def _bytes(column: pa.Array) -> list[bytes]:
    import pyarrow as pa

    return column.cast(pa.binary()).to_pylist()  # type: ignore[no-any-return]
