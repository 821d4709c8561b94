"""What was and was not sent under a plan, read from the journal.

The journal is SQLite, so this works while a run holds the DuckDB file, and after a run that died.
One that cannot be read must not keep a failure from being reported: then nothing is known.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from braze_pipeline.errors import PipelineError
from braze_pipeline.storage import journal


@dataclass(frozen=True, kw_only=True)
class DeliveryStatus:
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


NOTHING_SENT = DeliveryStatus(planned=None, accepted=0, rejected=0)


def plan_of_run(path: Path, run_id: str) -> str | None:
    """The plan that a run last began to send; None when it began none."""
    with suppress(PipelineError):
        return journal.plan_of_run(path, run_id)
    return None


def delivery_status_of(path: Path, plan_id: str, *, planned: int | None) -> DeliveryStatus:
    """What all sends of a plan got answers for, reruns included."""
    with suppress(PipelineError):
        found = journal.progress(path, plan_id)
        return DeliveryStatus(planned=planned, accepted=found.accepted, rejected=found.refused)
    return DeliveryStatus(planned=planned, accepted=0, rejected=0)


def ever_acknowledged(path: Path, destination: str) -> bool:
    """Whether Braze ever acknowledged anything to a destination, so that its key was good once."""
    with suppress(PipelineError):
        return journal.last_acknowledged(path, destination) is not None
    return False
