"""The classes of workflow actions, and what is known of each.

Most classes are those of the typed errors (``errors``); listed here are the others: errors that are
told apart further, and what only the sensors find.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from braze_pipeline.errors import (
    InvalidCredentials,
    MissingRequiredField,
    PipelineError,
    error_classes,
)

STATUS_401_TRANSIENT = "status_401_transient"
STATUS_401_PERSISTENT = "status_401_persistent"
MISSING_FIELD_ORCHESTRATION = "missing_required_field_orchestration"
MISSING_FIELD_CAMPAIGN = "missing_required_field_campaign"
PARTIAL_SUCCESS = "partial_success"
SOURCE_STALE = "source_stale"
SLOW_RUN = "slow_run"
SEND_OVERDUE = "send_overdue"
PROCESS_DIED = "process_died"
UNKNOWN = PipelineError.action

REFINED: Mapping[str, str] = {
    STATUS_401_TRANSIENT: InvalidCredentials.action,
    STATUS_401_PERSISTENT: InvalidCredentials.action,
    MISSING_FIELD_ORCHESTRATION: MissingRequiredField.action,
    MISSING_FIELD_CAMPAIGN: MissingRequiredField.action,
}
"""Classes that are told apart here, to the class of the error that they come from."""


def error_of(action: str) -> type[PipelineError]:
    """The typed error that a class comes from: its title and exit code; PipelineError for none."""
    wanted = REFINED.get(action, action)
    return next((kind for kind in error_classes() if kind.action == wanted), PipelineError)


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """One class of workflow action.

    Attributes:
        title: The class in words.
        meaning: What it means, in a sentence or two, with ``{placeholders}``.
        steps: What to do, in order, with ``{placeholders}``.
        section: The documented workflow action that it answers to; empty where there is none.
        retry: Whether "resolve" can retry the run.
        whole: Whether a retry does all steps of the run again: what went wrong is in the data that
            its earlier steps made.
    """

    title: str
    meaning: str
    steps: tuple[str, ...]
    section: str = ""
    retry: bool = True
    whole: bool = False

    def steps_for(self, facts: Mapping[str, str]) -> tuple[str, ...]:
        """The steps with their placeholders filled in; an unknown one stays readable."""
        return tuple(step.format_map(_Facts(facts)) for step in self.steps)

    def meaning_for(self, facts: Mapping[str, str]) -> str:
        """The meaning with its placeholders filled in."""
        return self.meaning.format_map(_Facts(facts))


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key.upper()
