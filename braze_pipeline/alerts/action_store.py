"""The store of workflow actions: a SQLite file beside the warehouse.

SQLite, because the daemon's sensors write here while a run may keep the DuckDB file open. An action
and the message about it are written in one transaction, so neither exists without the other.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from braze_pipeline.alerts.action_classes import STATUS_401_PERSISTENT, STATUS_401_TRANSIENT
from braze_pipeline.alerts.connection import reading, writing
from braze_pipeline.alerts.delivery_status import DeliveryStatus
from braze_pipeline.alerts.resolutions import Resolution, resolution_of
from braze_pipeline.storage.sql_files import read_sql

_DIGITS = re.compile(r"\d[\d,.:]*")
_COUNTS = ("planned", "accepted", "rejected")
_DAYS = ("first_day", "last_day")
_OF_THE_RUN = ("what", "fix", "guard", *_COUNTS, "run_id")


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Something that needs a person, as a sensor found it.

    Attributes:
        action: Its class (see ``resolutions``).
        what, fix: What happened and what to do, without personal data.
        days: First and last as-of date of the run; None if it has none.
        goal: The asset that the run was meant to reach, as ``prefix/name``; None is the send.
        before_goal: The assets that come before it.
        guard: The guard that stopped it.
        cause: What repeats have in common besides class and template; by default ``what`` without
            its numbers.
        run_id: The run that met it; None if it is not about a run.
        occurrence: What counts only once; by default the run.
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
    before_goal: tuple[str, ...] = ()
    guard: str | None = None
    sent: DeliveryStatus | None = None
    cause: str | None = None
    occurrence: str | None = None

    @property
    def key(self) -> str:
        """Equal for repeats of one cause."""
        # A transient 401 that persists is still the same cause.
        action = "status_401" if self.action.startswith("status_401") else self.action
        if action == "status_401" or self.cause is not None:
            cause = self.cause or ""
        else:
            cause = _DIGITS.sub("#", self.what)
        return "\n".join((self.destination, self.template, action, cause))


@dataclass(frozen=True, kw_only=True)
class Action:
    """A stored workflow action. Times are ISO texts in UTC; for the rest see ``Incident``.

    Attributes:
        count: The number of runs that met it.
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
        """The steps that resolve it, with its own facts and the given ones filled in."""
        return self.resolution.steps_for({**self._facts(), **(facts or {})})

    def meaning(self) -> str:
        """What its class means, with its own facts filled in."""
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
    """What the store did with an incident.

    Attributes:
        number: The number of its action.
        new: It opened that action.
        known: The same occurrence was recorded before, so nothing changed.
    """

    number: int
    new: bool = False
    known: bool = False

    def words(self) -> str:
        """The result in a few words."""
        verb = "opened" if self.new else "known" if self.known else "repeated"
        return f"action {self.number} {verb}"


@dataclass(frozen=True)
class ActionStore:
    """The store in one file, created on first use. Each call is a transaction of its own.

    Raises (from every method):
        LedgerError: the file was written by a newer version.
        sqlite3.Error: it cannot be read or written (a full disk, a damaged file).
    """

    path: Path

    def record(self, incident: Incident) -> RecordResult:
        """Open an action, or count a repeat of an open one. The same occurrence counts once."""
        now = incident.at.isoformat()
        occurrence = incident.occurrence or incident.run_id
        with writing(self.path) as con:
            known = con.execute(
                "SELECT number FROM occurrences WHERE occurrence = ? AND key = ?",
                (occurrence, incident.key),
            ).fetchone()
            if known:
                return RecordResult(number=known["number"], known=True)
            before = con.execute(
                "SELECT * FROM actions WHERE key = ? AND resolved_at IS NULL",
                (incident.key,),
            ).fetchone()
            if before and before["action"] in {STATUS_401_TRANSIENT, STATUS_401_PERSISTENT}:
                # A 401 in two runs in a row is no longer considered transient.
                incident = replace(incident, action=STATUS_401_PERSISTENT)
            first, last = incident.days or (None, None)
            values = {
                **vars(incident),
                "number": before["number"] if before else None,
                "key": incident.key,
                "first_day": first,
                "last_day": last,
                **(asdict(incident.sent) if incident.sent else dict.fromkeys(_COUNTS)),
                "now": now,
                **(_kept(before, incident) if before else {}),
            }
            inserted = con.execute(read_sql("alerts", "recorded_incident"), values).lastrowid
            number = values["number"] or int(inserted or 0)
            if not before:
                add_message(con, "opened", number=number)
            elif incident.action != before["action"]:
                add_message(con, "persists", number=number)
            if occurrence is not None:
                con.execute(
                    "INSERT INTO occurrences (occurrence, key, number) VALUES (?, ?, ?)",
                    (occurrence, incident.key, number),
                )
            return RecordResult(number=number, new=not before)

    def close(self, number: int, *, how: str, at: datetime) -> bool:
        """Close an open action, and notify about it.

        Returns:
            Whether it was open.
        """
        now = at.isoformat()
        with writing(self.path) as con:
            closed = con.execute(
                "UPDATE actions SET resolved_at = ?, how = ? "
                "WHERE number = ? AND resolved_at IS NULL",
                (now, how, number),
            ).rowcount
            if closed:
                add_message(con, "recovered", number=number)
            return bool(closed)

    def get(self, number: int) -> Action | None:
        """One action, open or closed."""
        actions = self._actions("WHERE number = ?", (number,))
        return actions[0] if actions else None

    def open_actions(self, *, destination: str | None = None) -> list[Action]:
        """The open actions, oldest first."""
        return self._actions(
            "WHERE resolved_at IS NULL AND (? IS NULL OR destination = ?) ORDER BY number",
            (destination, destination),
        )

    def closed_actions(self, *, limit: int) -> list[Action]:
        """The actions closed last, newest first."""
        return self._actions(
            "WHERE resolved_at IS NOT NULL ORDER BY resolved_at DESC, number DESC LIMIT ?", (limit,)
        )

    def notified(self, number: int) -> dict[str, str]:
        """By channel, of the last message: whether it was delivered, and the problem, if any."""
        with reading(self.path) as con:
            rows = con.execute(read_sql("alerts", "delivery_states"), (number,)).fetchall()
        return {
            channel: f"{state}{f': {problem}' if problem else ''}"
            for channel, state, problem in rows
        }

    def _actions(self, where: str, parameters: tuple[object, ...]) -> list[Action]:
        with reading(self.path) as con:
            rows = con.execute(f"SELECT * FROM actions {where}", parameters).fetchall()
        return [_action(row) for row in rows]


def _kept(before: sqlite3.Row, incident: Incident) -> dict[str, object]:
    """What a repeat leaves as it was: an action is about its newest day and its furthest goal.

    Otherwise the success of an older day, or of a run that does not send, would close it.
    """
    day = incident.days[1] if incident.days else ""
    older = day < (before["last_day"] or "")
    nearer = before["goal"] not in {incident.goal, *incident.before_goal}
    kept = (
        *(_DAYS if older else ()),
        *(("goal",) if nearer else ()),
        *(_OF_THE_RUN if older or nearer else ()),
    )
    return {name: before[name] for name in kept}


def _action(row: sqlite3.Row) -> Action:
    values = dict(row)
    del values["key"]
    days = (values.pop("first_day"), values.pop("last_day"))
    counts = {name: values.pop(name) for name in _COUNTS}
    sent = None if counts["accepted"] is None else DeliveryStatus(**counts)
    return Action(days=None if days[0] is None else days, sent=sent, **values)


def add_message(
    con: sqlite3.Connection, event: str, *, number: int | None = None, success: int | None = None
) -> None:
    """Put a message about an action or a success into the outbox.

    Its time is now, whenever its run ended: deliveries are retried for a while from now on.
    """
    con.execute(
        "INSERT INTO messages (number, success, event, created_at) VALUES (?, ?, ?, ?)",
        (number, success, event, datetime.now(UTC).isoformat()),
    )
