"""Which runs have ended since the last tick, in the order in which they ended.

Dagster's own run failure sensor runs too, but is not enough, for four reasons. It moves on when its
function raises, so a full disk would lose a failure for good. It does not see runs that the command
line started on the same instance. It begins at the moment of its first tick, so a failure before
that is never reported. And failures and successes reach different sensors, in no order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

import dagster as dg

FIRST_LOOK_BACK = timedelta(days=1)
"""How far the first tick looks back."""

MAX_RUNS = 30
"""Runs in one tick: a tick must end in time."""

_TYPES = {
    "failure": dg.DagsterEventType.RUN_FAILURE,
    "canceled": dg.DagsterEventType.RUN_CANCELED,
    "success": dg.DagsterEventType.RUN_SUCCESS,
}


@dataclass(frozen=True)
class Cursor:
    """How far the sensor has got.

    Attributes:
        seen: By kind of ending, the storage id of the last event that was processed.
        since: Where a kind that has not been seen begins, as a UNIX timestamp. It stays that of the
            first tick: the first failure of all may come while the daemon is away.
        waiting: Failed runs that may be retried automatically, so they are not reported yet.
        shown: The open actions that the UI shows (``actions_asset.fingerprint``).
    """

    seen: Mapping[str, int] = field(default_factory=dict)
    since: float | None = None
    waiting: tuple[str, ...] = ()
    shown: str = ""

    @classmethod
    def read(cls, text: str | None) -> Cursor:
        """A cursor from its text; the beginning where there is no text or it cannot be read."""
        try:
            found = json.loads(text or "{}")
            return cls(
                seen={kind: int(number) for kind, number in found.get("seen", {}).items()},
                since=None if (since := found.get("since")) is None else float(since),
                waiting=tuple(str(run_id) for run_id in found.get("waiting", ())),
                shown=str(found.get("shown", "")),
            )
        except (ValueError, AttributeError, TypeError):
            return cls()

    def write(self) -> str:
        """The cursor as text, for Dagster to store."""
        return json.dumps(asdict(self))

    def begun(self, now: datetime) -> Cursor:
        """The cursor with a beginning; one that has it keeps it."""
        since = (now - FIRST_LOOK_BACK).timestamp()
        return self if self.since is not None else replace(self, since=since)

    def after(self, change: Change) -> Cursor:
        """The cursor after one more ending."""
        return replace(self, seen={**self.seen, change.kind: change.storage_id})


@dataclass(frozen=True, kw_only=True)
class Change:
    """A run that has ended.

    Attributes:
        kind: ``failure``, ``canceled`` or ``success``.
        at: When, as a UNIX timestamp.
    """

    kind: str
    storage_id: int
    run_id: str
    at: float


def changes_since(instance: dg.DagsterInstance, cursor: Cursor) -> list[Change]:
    """The runs that ended after the cursor, oldest first, at most ``MAX_RUNS``."""
    found: list[Change] = []
    for kind, event_type in _TYPES.items():
        records = instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(
                event_type=event_type,  # type: ignore[arg-type]  # a literal of enum members
                after_storage_id=cursor.seen.get(kind),
                after_timestamp=None if kind in cursor.seen else cursor.since,
            ),
            limit=MAX_RUNS,
            ascending=True,
        ).records
        found += [
            Change(kind=kind, storage_id=r.storage_id, run_id=r.run_id, at=r.timestamp)
            for r in records
        ]
    # Of a kind with more than ``MAX_RUNS``, the rest come after all that are returned here.
    return sorted(found, key=lambda one: one.storage_id)[:MAX_RUNS]
