"""The acknowledgement journal: what Braze answered, one small row per request, as it happens.

SQLite (WAL, synchronous FULL). It is the only thing written during a send, so that a crash at any
instant costs at most the requests in flight. Afterwards its acknowledgements are applied to the
ledger.

All SQL on its tables is here, so that everyone counts in the same way.
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
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from braze_pipeline import private
from braze_pipeline.storage.migrations import JOURNAL
from braze_pipeline.storage.sqlite_files import WAIT_SECONDS, connect, named_errors

Status = Literal["running", "done", "stopped", "failed"]

_GROUP: Final = 500
"""The maximum number of rows in one commit."""

_LINGER_SECONDS: Final = 0.01
"""How long the first row of a commit waits for others: a commit per row would add a fifth to the
cost of each request. At Braze's rate limit about ten answers share a commit."""

_END: Final = None

_named_errors = partial(
    named_errors,
    what="journal",
    if_damaged="move it away: what was sent since the ledger was last updated is sent again.",
)


@dataclass(frozen=True)
class Acknowledgement:
    """The final answer for a range of a request's objects.

    Attributes:
        request_no: Number of the request in the plan.
        first_index, count: The range of objects.
        refused: Position in the request to Braze's reason (safe to store); the rest is accepted.
        status: The HTTP status.
        attempt: 1, and one more for each earlier attempt of the request whose answer did not tell
            of each object, or that got none: Braze may have taken its objects all the same.
    """

    request_no: int
    first_index: int
    count: int
    refused: Mapping[int, str] = field(default_factory=dict)
    status: int = 201
    attempt: int = 1


@dataclass(frozen=True)
class JournalProgress:
    """What all sends of a plan have achieved so far.

    Attributes:
        ranges: Request number to (first index, count) of the objects with a final answer.
        accepted, refused: Numbers of objects.
    """

    ranges: Mapping[int, Sequence[tuple[int, int]]]
    accepted: int
    refused: int

    @property
    def answered(self) -> int:
        """Objects with a final answer."""
        return self.accepted + self.refused


class Journal:
    """The journal as the sender writes it."""

    def __init__(self, path: Path) -> None:
        """Open the journal, or create it.

        Raises:
            LedgerError: the file is not a journal.
            NewerVersion: a newer version of the package wrote it.
            DiskFull: the disk is full.
        """
        self.path = path
        private.file(path)
        with _named_errors(path), closing(self._connect()) as con:
            JOURNAL.upgrade(con, path)

    def _connect(self) -> sqlite3.Connection:
        con = connect(self.path)
        con.execute("PRAGMA synchronous = FULL")
        return con

    def start(self, *, destination: str, template: str, plan_id: str, run_id: str) -> int:
        """Record the start of a send; returns its number."""
        with _named_errors(self.path), closing(self._connect()) as con, con:
            # The caller holds the destination's lock and is the only sender: a send that is still
            # "running" was killed.
            con.execute(
                "UPDATE sends SET status = 'stopped', ended_at = ? "
                "WHERE destination = ? AND status = 'running'",
                [_now(), destination],
            )
            cursor = con.execute(
                "INSERT INTO sends (destination, template, plan_id, run_id, started_at, status) "
                "VALUES (?, ?, ?, ?, ?, 'running')",
                [destination, template, plan_id, run_id, _now()],
            )
            return int(cursor.lastrowid or 0)

    def end(self, send_id: int, status: Status, summary: Mapping[str, object]) -> None:
        """Record how a send ended."""
        with _named_errors(self.path), closing(self._connect()) as con, con:
            con.execute(
                "UPDATE sends SET status = ?, ended_at = ?, summary = ? WHERE send_id = ?",
                [status, _now(), json.dumps(summary), send_id],
            )


@dataclass(frozen=True)
class Send:
    """A send that is not in the ledger yet.

    Attributes:
        started_at: As the journal has it; distinguishes it from a send of an earlier journal file.
        ended: Nothing more will be acknowledged in it.
        done: Every object of the plan has its final answer.
    """

    send_id: int
    plan_id: str
    run_id: str
    started_at: str
    ended: bool
    done: bool


def unapplied(path: Path, destination: str) -> list[Send]:
    """The sends of a destination that are not completely in the ledger yet, in order.

    Raises:
        LedgerError: the journal cannot be read. This holds for all functions that read it; if there
            is no journal, they return nothing.
    """
    rows = _read(
        path,
        "SELECT send_id, plan_id, run_id, started_at, ended_at IS NOT NULL, status = 'done' "
        "FROM sends WHERE destination = ? AND folded_at IS NULL ORDER BY send_id",
        destination,
    )
    return [
        Send(send_id, plan_id, run_id, started_at, bool(ended), bool(done))
        for send_id, plan_id, run_id, started_at, ended, done in rows
    ]


def mark_applied(path: Path, send: Send) -> None:
    """Record that a send is in the ledger."""
    with _named_errors(path), closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as con, con:
        con.execute("UPDATE sends SET folded_at = ? WHERE send_id = ?", (_now(), send.send_id))


def plan_of_run(path: Path, run_id: str, destination: str, template: str) -> str | None:
    """The template's plan that a run last started to send; None if it started none."""
    query = "SELECT plan_id FROM sends WHERE (run_id, destination, template) = (?, ?, ?)"
    rows = _read(path, f"{query} ORDER BY send_id DESC LIMIT 1", run_id, destination, template)
    return rows[0][0] if rows else None


def acknowledged(path: Path, destination: str) -> list[tuple[str, int, str]]:
    """Plan, number and start of each send of a destination that got any acknowledgement."""
    return _read(
        path,
        "SELECT plan_id, send_id, started_at FROM sends WHERE destination = ? AND send_id IN "
        "(SELECT send_id FROM acknowledgements)",
        destination,
    )


def last_acknowledged(path: Path, destination: str) -> str | None:
    """When Braze last acknowledged anything for a destination (ISO 8601); None if never."""
    query = (
        "SELECT max(acknowledged_at) FROM acknowledgements JOIN sends USING (send_id) "
        "WHERE destination = ?"
    )
    rows = _read(path, query, destination)
    return rows[0][0] if rows else None


def ranges_of(path: Path, send_id: int) -> list[tuple[int, int, int, str]]:
    """The answered ranges of a send: request number, first index, count, time (ISO 8601)."""
    query = (
        "SELECT request_no, first_index, count, acknowledged_at FROM acknowledgements "
        "WHERE send_id = ?"
    )
    return _read(path, query, send_id)


def refusals_of(path: Path, send_id: int) -> list[tuple[int, int, int | None, str, int]]:
    """What Braze refused in a send: request number, index, HTTP status, reason, attempt."""
    query = (
        "SELECT request_no, object_index, status, error, attempt FROM refusals WHERE send_id = ?"
    )
    return _read(path, query, send_id)


def answered(path: Path, plan_id: str) -> list[tuple[int, int, int]]:
    """The answered ranges of all sends of a plan: request number, first index, count."""
    return _read(
        path,
        "SELECT DISTINCT request_no, first_index, count FROM acknowledgements "
        "JOIN sends USING (send_id) WHERE plan_id = ? ORDER BY 1, 2",
        plan_id,
    )


@dataclass(frozen=True, kw_only=True)
class ObjectAnswer:
    """Braze's answer about one object.

    Attributes:
        at: When, with a time zone.
        run_id: The run that sent it.
        error: Why Braze refused it; None if it accepted it.
    """

    at: datetime
    run_id: str
    error: str | None


def answer_to(path: Path, plan_id: str, request_no: int, index: int) -> ObjectAnswer | None:
    """The answer about one object of a plan; None while there is none."""
    rows = _read(
        path,
        "SELECT a.acknowledged_at, s.run_id, r.error FROM acknowledgements a "
        "JOIN sends s USING (send_id) LEFT JOIN refusals r ON r.send_id = a.send_id "
        "AND r.request_no = a.request_no AND r.object_index = ? WHERE s.plan_id = ? "
        "AND a.request_no = ? AND ? - a.first_index BETWEEN 0 AND a.count - 1 "
        "ORDER BY a.acknowledged_at LIMIT 1",
        index, plan_id, request_no, index,
    )  # fmt: skip
    if not rows:
        return None
    at, run_id, error = rows[0]
    return ObjectAnswer(at=datetime.fromisoformat(at), run_id=run_id, error=error)


def refused(path: Path, plan_id: str) -> list[tuple[int, int, int, str]]:
    """Each object that any send of a plan had refused: request number, position, attempt, and the
    start of the send.
    """
    return _read(
        path,
        "SELECT request_no, object_index, max(attempt), max(started_at) "
        "FROM refusals JOIN sends USING (send_id) WHERE plan_id = ? GROUP BY 1, 2",
        plan_id,
    )


def begun(path: Path, plan_id: str) -> list[tuple[int | None, str]]:
    """Of each send of a plan, the last request that it began, and its start.

    None if that is not known: the send was killed or is running, or is of an earlier version.
    """
    rows = _read(path, "SELECT summary, started_at FROM sends WHERE plan_id = ?", plan_id)
    return [(json.loads(summary or "{}").get("begun"), at) for summary, at in rows]


def progress(path: Path, plan_id: str) -> JournalProgress:
    """What all sends of a plan have achieved so far."""
    ranges: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for request_no, first, count in answered(path, plan_id):
        ranges[request_no].append((first, count))
    objects = sum(count for parts in ranges.values() for _, count in parts)
    refusals = len(refused(path, plan_id))
    return JournalProgress(dict(ranges), objects - refusals, refusals)


def _read(path: Path, query: str, *keys: str | int) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    with _named_errors(path), closing(sqlite3.connect(path, timeout=WAIT_SECONDS)) as con:
        if con.execute("SELECT 1 FROM sqlite_master WHERE name = 'sends'").fetchone() is None:
            return []  # just created, perhaps by a process that was killed before it had tables
        return con.execute(query, keys).fetchall()


class Writer:
    """Writes acknowledgements in groups, so that workers do not wait for the disk.

    Each send has one, with a thread of its own.

    ``accepted`` and ``refused`` count committed objects; ``pending`` counts waiting answers.
    After an ``error`` nothing more is committed: the send must end.
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
        self.error: Exception | None = None
        self.on_commit: Callable[[int], None] = lambda _: None
        self._thread.start()

    def put(self, acknowledgement: Acknowledgement) -> None:
        """Queue an answer; it counts once it is committed, soon afterwards."""
        with self._lock:
            self.pending += 1
        self._queue.put(acknowledgement)

    @property
    def answered(self) -> int:
        """Objects whose final answer is committed."""
        return self.accepted + self.refused

    def close(self) -> None:
        """Commit what is queued, unless there was an error, and end the thread."""
        self._queue.put(_END)
        self._thread.join()

    def _run(self) -> None:
        try:
            with (
                _named_errors(self._journal.path),
                closing(self._journal._connect()) as con,  # noqa: SLF001 - one module
            ):
                while self._commit_group(con):
                    pass
        except Exception as error:  # noqa: BLE001 - told by the sending thread
            self.error = error

    def _commit_group(self, con: sqlite3.Connection) -> bool:
        """Commit what is waiting in one transaction; False at the end."""
        group = [self._queue.get()]
        if group[-1] is not _END:
            time.sleep(_LINGER_SECONDS)
        while group[-1] is not _END and len(group) < _GROUP:
            try:
                group.append(self._queue.get_nowait())
            except queue.Empty:
                break
        answers = [one for one in group if one is not None]
        now = _now()
        with con:
            con.executemany(
                "INSERT INTO acknowledgements (send_id, request_no, first_index, count, "
                "acknowledged_at) VALUES (?, ?, ?, ?, ?)",
                [(self._send_id, a.request_no, a.first_index, a.count, now) for a in answers],
            )
            con.executemany(
                "INSERT INTO refusals (send_id, request_no, object_index, status, error, attempt) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (self._send_id, a.request_no, index, a.status, text, a.attempt)
                    for a in answers
                    for index, text in a.refused.items()
                ],
            )
        refused = sum(len(a.refused) for a in answers)
        self.refused += refused
        self.accepted += sum(a.count for a in answers) - refused
        with self._lock:
            self.pending -= len(answers)
        self.on_commit(len(answers))
        return group[-1] is not _END


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
