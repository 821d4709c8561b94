"""The messages that still have to be delivered, by channel, and when to try again.

A message that could not be delivered stays here; its action is in the store in any case. Each
channel gets the messages in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from braze_pipeline.alerts.action_store import Action, ActionStore
from braze_pipeline.alerts.connection import reading, writing
from braze_pipeline.alerts.success import Success, stored_success
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.wording import counted

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=3)
MIN_ATTEMPTS = 8
"""Over about an hour, however old a message is: the daemon may have been away for days."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """News about an action, or about a run that went well.

    Attributes:
        message: Its number; the same for all channels and attempts.
        event: ``opened``, ``persists`` or ``recovered``; of a run, ``succeeded``.
        created_at: When it came into the outbox; ISO, UTC.
    """

    message: int
    event: str
    created_at: str
    about: Action | Success

    def words(self) -> str:
        """The news in a few words."""
        one = self.about
        what = f"run as of {one.last_day}" if isinstance(one, Success) else f"action {one.number}"
        return f"{what} {self.event}"


@dataclass(frozen=True)
class Outbox:
    """The outbox of one destination in a store of actions."""

    store: ActionStore
    destination: str

    def due(self, channel: str, *, now: datetime) -> list[Message]:
        """What may go out over a channel now, in order, up to the first message that must wait."""
        with reading(self.store.path) as con:
            rows = con.execute(
                read_sql("alerts", "due_messages"), (channel, self.destination)
            ).fetchall()
            messages = []
            for message, event, created_at, number, success, next_at in rows:
                if next_at > now.isoformat():
                    break
                about = self.store.get(number) if success is None else stored_success(con, success)
                if about is not None:
                    messages.append(
                        Message(message=message, event=event, created_at=created_at, about=about)
                    )
        return messages

    def delivered(
        self, message: Message, channel: str, *, now: datetime, problem: str | None = None
    ) -> None:
        """Record that a message was delivered over a channel, and why not everybody got it."""
        self._ended(message, channel, delivered_at=now.isoformat(), problem=problem)

    def failed(self, message: Message, channel: str, *, problem: str) -> None:
        """Record why an attempt failed."""
        self._ended(message, channel, delivered_at=None, problem=problem)

    def claim(self, message: Message, channel: str, *, now: datetime) -> bool:
        """Store an attempt before it is made, so that nobody else makes it meanwhile.

        The wait for the next one doubles, up to an hour, even if this process does not survive.

        Returns:
            Whether the message is still due.
        """
        with writing(self.store.path) as con:
            row = con.execute(
                "SELECT attempts, next_at, delivered_at FROM deliveries "
                "WHERE message = ? AND channel = ?",
                (message.message, channel),
            ).fetchone()
            if row and (row["delivered_at"] is not None or row["next_at"] > now.isoformat()):
                return False
            # The exponent is capped, so that no number of attempts overflows.
            wait = min(FIRST_WAIT * 2 ** min(row["attempts"] if row else 0, 12), LONGEST_WAIT)
            problem = "The result of the last attempt is not known."
            con.execute(
                read_sql("alerts", "attempted_delivery"),
                (message.message, channel, (now + wait).isoformat(), None, problem),
            )
        return True

    def is_failing(self, channel: str) -> bool:
        """Whether a message that waits has been tried over a channel."""
        with reading(self.store.path) as con:
            row = con.execute(
                "SELECT 1 FROM deliveries JOIN messages USING (message) "
                "WHERE channel = ? AND delivered_at IS NULL AND done_at IS NULL LIMIT 1",
                (channel,),
            ).fetchone()
        return row is not None

    def waiting(self) -> list[str]:
        """What waits because an attempt failed: a sentence for each such channel."""
        with reading(self.store.path) as con:
            rows = con.execute(read_sql("alerts", "waiting_messages"), (self.destination,))
            return [
                f"{channel}: {counted(number, 'message has', 'messages have')} been waiting since "
                f"{since[:16].replace('T', ' ')} UTC. {problem}"
                for channel, number, since, problem in rows
            ]

    def finish(self, channels: Sequence[str], *, now: datetime) -> None:
        """Remove what every channel has delivered, or tried in vain for too long."""
        marks = ", ".join("?" * len(channels))
        query = read_sql("alerts", "finished_messages", count=len(channels), channels=marks)
        with writing(self.store.path) as con:
            con.execute(
                query,
                (
                    now.isoformat(),
                    self.destination,
                    self.destination,
                    (now - GIVE_UP_AFTER).isoformat(),
                    MIN_ATTEMPTS,
                    *channels,
                ),
            )

    def _ended(
        self, message: Message, channel: str, *, delivered_at: str | None, problem: str | None
    ) -> None:
        with writing(self.store.path) as con:
            con.execute(
                "UPDATE deliveries SET delivered_at = ?, problem = ? "
                "WHERE message = ? AND channel = ? AND delivered_at IS NULL",
                (delivered_at, problem, message.message, channel),
            )
