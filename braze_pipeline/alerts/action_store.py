"""The store of workflow actions: one SQLite file beside the warehouse.

SQLite, because the daemon's sensors write here while a run may hold the DuckDB file. An action and
the message that tells of it are written in one transaction, so neither exists without the other.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from braze_pipeline.alerts.action_classes import (
    STATUS_401_PERSISTENT,
    STATUS_401_TRANSIENT,
    Resolution,
)
from braze_pipeline.alerts.connection import reading, writing
from braze_pipeline.alerts.delivery_status import DeliveryStatus
from braze_pipeline.alerts.resolutions import resolution_of

_DIGITS = re.compile(r"\d[\d,.:]*")


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Something that needs a person, as a sensor found it.

    Attributes:
        action: Its class (see ``resolutions``).
        what, fix: What happened and what to do, with no personal data.
        days: First and last as-of date of the run; None where it has none.
        goal: The asset that the run was to reach, as ``prefix/name``.
        guard: The guard that stopped it.
        cause: What repeats fold on besides class and template; by default ``what`` without its
            figures.
        run_id: The run that met it; None where it is about no run.
        occurrence: What counts once; by default the run.
        at: When, with a time zone.
    """

    action: str
    what: str
    fix: str
    destination: str
    template: str
    at: datetime
    run_id: str | None = None
    days: tuple[str, str] | None = None
    goal: str | None = None
    guard: str | None = None
    sent: DeliveryStatus | None = None
    cause: str | None = None
    occurrence: str | None = None

    @property
    def key(self) -> str:
        """Equal for repeats of one cause."""
        # A transient 401 that persists is the same cause, however it is classed.
        action = "status_401" if self.action.startswith("status_401") else self.action
        if action == "status_401" or self.cause is not None:
            cause = self.cause or ""
        else:
            cause = _DIGITS.sub("#", self.what)
        return "\n".join((self.destination, self.template, action, cause))


@dataclass(frozen=True, kw_only=True)
class Action:
    """A stored workflow action. Times are ISO texts in UTC; see ``Incident`` for the rest.

    Attributes:
        count: How many runs met it.
        resolved_at, how: When and how it was resolved; None while it is open.
    """

    number: int
    action: str
    what: str
    fix: str
    destination: str
    template: str
    days: tuple[str, str] | None
    goal: str | None
    guard: str | None
    sent: DeliveryStatus | None
    run_id: str | None
    count: int
    first_seen: str
    last_seen: str
    resolved_at: str | None
    how: str | None

    @property
    def resolution(self) -> Resolution:
        """The class's title, meaning and steps."""
        return resolution_of(self.action)

    def steps(self, facts: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """The steps that resolve it, with its own facts (and those given) filled in."""
        return self.resolution.steps_for({**self._facts(), **(facts or {})})

    def meaning(self) -> str:
        """What its class means."""
        return self.resolution.meaning_for(self._facts())

    def _facts(self) -> dict[str, str]:
        return {
            "number": str(self.number),
            "template": self.template,
            "destination": self.destination,
            "day": self.days[1] if self.days else "YYYY-MM-DD",
            "guard": self.guard or "GUARD",
        }


@dataclass(frozen=True, kw_only=True)
class RecordResult:
    """What became of something found.

    Attributes:
        number: Of its action.
        new: It opened that action.
        known: The same occurrence was noted before, so nothing changed.
    """

    number: int
    new: bool = False
    known: bool = False

    def words(self) -> str:
        """It in a few words."""
        verb = "opened" if self.new else "known" if self.known else "repeated"
        return f"action {self.number} {verb}"


@dataclass(frozen=True)
class ActionStore:
    """The store in one file, created on first use. Every call is a transaction of its own.

    Raises (from every method):
        LedgerError: the file was written by a newer version.
        sqlite3.Error: it cannot be read or written (a full disk, a damaged file).
    """

    path: Path

    def record(self, found: Incident) -> RecordResult:
        """Open an action, or fold a repeat into the open one. The same occurrence counts once."""
        now = found.at.isoformat()
        occurrence = found.occurrence or found.run_id
        with writing(self.path) as con:
            known = con.execute(
                "SELECT number FROM occurrences WHERE occurrence = ? AND key = ?",
                (occurrence, found.key),
            ).fetchone()
            if known:
                return RecordResult(number=known[0], known=True)
            open_one = con.execute(
                "SELECT number, action FROM actions WHERE key = ? AND resolved_at IS NULL",
                (found.key,),
            ).fetchone()
            if open_one is None:
                number = _insert(con, found, now)
                _message(con, number, "opened", now)
            else:
                number, before = open_one
                found = _escalated(found, before)
                _fold(con, number, found, now)
                if found.action != before:
                    _message(con, number, "persists", now)
            if occurrence is not None:
                con.execute(
                    "INSERT INTO occurrences (occurrence, key, number) VALUES (?, ?, ?)",
                    (occurrence, found.key, number),
                )
            return RecordResult(number=number, new=open_one is None)

    def close(self, number: int, *, how: str, at: datetime, tell: bool = True) -> bool:
        """Close an open action; tells of the recovery unless told not to.

        Returns:
            Whether it was open.
        """
        now = at.isoformat()
        with writing(self.path) as con:
            done = con.execute(
                "UPDATE actions SET resolved_at = ?, how = ? "
                "WHERE number = ? AND resolved_at IS NULL",
                (now, how, number),
            ).rowcount
            if done and tell:
                _message(con, number, "recovered", now)
            return bool(done)

    def get(self, number: int) -> Action | None:
        """One action, open or closed."""
        found = self._actions("WHERE number = ?", (number,))
        return found[0] if found else None

    def open_actions(self, *, destination: str | None = None) -> list[Action]:
        """The open actions, oldest first."""
        return self._actions(
            "WHERE resolved_at IS NULL AND (? IS NULL OR destination = ?) ORDER BY number",
            (destination, destination),
        )

    def closed_actions(self, *, limit: int) -> list[Action]:
        """The last ones that were closed, newest first."""
        return self._actions(
            "WHERE resolved_at IS NOT NULL ORDER BY resolved_at DESC, number DESC LIMIT ?", (limit,)
        )

    def notified(self, number: int) -> dict[str, str]:
        """By channel: "delivered", or the problem of the last attempt."""
        with reading(self.path) as con:
            rows = con.execute(
                "SELECT channel, delivered_at, problem FROM deliveries JOIN messages "
                "USING (message) WHERE number = ? ORDER BY message",
                (number,),
            ).fetchall()
        return {
            channel: "delivered" if at else f"not yet: {problem}" for channel, at, problem in rows
        }

    def _actions(self, where: str, parameters: tuple[object, ...]) -> list[Action]:
        with reading(self.path) as con:
            rows = con.execute(f"SELECT {_COLUMNS} FROM actions {where}", parameters).fetchall()
        return [_action(row) for row in rows]


_COLUMNS = (
    "number, action, what, fix, destination, template, first_day, last_day, goal, guard, "
    "planned, accepted, rejected, run_id, count, first_seen, last_seen, resolved_at, how"
)


def _action(row: tuple[str, ...]) -> Action:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    first, last = values.pop("first_day"), values.pop("last_day")
    planned, accepted, rejected = (values.pop(n) for n in ("planned", "accepted", "rejected"))
    sent = (
        None
        if accepted is None
        else DeliveryStatus(planned=planned, accepted=accepted, rejected=rejected)  # type: ignore[arg-type]
    )
    days = None if first is None else (first, last)
    return Action(days=days, sent=sent, **values)  # type: ignore[arg-type]


def _escalated(found: Incident, before: str) -> Incident:
    """A 401 that comes twice in a row is no longer taken for transient."""
    if before in {STATUS_401_TRANSIENT, STATUS_401_PERSISTENT}:
        return replace(found, action=STATUS_401_PERSISTENT)
    return found


def _insert(con: sqlite3.Connection, found: Incident, now: str) -> int:
    values = {
        "key": found.key,
        "destination": found.destination,
        "template": found.template,
        "count": 1,
        "first_seen": now,
        **_changing(found, now),
    }
    cursor = con.execute(
        f"INSERT INTO actions ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
        tuple(values.values()),
    )
    return int(cursor.lastrowid or 0)


def _fold(con: sqlite3.Connection, number: int, found: Incident, now: str) -> None:
    values = _changing(found, now)
    con.execute(
        f"UPDATE actions SET count = count + 1, {', '.join(f'{name} = ?' for name in values)} "
        "WHERE number = ?",
        (*values.values(), number),
    )


def _changing(found: Incident, now: str) -> dict[str, object]:
    """What the last run that met it decides."""
    first, last = found.days or (None, None)
    sent = found.sent
    return {
        "action": found.action,
        "what": found.what,
        "fix": found.fix,
        "first_day": first,
        "last_day": last,
        "goal": found.goal,
        "guard": found.guard,
        "planned": sent.planned if sent else None,
        "accepted": sent.accepted if sent else None,
        "rejected": sent.rejected if sent else None,
        "run_id": found.run_id,
        "last_seen": now,
    }


def _message(con: sqlite3.Connection, number: int, event: str, now: str) -> None:
    con.execute(
        "INSERT INTO messages (number, event, created_at) VALUES (?, ?, ?)", (number, event, now)
    )
