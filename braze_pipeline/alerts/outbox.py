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

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=3)

_DUE = """
SELECT m.message, m.event, m.created_at, a.number, coalesce(d.next_at, '')
FROM messages m
JOIN actions a USING (number)
LEFT JOIN deliveries d ON d.message = m.message AND d.channel = ?
WHERE m.done_at IS NULL AND d.delivered_at IS NULL AND a.destination = ?
ORDER BY m.message
"""

# Done: delivered over every configured channel (there may be none), or too old to be news.
_FINISH = """
UPDATE messages SET done_at = ?
WHERE done_at IS NULL
  AND number IN (SELECT number FROM actions WHERE destination = ?)
  AND (created_at < ? OR {count} = (
      SELECT count(*) FROM deliveries d
      WHERE d.message = messages.message AND d.delivered_at IS NOT NULL
        AND d.channel IN ({channels})))
"""


@dataclass(frozen=True, kw_only=True)
class Message:
    """News about an action.

    Attributes:
        message: Its number; the same for all channels and attempts.
        event: ``opened``, ``persists`` or ``recovered``.
        created_at: ISO, UTC.
    """

    message: int
    event: str
    created_at: str
    action: Action


@dataclass(frozen=True)
class Outbox:
    """The outbox of one destination in a store of actions."""

    store: ActionStore
    destination: str

    def due(self, channel: str, *, now: datetime) -> list[Message]:
        """What may go out over a channel now, in order, up to the first message that must wait."""
        with reading(self.store.path) as con:
            rows = con.execute(_DUE, (channel, self.destination)).fetchall()
        messages = []
        for message, event, created_at, number, next_at in rows:
            if next_at > now.isoformat():
                break
            action = self.store.get(number)
            if action is not None:
                messages.append(
                    Message(message=message, event=event, created_at=created_at, action=action)
                )
        return messages

    def delivered(self, message: Message, channel: str, *, now: datetime) -> None:
        """Record that a message was delivered over a channel."""
        self._attempted(message, channel, next_at=now, delivered_at=now.isoformat())

    def failed(self, message: Message, channel: str, *, now: datetime, problem: str) -> None:
        """Record a failed attempt; the wait for the next one doubles, up to an hour."""
        with reading(self.store.path) as con:
            row = con.execute(
                "SELECT attempts FROM deliveries WHERE message = ? AND channel = ?",
                (message.message, channel),
            ).fetchone()
        # The exponent is capped, so that no number of attempts overflows.
        wait = min(FIRST_WAIT * 2 ** min(row[0] if row else 0, 12), LONGEST_WAIT)
        self._attempted(message, channel, next_at=now + wait, problem=problem)

    def finish(self, channels: Sequence[str], *, now: datetime) -> None:
        """Remove what every channel has delivered, and what is too old to be news."""
        marks = ", ".join("?" * len(channels))
        with writing(self.store.path) as con:
            con.execute(
                _FINISH.format(count=len(channels), channels=marks),
                (now.isoformat(), self.destination, (now - GIVE_UP_AFTER).isoformat(), *channels),
            )

    def _attempted(
        self,
        message: Message,
        channel: str,
        *,
        next_at: datetime,
        delivered_at: str | None = None,
        problem: str | None = None,
    ) -> None:
        with writing(self.store.path) as con:
            con.execute(
                "INSERT INTO deliveries (message, channel, attempts, next_at, delivered_at, "
                "problem) VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT (message, channel) DO UPDATE SET "
                "attempts = attempts + 1, next_at = excluded.next_at, "
                "delivered_at = excluded.delivered_at, problem = excluded.problem",
                (message.message, channel, next_at.isoformat(), delivered_at, problem),
            )
