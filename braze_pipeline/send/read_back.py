"""The read-back: what Braze has of a sample of users, compared with what was sent to them.

A difference names the attribute, never the value. Braze usually takes a tenth of a second to
process an update (docs, "Race conditions"), so the sample is read a second time before a difference
counts.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.limits import EXPORT_IDS
from braze_pipeline.send.batches import batches
from braze_pipeline.storage import journal
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.braze.client import BrazeClient

REREAD_SECONDS: Final = 2.0
_CUSTOM: Final = "custom_attributes"


@dataclass(frozen=True, kw_only=True)
class ReadBack:
    """The result of a read-back.

    Attributes:
        compared: Users that Braze returned; it may not have all users of a plan.
        differences: Attribute name to the number of users that differ in it.
    """

    compared: int
    differences: Mapping[str, int]

    @property
    def agrees(self) -> bool:
        """Whether Braze has everything that was sent to the sample."""
        return not self.differences

    def sentence(self) -> str:
        """The result in one line."""
        if self.agrees:
            return f"{counted(self.compared, 'user')} read back: Braze has what was sent."
        names = ", ".join(f"{name} ({count:,})" for name, count in self.differences.items())
        return (
            f"{counted(self.compared, 'user')} read back; Braze has other values for: {names}. "
            "It may still be processing them, or it dropped them."
        )


def read_back(
    client: BrazeClient,
    journal_path: Path,
    *,
    snapshot: Path,
    plan_id: str,
    identifier: str,
    users: int,
) -> ReadBack:
    """Compare the first accepted users of a plan, at most 50, with their profiles in Braze.

    Raises:
        BrazeError: Braze refuses or cannot be reached.
    """
    accepted = _accepted(journal_path, snapshot, plan_id, identifier)
    sent = dict(islice(accepted, min(users, EXPORT_IDS)))
    result = _compare(client, sent, identifier)
    if not result.agrees:
        time.sleep(REREAD_SECONDS)
        result = _compare(client, sent, identifier)
    return result


def _accepted(
    journal_path: Path, snapshot: Path, plan_id: str, identifier: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each accepted user of a plan with what was sent to it."""
    refused = {(request, index) for request, index, *_ in journal.refused(journal_path, plan_id)}
    answered = journal.progress(journal_path, plan_id).ranges
    for batch in batches(snapshot, {}):
        ranges = answered.get(batch.request_no, ())
        for position, text in enumerate(batch.values.to_pylist(), start=batch.first):
            done = any(first <= position < first + count for first, count in ranges)
            if done and (batch.request_no, position) not in refused:
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
    """Whether a value in Braze is the one sent, in whichever form Braze returns times."""
    if sent == there or (sent == [] and there is None):
        return True
    if not isinstance(sent, str) or not isinstance(there, str):
        return False
    return _moment(sent) is not None and _moment(sent) == _moment(there)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
