"""What the journal says of a send or a plan, as temporary tables beside the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from braze_pipeline.storage import journal
from braze_pipeline.storage.warehouse import registered

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

RANGES = "__journal_ranges"
REFUSED = "__journal_refused"
ANSWERED = "__journal_answered"
ANSWERED_REFUSED = "__journal_answered_refused"
BEGUN = "__journal_begun"

_RANGE = ("request_no", "first_index", "count")


def load(con: duckdb.DuckDBPyConnection, path: Path, send: journal.Send) -> None:
    """Bring a send's rows over, as the temporary tables ``RANGES`` and ``REFUSED``."""
    ranges = journal.ranges_of(path, send.send_id)
    _table(con, RANGES, _RANGE, ranges, {"acknowledged_at": _utc})
    refused = journal.refusals_of(path, send.send_id)
    _table(
        con, REFUSED, ("request_no", "object_index", "status"), refused,
        {"error": str, "attempt": int},
    )  # fmt: skip


def load_answered(con: duckdb.DuckDBPyConnection, path: Path, plan_id: str) -> None:
    """What all sends of a plan together brought.

    ``ANSWERED``: ranges that have their answer; ``ANSWERED_REFUSED``: objects of them refused, with
    the attempt (see ``journal.Acknowledgement``) and the start of the send. ``BEGUN``: the last
    request that each send began, NULL if that is not known, and its start.
    """
    _table(con, BEGUN, ("request_no",), journal.begun(path, plan_id), {"started_at": str})
    _table(con, ANSWERED, _RANGE, journal.answered(path, plan_id), {})
    refused = journal.refused(path, plan_id)
    _table(
        con, ANSWERED_REFUSED, ("request_no", "object_index", "attempt"), refused,
        {"started_at": str},
    )  # fmt: skip


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    utc = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return utc.replace(microsecond=0)


def _table(
    con: duckdb.DuckDBPyConnection,
    name: str,
    integers: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    rest: dict[str, Any],
) -> None:
    import pyarrow as pa

    types = {_utc: pa.timestamp("us"), str: pa.string(), int: pa.int32()}
    columns = list(zip(*rows, strict=True)) or [()] * (len(integers) + len(rest))
    arrays = {n: pa.array(c, pa.int32()) for n, c in zip(integers, columns, strict=False)}
    for (n, read), values in zip(rest.items(), columns[len(integers) :], strict=True):
        read_values = [None if v is None else read(v) for v in values]
        arrays[n] = pa.array(read_values, types[read])
    with registered(con, "__journal_arrow", pa.table(arrays)):
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM __journal_arrow")
