"""The plan's snapshot as requests: streamed, in order, without what is already answered."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from braze_pipeline.braze.request import Body
from braze_pipeline.errors import NotBuilt
from braze_pipeline.plan.payload import HEAD, TAIL

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

T = TypeVar("T")

_ROWS: Final = 3_000
"""Rows that are read at a time: forty requests of 75, or three of 1,000."""

_AHEAD: Final = 3
"""How many times so many are read ahead, so that neither reader nor senders wait for each other."""

_BUFFER: Final = 1_000_000
"""Bytes of the file in memory at a time, for each column."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Neighbouring objects of one request of the plan.

    Attributes:
        request_no: The request's number in the plan.
        first: Position of the first object in that request.
        values: The objects as JSON, in Arrow, which makes no Python object of each.
        body: The request's body with these objects.
    """

    request_no: int
    first: int
    values: pa.BinaryArray
    body: Body

    @classmethod
    def of(cls, request_no: int, first: int, values: pa.BinaryArray) -> Batch:
        """The batch of these objects."""
        return cls(request_no, first, values, _body(values))

    def __len__(self) -> int:
        """The number of objects."""
        return len(self.values)

    def body_of(self, positions: Sequence[int]) -> Body:
        """A body with some of the objects."""
        if len(positions) == len(self.values):
            return self.body
        return _body(self.values.take(positions))

    def texts(self, position: int) -> list[str]:
        """All text values of an object."""
        found: list[Any] = [json.loads(self.values[position].as_py())]
        for one in found:  # it grows by what it contains
            if isinstance(one, dict):
                found += one.values()
            elif isinstance(one, list):
                found += one
        return [one for one in found if isinstance(one, str)]

    def part(self, first: int, count: int) -> Batch:
        """``count`` of its objects, from position ``first`` in this batch."""
        return Batch.of(self.request_no, self.first + first, self.values.slice(first, count))

    def parts(self, count: int) -> Iterator[Batch]:
        """The batch in parts of ``count`` objects; the last may have fewer."""
        for first in range(0, len(self), count):
            yield self.part(first, min(count, len(self) - first))

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two parts; it must have at least two objects."""
        middle = len(self) // 2
        return self.part(0, middle), self.part(middle, len(self) - middle)


def _body(values: pa.BinaryArray) -> Body:
    return Body(HEAD, b",".join(values.to_pylist()), TAIL)


def users_in(snapshot: Path) -> int:
    """The number of users in a snapshot.

    Raises:
        NotBuilt: the file is gone or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(snapshot).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(snapshot) from error


def batches(
    snapshot: Path, done: Mapping[int, Sequence[tuple[int, int]]]
) -> Generator[Batch, None, None]:
    """The requests of a snapshot, without the ranges that are answered.

    Raises:
        NotBuilt: the file is damaged, or its requests are not in order.
    """
    with closing(_requests(snapshot)) as requests:
        for whole in requests:
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


def _requests(snapshot: Path) -> Generator[Batch, None, None]:
    """Whole requests; a request that spans two pieces of the file is joined."""
    import pyarrow as pa

    last: Batch | None = None
    with closing(_read_ahead(_pieces(snapshot))) as pieces:
        for batch in chain.from_iterable(pieces):
            if last is None:
                last = batch
            elif batch.request_no == last.request_no:
                both = pa.concat_arrays([last.values, batch.values])
                last = Batch.of(last.request_no, 0, both)
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


def _read_ahead(pieces: Generator[T, None, None]) -> Generator[T, None, None]:
    """The same pieces; the next ones are read while this one is used."""
    with closing(pieces), ThreadPoolExecutor(1, "snapshot") as reader:
        following = deque(reader.submit(next, pieces, None) for _ in range(_AHEAD))
        try:
            while (piece := following.popleft().result()) is not None:
                following.append(reader.submit(next, pieces, None))
                yield piece
        finally:
            for one in following:
                one.cancel()


def _pieces(snapshot: Path) -> Generator[list[Batch], None, None]:
    for numbers, values in _arrow(snapshot):
        yield _runs(numbers, values)


def _runs(numbers: np.ndarray[Any, Any], values: pa.BinaryArray) -> list[Batch]:
    """Neighbors with equal numbers; their bodies are made in one operation."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    cuts = np.flatnonzero(np.diff(numbers)) + 1
    offsets = [0, *cuts.tolist(), len(numbers)]
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    joined = pc.binary_join(lists, b",")
    _, positions, text = joined.buffers()
    ends = np.frombuffer(positions, np.int32, len(joined) + 1, 4 * joined.offset).tolist()
    view = memoryview(text)
    return [
        Batch(
            int(numbers[start]),
            0,
            values.slice(start, end - start),
            Body(HEAD, view[first:last], TAIL),
        )
        for (start, end), (first, last) in zip(pairwise(offsets), pairwise(ends), strict=True)
    ]


def _arrow(snapshot: Path) -> Iterator[tuple[Any, pa.BinaryArray]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # By default the reader keeps all that it has read of the file in memory.
        with pq.ParquetFile(snapshot, pre_buffer=False, buffer_size=_BUFFER) as file:
            # Threads of its own cost more here than they bring: this one reads ahead already.
            for batch in file.iter_batches(
                batch_size=_ROWS, columns=["__request", "__object"], use_threads=False
            ):
                if batch.num_rows:
                    yield batch.column(0).to_numpy(), batch.column(1).cast(pa.binary())
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(snapshot) from error


def _unreadable(snapshot: Path) -> NotBuilt:
    return NotBuilt(
        f"The snapshot {snapshot.name} cannot be read.", fix="Materialize braze_plan again."
    )
