"""The acknowledgement journal: what Braze has answered, one small row a request, as it happens.

SQLite (WAL, synchronous FULL). It is the only thing written while a send is under way, so that a
crash at any instant costs at most the requests in flight. The fold brings it into the ledger.

All SQL over its tables is here, so that whoever reads it counts in one way.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from braze_pipeline import private
from braze_pipeline.errors import LedgerError, PipelineError
from braze_pipeline.storage.migrations import JOURNAL
from braze_pipeline.storage.warehouse import disk_full

Status = Literal["running", "done", "stopped", "failed"]

_GROUP: Final = 500
"""Rows that one commit takes at the most."""

_LINGER_SECONDS: Final = 0.01
"""How long a first row waits for others: a commit of one row costs a fifth of its request. At
Braze's limit ten answers wait so."""

_END: Final = None


@dataclass(frozen=True)
class Acknowledgement:
    """The final answer for a range of a request's objects.

    Attributes:
        request_no: Number of the request in the plan.
        first_index, count: The objects it is about.
        refused: Position in the request to Braze's sentence (safe to store); the rest is accepted.
        status: The HTTP status.
        attempt: Which attempt brought it.
    """

    request_no: int
    first_index: int
    count: int
    refused: Mapping[int, str] = field(default_factory=dict)
    status: int = 201
    attempt: int = 1


@dataclass(frozen=True)
class JournalProgress:
    """What earlier sends of a plan have brought.

    Attributes:
        ranges: Request number to (first index, count) of the objects that have their answer.
        accepted, refused: Objects.
    """

    ranges: Mapping[int, Sequence[tuple[int, int]]]
    accepted: int
    refused: int

    @property
    def answered(self) -> int:
        """Objects with a final answer."""
        return self.accepted + self.refused


class Journal:
    """The journal's file: starting and ending sends, and what was acknowledged so far."""

    def __init__(self, path: Path) -> None:
        """Open the journal, or create it.

        Raises:
            LedgerError: the file is not a journal of ours.
            NewerVersion: a newer version of the package wrote it.
            DiskFull: no room is left.
        """
        self.path = path
        private.file(path)
        with _told(path), closing(self._connect()) as con:
            JOURNAL.upgrade(con, path)

    def _connect(self) -> sqlite3.Connection:
        con = sqlite3.connect(self.path, timeout=30.0, check_same_thread=False)
        con.execute("PRAGMA journal_mode = WAL")
        con.execute("PRAGMA synchronous = FULL")
        return con

    def start(self, *, destination: str, template: str, plan_id: str, run_id: str) -> int:
        """Note that a send begins; its number."""
        with _told(self.path), closing(self._connect()) as con, con:
            # Whoever holds the destination's lock is the only sender: one that still says
            # "running" was killed.
            con.execute(
                "UPDATE sends SET status = 'stopped', ended_at = ? "
                "WHERE destination = ? AND status = 'running'",
                [_now(), destination],
            )
            found = con.execute(
                "INSERT INTO sends (destination, template, plan_id, run_id, started_at, status) "
                "VALUES (?, ?, ?, ?, ?, 'running')",
                [destination, template, plan_id, run_id, _now()],
            )
            return int(found.lastrowid or 0)

    def end(self, send_id: int, status: Status, summary: Mapping[str, object]) -> None:
        """Note that a send ended, and how."""
        with _told(self.path), closing(self._connect()) as con, con:
            con.execute(
                "UPDATE sends SET status = ?, ended_at = ?, summary = ? WHERE send_id = ?",
                [status, _now(), json.dumps(summary), send_id],
            )

    def progress(self, plan_id: str) -> JournalProgress:
        """What all sends of a plan together have brought."""
        return progress(self.path, plan_id)

    def refused(self, plan_id: str) -> set[tuple[int, int]]:
        """Request number and position of every object of a plan that Braze refused."""
        return set(refused(self.path, plan_id))

    def writer(self, send_id: int) -> Writer:
        """The one thread that writes acknowledgements of a send."""
        return Writer(self, send_id)


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


def unapplied(path: Path, destination: str) -> list[Send]:
    """The sends of a destination that are not wholly in the ledger yet, in order.

    Raises:
        LedgerError: the journal cannot be read. So do all that read it; where there is none, they
            find nothing.
    """
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


def mark_applied(path: Path, send: Send) -> None:
    """Note that a send is in the ledger."""
    with _told(path), closing(sqlite3.connect(path, timeout=30.0)) as con, con:
        con.execute("UPDATE sends SET folded_at = ? WHERE send_id = ?", (_now(), send.send_id))


def plan_of_run(path: Path, run_id: str) -> str | None:
    """The plan that a run last began to send; None when it began none."""
    query = "SELECT plan_id FROM sends WHERE run_id = ? ORDER BY send_id DESC LIMIT 1"
    rows = _read(path, query, run_id)
    return rows[0][0] if rows else None


def acknowledged(path: Path, destination: str) -> list[tuple[str, int, str]]:
    """Plan, number and start of each send of a destination that brought any acknowledgement."""
    return _read(
        path,
        "SELECT plan_id, send_id, started_at FROM sends WHERE destination = ? AND send_id IN "
        "(SELECT send_id FROM acknowledgements)",
        destination,
    )


def last_acknowledged(path: Path, destination: str) -> str | None:
    """When Braze last acknowledged anything to a destination (ISO 8601)."""
    query = (
        "SELECT max(acknowledged_at) FROM acknowledgements JOIN sends USING (send_id) "
        "WHERE destination = ?"
    )
    rows = _read(path, query, destination)
    return rows[0][0] if rows else None


def ranges_of(path: Path, send_id: int) -> list[tuple[int, int, int, str]]:
    """What a send got answers for: request number, first index, count, time (ISO 8601)."""
    query = (
        "SELECT request_no, first_index, count, acknowledged_at FROM acknowledgements "
        "WHERE send_id = ?"
    )
    return _read(path, query, send_id)


def refusals_of(path: Path, send_id: int) -> list[tuple[int, int, int | None, str, int]]:
    """What Braze refused in a send: request number, index, HTTP status, its sentence, attempt."""
    query = (
        "SELECT request_no, object_index, status, error, attempt FROM refusals WHERE send_id = ?"
    )
    return _read(path, query, send_id)


def answered(path: Path, plan_id: str) -> list[tuple[int, int, int]]:
    """Request number, first index and count of what any send of a plan got answers for."""
    return _read(
        path,
        "SELECT DISTINCT request_no, first_index, count FROM acknowledgements "
        "JOIN sends USING (send_id) WHERE plan_id = ? ORDER BY 1, 2",
        plan_id,
    )


def refused(path: Path, plan_id: str) -> list[tuple[int, int]]:
    """Request number and position of each object of a plan that Braze refused in any send."""
    return _read(
        path,
        "SELECT DISTINCT request_no, object_index FROM refusals JOIN sends USING (send_id) "
        "WHERE plan_id = ?",
        plan_id,
    )


def progress(path: Path, plan_id: str) -> JournalProgress:
    """What all sends of a plan together have brought."""
    ranges: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for request_no, first, count in answered(path, plan_id):
        ranges[request_no].append((first, count))
    users = sum(count for parts in ranges.values() for _, count in parts)
    lost = len(refused(path, plan_id))
    return JournalProgress(dict(ranges), users - lost, lost)


def _read(path: Path, query: str, key: str | int) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    with _told(path), closing(sqlite3.connect(path, timeout=30.0)) as con:
        return con.execute(query, (key,)).fetchall()


class Writer:
    """Writes acknowledgements in groups: workers do not wait for the disk.

    What is in ``accepted`` and ``refused`` is committed; ``pending`` is not yet.
    """

    def __init__(self, journal: Journal, send_id: int) -> None:
        self._journal = journal
        self._send_id = send_id
        self._queue: queue.SimpleQueue[Acknowledgement | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._lock = threading.Lock()
        self.pending = 0
        self.accepted = 0
        self.refused = 0
        self.error: PipelineError | None = None
        self.on_error: Callable[[], None] = lambda: None
        self._thread.start()

    def put(self, acknowledgement: Acknowledgement) -> None:
        """Hand over an answer; it is committed soon, and counted then."""
        with self._lock:
            self.pending += 1
        self._queue.put(acknowledgement)

    @property
    def answered(self) -> int:
        """Objects whose final answer is committed."""
        return self.accepted + self.refused

    def close(self) -> None:
        """Commit what is there and end the thread."""
        self._queue.put(_END)
        self._thread.join()

    def _run(self) -> None:
        try:
            with closing(self._journal._connect()) as con:  # noqa: SLF001 - one module
                while self._group(con):
                    pass
        except (sqlite3.Error, OSError) as error:
            self.error = _error(error, self._journal.path)
            self.on_error()
            self._drain()

    def _group(self, con: sqlite3.Connection) -> bool:
        """Commit what is waiting as one transaction; False at the end."""
        group = [self._queue.get()]
        if group[-1] is not _END:
            time.sleep(_LINGER_SECONDS)
        while group[-1] is not _END and len(group) < _GROUP:
            try:
                group.append(self._queue.get_nowait())
            except queue.Empty:
                break
        found = [one for one in group if one is not None]
        now = _now()
        with con:
            con.executemany(
                "INSERT INTO acknowledgements (send_id, request_no, first_index, count, "
                "acknowledged_at) VALUES (?, ?, ?, ?, ?)",
                [(self._send_id, a.request_no, a.first_index, a.count, now) for a in found],
            )
            con.executemany(
                "INSERT INTO refusals (send_id, request_no, object_index, status, error, attempt) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (self._send_id, a.request_no, index, a.status, text, a.attempt)
                    for a in found
                    for index, text in a.refused.items()
                ],
            )
        refused = sum(len(a.refused) for a in found)
        self.refused += refused
        self.accepted += sum(a.count for a in found) - refused
        with self._lock:
            self.pending -= len(found)
        return group[-1] is not _END

    def _drain(self) -> None:
        """After a failed write nothing more counts; only the end is waited for."""
        while self._queue.get() is not _END:
            pass


class _told:  # noqa: N801 - reads as a word in `with`
    """SQLite's and the system's errors as the operator's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, (sqlite3.Error, OSError)):
            raise _error(error, self._path) from error


def _error(error: Exception, path: Path) -> PipelineError:
    return disk_full(error, path) or LedgerError(
        f"The journal {path} cannot be used: {type(error).__name__}.",
        fix="Check its folder's permissions and that the file is on a local disk; if it is "
        "damaged, move it away (what was sent since the last fold is then sent again).",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
