"""The classes of workflow actions.

Most are the classes of the typed errors (``errors``). Listed here are the others: refined classes
of an error, and what only the sensors find.
"""

from __future__ import annotations

from collections.abc import Mapping

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
"""Refined classes, with the class of the error that they come from."""


def error_of(action: str) -> type[PipelineError]:
    """The typed error of a class, which has its title and exit code; else ``PipelineError``."""
    wanted = REFINED.get(action, action)
    return next((kind for kind in error_classes() if kind.action == wanted), PipelineError)
