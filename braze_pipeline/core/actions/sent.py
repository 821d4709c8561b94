"""What was and was not sent under a plan, read from the journal.

The journal is SQLite, so this works while a run holds the DuckDB file, and after a run that died.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How far a plan got.

    Attributes:
        planned: Users of the plan; None where unknown.
        accepted: Users that Braze accepted.
        rejected: Users that Braze refused by name.
    """

    planned: int | None
    accepted: int
    rejected: int

    @property
    def not_attempted(self) -> int | None:
        """Users that have no answer yet; None where unknown."""
        if self.planned is None:
            return None
        return max(0, self.planned - self.accepted - self.rejected)

    def sentence(self) -> str:
        """It in one line."""
        if not self.accepted and not self.rejected:
            if not self.planned:
                return "Nothing was sent."
            return f"Nothing was sent; {self.planned:,} users were planned."
        rest = self.not_attempted
        left = "an unknown number" if rest is None else f"{rest:,}"
        return (
            f"{self.accepted:,} users accepted by Braze, {self.rejected:,} refused, {left} not "
            "attempted."
        )


NOTHING = Sent(planned=None, accepted=0, rejected=0)


def plan_of_run(journal: Path, run_id: str) -> str | None:
    """The plan that a run last began to send; None when it began none."""
    found = _rows(
        journal,
        "SELECT plan_id FROM sends WHERE run_id = ? ORDER BY send_id DESC LIMIT 1",
        run_id,
    )
    return str(found[0][0]) if found else None


def sent_under(journal: Path, plan_id: str, *, planned: int | None) -> Sent:
    """What all sends of a plan got answers for, reruns included."""
    acknowledged = _rows(
        journal,
        "SELECT coalesce(sum(a.count), 0) FROM acknowledgements a "
        "JOIN sends s USING (send_id) WHERE s.plan_id = ?",
        plan_id,
    )
    refused = _rows(
        journal,
        "SELECT count(*) FROM (SELECT DISTINCT r.request_no, r.object_index FROM refusals r "
        "JOIN sends s USING (send_id) WHERE s.plan_id = ?)",
        plan_id,
    )
    answered = int(acknowledged[0][0]) if acknowledged else 0
    rejected = int(refused[0][0]) if refused else 0
    return Sent(planned=planned, accepted=max(0, answered - rejected), rejected=rejected)


def ever_acknowledged(journal: Path, destination: str) -> bool:
    """Whether Braze ever acknowledged anything to a destination, so that its key was good once."""
    return bool(
        _rows(
            journal,
            "SELECT 1 FROM sends s JOIN acknowledgements a USING (send_id) "
            "WHERE s.destination = ? LIMIT 1",
            destination,
        )
    )


def _rows(journal: Path, query: str, parameter: str) -> list[tuple[str | int, ...]]:
    """The rows of a query; none where there is no journal, or none that can be read.

    A damaged journal must not keep a failure from being told.
    """
    if not journal.is_file():
        return []
    try:
        with closing(sqlite3.connect(journal, timeout=5.0)) as con:
            return con.execute(query, (parameter,)).fetchall()
    except sqlite3.Error:
        return []
