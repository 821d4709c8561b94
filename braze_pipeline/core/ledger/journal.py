"""Reading what a send acknowledged out of the journal (SQLite, written by ``core.journal``)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braze_pipeline.core.warehouse import registered
from braze_pipeline.errors import LedgerError

if TYPE_CHECKING:
    import duckdb

RANGES = "__fold_ranges"
REFUSED = "__fold_refused"
ANSWERED = "__fold_answered"
ANSWERED_REFUSED = "__fold_answered_refused"


@dataclass(frozen=True, kw_only=True)
class Send:
    """One send that is not folded yet.

    Attributes:
        started_at: As the journal has it; tells it from a send of an earlier journal file.
        ended: Nothing more will be acknowledged under it.
        done: Every object of the plan has its final answer.
    """

    send_id: int
    plan_id: str
    run_id: str
    started_at: str
    ended: bool
    done: bool


def unfolded(path: Path, destination: str) -> list[Send]:
    """The sends of a destination that are not wholly in the ledger yet, in order.

    Raises:
        LedgerError: the journal is not a SQLite file of ours.
    """
    if not path.exists():
        return []
    rows = _read(
        path,
        "SELECT send_id, plan_id, run_id, started_at, ended_at IS NOT NULL, status = 'done' "
        "FROM sends WHERE destination = ? AND folded_at IS NULL ORDER BY send_id",
        destination,
    )
    return [
        Send(
            send_id=send_id, plan_id=plan_id, run_id=run_id, started_at=started_at,
            ended=bool(ended), done=bool(done),
        )
        for send_id, plan_id, run_id, started_at, ended, done in rows
    ]  # fmt: skip


def acknowledged(path: Path, destination: str) -> list[tuple[str, int, str]]:
    """Plan, number and start of each send of a destination that brought any acknowledgement."""
    if not path.exists():
        return []
    return _read(
        path,
        "SELECT plan_id, send_id, started_at FROM sends WHERE destination = ? AND send_id IN "
        "(SELECT send_id FROM acknowledgements)",
        destination,
    )


def load(con: duckdb.DuckDBPyConnection, path: Path, send: Send) -> None:
    """Bring a send's rows over, as the temporary tables ``RANGES`` and ``REFUSED``."""
    ranges = _read(
        path,
        "SELECT request_no, first_index, count, acknowledged_at FROM acknowledgements "
        "WHERE send_id = ?",
        send.send_id,
    )
    refused = _read(
        path,
        "SELECT request_no, object_index, status, error, attempt FROM refusals WHERE send_id = ?",
        send.send_id,
    )
    _table(con, RANGES, ("request_no", "first_index", "count"), ranges, {"acknowledged_at": _utc})
    _table(
        con, REFUSED, ("request_no", "object_index", "status"), refused,
        {"error": str, "attempt": int},
    )  # fmt: skip


def load_answered(con: duckdb.DuckDBPyConnection, path: Path, plan_id: str) -> None:
    """What all sends of a plan together brought.

    ``ANSWERED``: ranges that have their answer; ``ANSWERED_REFUSED``: objects of them refused.
    """
    ranges = _read(
        path,
        "SELECT request_no, first_index, count FROM acknowledgements JOIN sends USING (send_id) "
        "WHERE plan_id = ?",
        plan_id,
    )
    _table(con, ANSWERED, ("request_no", "first_index", "count"), ranges, {})
    refused = _read(
        path,
        "SELECT request_no, object_index FROM refusals JOIN sends USING (send_id) "
        "WHERE plan_id = ?",
        plan_id,
    )
    _table(con, ANSWERED_REFUSED, ("request_no", "object_index"), refused, {})


def mark_folded(path: Path, send: Send) -> None:
    """Note in the journal that the send is in the ledger."""
    now = datetime.now(UTC).isoformat()
    with closing(sqlite3.connect(path, timeout=30.0)) as journal, journal:
        journal.execute("UPDATE sends SET folded_at = ? WHERE send_id = ?", (now, send.send_id))


def _read(path: Path, query: str, parameter: object) -> list[tuple[Any, ...]]:
    try:
        with closing(sqlite3.connect(path, timeout=30.0)) as journal:
            return journal.execute(query, (parameter,)).fetchall()
    except sqlite3.DatabaseError as error:
        raise LedgerError(
            f"The journal {path} cannot be read: {error}",
            fix="Restore it, or move it away: sends it tells of are then sent again.",
        ) from error


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    utc = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return utc.replace(microsecond=0)


def _table(
    con: duckdb.DuckDBPyConnection,
    name: str,
    integers: tuple[str, ...],
    rows: list[tuple[Any, ...]],
    rest: dict[str, Any],
) -> None:
    import pyarrow as pa

    types = {_utc: pa.timestamp("us"), str: pa.string(), int: pa.int32()}
    columns = list(zip(*rows, strict=True)) or [()] * (len(integers) + len(rest))
    arrays = {n: pa.array(c, pa.int32()) for n, c in zip(integers, columns, strict=False)}
    for (n, read), values in zip(rest.items(), columns[len(integers) :], strict=True):
        read_values = [None if v is None else read(v) for v in values]
        arrays[n] = pa.array(read_values, types[read])
    with registered(con, "__fold_arrow", pa.table(arrays)):
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM __fold_arrow")
