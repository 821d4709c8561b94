"""What was and was not sent under a plan, read from the journal.

The journal is SQLite, so this works while a run keeps the DuckDB file open, and after a run that
crashed. An unreadable journal must not prevent the report of a failure: then nothing is known.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from braze_pipeline.errors import PipelineError
from braze_pipeline.storage import journal
from braze_pipeline.wording import counted


@dataclass(frozen=True, kw_only=True)
class DeliveryStatus:
    """How far a plan got.

    Attributes:
        planned: Users of the plan; None if unknown.
        accepted: Users that Braze accepted.
        rejected: Users that Braze refused by name.
    """

    planned: int | None
    accepted: int
    rejected: int

    @property
    def not_attempted(self) -> int | None:
        """Users without an answer; None if unknown."""
        if self.planned is None:
            return None
        return max(0, self.planned - self.accepted - self.rejected)

    def sentence(self) -> str:
        """The status in one line."""
        if not self.accepted and not self.rejected:
            if not self.planned:
                return "Nothing was sent."
            return f"Nothing was sent; {counted(self.planned, 'user was', 'users were')} planned."
        rest = self.not_attempted
        left = "an unknown number" if rest is None else f"{rest:,}"
        return (
            f"{counted(self.accepted, 'user')} accepted by Braze, {self.rejected:,} rejected, "
            f"{left} not attempted."
        )


NOTHING_SENT = DeliveryStatus(planned=None, accepted=0, rejected=0)


def plan_of_run(path: Path, run_id: str, destination: str, template: str) -> str | None:
    """The template's plan that a run last started to send; None if there is none, or unknown."""
    with suppress(PipelineError):
        return journal.plan_of_run(path, run_id, destination, template)
    return None


def delivery_status_of(path: Path, plan_id: str, *, planned: int | None) -> DeliveryStatus:
    """The status of a plan over all of its sends, including reruns."""
    with suppress(PipelineError):
        sent = journal.progress(path, plan_id)
        return DeliveryStatus(planned=planned, accepted=sent.accepted, rejected=sent.refused)
    return DeliveryStatus(planned=planned, accepted=0, rejected=0)


def ever_acknowledged(path: Path, destination: str) -> bool:
    """Whether Braze ever acknowledged anything for a destination: then its key was valid once."""
    with suppress(PipelineError):
        return journal.last_acknowledged(path, destination) is not None
    return False
