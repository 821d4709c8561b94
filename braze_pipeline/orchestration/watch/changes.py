"""Which runs have ended since the last tick, in the order in which they did.

Dagster's own run failure sensor is there too, and is not enough, for four reasons: it moves on when
its function raises, so that a full disk would lose a failure for good; it does not see runs that
were started on the command line over the same instance; it begins at the moment of its first tick,
so that a failure before it is never told; and failures and successes come to different sensors, in
no order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import dagster as dg

FIRST_LOOK_BACK = timedelta(days=1)
"""How far the first tick looks back."""

AT_ONCE = 30
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
        seen: By kind of ending, the storage id of the last event that was dealt with.
        waiting: Failed runs that may be tried again automatically, so nothing is told of them yet.
    """

    seen: Mapping[str, int] = field(default_factory=dict)
    waiting: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str | None) -> Cursor:
        """From its text; the beginning where there is none that can be read."""
        try:
            found = json.loads(text or "{}")
            return cls(
                seen={kind: int(number) for kind, number in found.get("seen", {}).items()},
                waiting=tuple(str(run_id) for run_id in found.get("waiting", ())),
            )
        except (ValueError, AttributeError, TypeError):
            return cls()

    def write(self) -> str:
        """As text, for Dagster to keep."""
        return json.dumps({"seen": dict(self.seen), "waiting": list(self.waiting)})

    def after(self, change: Change) -> Cursor:
        """One ending further."""
        return Cursor({**self.seen, change.kind: change.storage_id}, self.waiting)


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


def changes_since(instance: dg.DagsterInstance, cursor: Cursor, *, now: datetime) -> list[Change]:
    """The runs that ended after the cursor, oldest first, at most ``AT_ONCE``."""
    found: list[Change] = []
    horizon = None
    for kind, event_type in _TYPES.items():
        records = instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(
                event_type=event_type,  # type: ignore[arg-type]  # a literal of enum members
                after_storage_id=cursor.seen.get(kind),
                after_timestamp=None
                if kind in cursor.seen
                else (now - FIRST_LOOK_BACK).timestamp(),
            ),
            limit=AT_ONCE,
            ascending=True,
        ).records
        found += [
            Change(kind=kind, storage_id=r.storage_id, run_id=r.run_id, at=r.timestamp)
            for r in records
        ]
        if len(records) == AT_ONCE:
            # There may be more of this kind before the later ones of another kind.
            last = records[-1].storage_id
            horizon = last if horizon is None else min(horizon, last)
    found = [one for one in found if horizon is None or one.storage_id <= horizon]
    return sorted(found, key=lambda one: one.storage_id)[:AT_ONCE]
