"""The read-back: what Braze has of a sample of users, compared with what was sent to them.

A difference names the attribute, never the value. Braze usually takes a tenth of a second to
process an update (docs, "Race conditions"); the sample is read again once before it counts.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.limits import EXPORT_IDS
from braze_pipeline.send.batches import batches

if TYPE_CHECKING:
    from braze_pipeline.braze.client import BrazeClient
    from braze_pipeline.storage.journal import Journal

AGAIN_SECONDS: Final = 2.0
_CUSTOM: Final = "custom_attributes"


@dataclass(frozen=True, kw_only=True)
class ReadBack:
    """What was found.

    Attributes:
        compared: Users that Braze returned; it has not all of a plan's users.
        differences: Attribute name to how many of them differ in it.
    """

    compared: int
    differences: Mapping[str, int]

    @property
    def agrees(self) -> bool:
        """Whether Braze has everything that was sent to the sample."""
        return not self.differences

    def sentence(self) -> str:
        """What was found, in words and counts."""
        if self.agrees:
            return f"{self.compared:,} users read back: Braze has what was sent."
        found = ", ".join(f"{name} ({count:,})" for name, count in self.differences.items())
        return (
            f"{self.compared:,} users read back; Braze has otherwise: {found}. It may still be "
            "processing, or it dropped the values."
        )


def read_back(
    client: BrazeClient,
    journal: Journal,
    *,
    snapshot: Path,
    plan_id: str,
    identifier: str,
    users: int,
) -> ReadBack:
    """Compare the first accepted users of a plan, at most 50, with what Braze has of them.

    Raises:
        BrazeError: Braze refuses or cannot be reached.
    """
    sent = dict(_accepted(journal, snapshot, plan_id, identifier, min(users, EXPORT_IDS)))
    found = _compare(client, sent, identifier)
    if not found.agrees:
        time.sleep(AGAIN_SECONDS)
        found = _compare(client, sent, identifier)
    return found


def _accepted(
    journal: Journal, snapshot: Path, plan_id: str, identifier: str, most: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    refused = journal.refused(plan_id)
    answered = journal.progress(plan_id).ranges
    taken = 0
    for batch in batches(snapshot, {}):
        ranges = answered.get(batch.request_no, ())
        for place, text in enumerate(batch.values.to_pylist(), start=batch.first):
            done = any(first <= place < first + count for first, count in ranges)
            if not done or (batch.request_no, place) in refused:
                continue
            if taken == most:
                return
            taken += 1
            values = json.loads(text)
            yield str(values.pop(identifier)), values


def _compare(
    client: BrazeClient, sent: Mapping[str, Mapping[str, Any]], identifier: str
) -> ReadBack:
    names = sorted({name for values in sent.values() for name in values if name in FIELDS})
    users = client.export_ids(list(sent), [identifier, _CUSTOM, *names]) if sent else []
    differences: Counter[str] = Counter()
    compared = 0
    for user in users:
        values = sent.get(str(user.get(identifier)))
        if values is None:
            continue
        compared += 1
        custom = user.get(_CUSTOM) or {}
        for name, value in values.items():
            there = user.get(name) if name in FIELDS else custom.get(name)
            if not name.startswith("_") and not same(value, there):
                differences[name] += 1
    return ReadBack(compared=compared, differences=dict(differences))


def same(sent: Any, there: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether Braze has a value, in whichever form it gives times back."""
    if sent == there or (isinstance(sent, list) and not sent and there is None):
        return True
    if not isinstance(sent, str) or not isinstance(there, str):
        return False
    mine, theirs = _moment(sent), _moment(there)
    return mine is not None and mine == theirs


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
