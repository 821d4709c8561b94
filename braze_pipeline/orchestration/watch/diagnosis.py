"""Why a run failed, by types and structure and never by the text of an error.

The class comes from the metadata of our own ``dagster.Failure`` (see ``orchestration.failures``),
else from a blocking check that did not pass, else from how the run's process ended. The command
line and the sensors both ask here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from braze_pipeline.alerts import (
    NOTHING_SENT,
    DeliveryStatus,
    Incident,
    delivery_status_of,
    ever_acknowledged,
    plan_of_run,
)
from braze_pipeline.alerts.action_classes import (
    MISSING_FIELD_CAMPAIGN,
    MISSING_FIELD_ORCHESTRATION,
    PROCESS_DIED,
    STATUS_401_TRANSIENT,
    UNKNOWN,
    error_of,
)
from braze_pipeline.audience.build import EMPTY_AUDIENCE_FIX
from braze_pipeline.errors import (
    AccountingError,
    AudienceEmpty,
    ConfigurationError,
    ContractBroken,
    GuardStopped,
    InvalidCredentials,
    MissingRequiredField,
    SendInterrupted,
    error_classes,
)
from braze_pipeline.orchestration import failures, metadata
from braze_pipeline.orchestration.checks import ACCOUNTING, AUDIENCE, guard_of
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.watch.runs import Metadata, RunFacts, number_of, text_of
from braze_pipeline.settings import TemplateSettings

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

_REASON_TAG = "dagster/failure_reason"
_DIED = frozenset({"UNEXPECTED_TERMINATION", "START_TIMEOUT", "RUN_WORKER_RESTART"})
_NEVER_LOADED = "JOB_INITIALIZATION_FAILURE"
_INTERRUPTS = frozenset({"DagsterExecutionInterruptedError", "KeyboardInterrupt"})


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why a run failed.

    Attributes:
        action: The class of workflow action, as the typed error has it.
        what, fix: What happened and what to do, with no personal data.
        guard: The guard that stopped it.
    """

    action: str
    what: str
    fix: str = ""
    guard: str | None = None

    @property
    def title(self) -> str:
        """The class in words."""
        return error_of(self.action).title

    @property
    def exit_code(self) -> int:
        """The command line's."""
        return error_of(self.action).exit_code


def diagnose(
    facts: RunFacts,
    t: TemplateSettings,
    *,
    instance: dg.DagsterInstance,
    journal: Path,
    at: datetime,
) -> Incident | None:
    """What of a run that failed or was terminated concerns a template; None: nothing does.

    Args:
        facts: The run.
        t: One of the templates that it works on.
        instance: Where an earlier plan is looked up.
        journal: The journal of acknowledgements.
        at: When the run ended.
    """
    cause = cause_of(facts, t)
    if cause is None:
        return None
    goal = facts.goal(t)
    return Incident(
        action=_refined(cause.action, t, journal),
        what=cause.what,
        fix=cause.fix,
        destination=t.destination.name,
        template=t.name,
        at=at,
        run_id=facts.run.run_id,
        days=facts.days,
        goal=goal.to_user_string() if goal else None,
        guard=cause.guard,
        sent=sent_of(facts, t, instance=instance, journal=journal),
        # Nobody without an identifier, some, or all of them: one thing to put right.
        cause="" if cause.action == MissingRequiredField.action else None,
    )


NOTHING_KNOWN = Cause(action=UNKNOWN, what="The run failed outside of any step.")


def cause_of(facts: RunFacts, t: TemplateSettings) -> Cause | None:
    """Why a run failed or was terminated; None where only another template's step failed."""
    ours = set(TemplateKeys.of(t).all)
    steps = [step for step in facts.failed if step.asset in ours]
    if not steps and any(step.asset is not None for step in facts.failed):
        return None
    if facts.run.status is dg.DagsterRunStatus.CANCELED:
        return _terminated(facts)
    for step in steps:
        if failures.ACTION in step.metadata:
            return _typed(step.metadata)
        if step.error in _INTERRUPTS:
            return _terminated(facts)
    for step in steps:
        for check in facts.broken:
            if check.asset_key == step.asset:
                return _of_check(check)
    for step in facts.failed:
        return Cause(action=UNKNOWN, what=f"The step {step.step} failed.")
    return _outside(facts)


def _terminated(facts: RunFacts) -> Cause:
    begun = "while it ran" if facts.materialized or facts.failed else "before it did anything"
    return Cause(
        action=SendInterrupted.action,
        what=f"The run was terminated {begun}.",
        fix="Run again: it resumes where it stopped.",
    )


def _typed(told: Metadata) -> Cause:
    return Cause(
        action=str(told[failures.ACTION].value),
        what=str(told[failures.WHAT].value),
        fix=str(told[failures.FIX].value),
    )


def _of_check(check: dg.AssetCheckEvaluation) -> Cause:
    said = check.description or ""
    guard = guard_of(check.check_name)
    if guard is not None:
        return Cause(
            action=GuardStopped.action,
            what=f"Nothing was sent. {guard}: {said}",
            fix=f'If that is right, run again with --let-through {guard} --reason "…".',
            guard=guard,
        )
    if check.check_name == ACCOUNTING:
        return Cause(
            action=AccountingError.action,
            what=f"{check.check_name}: {said}",
            fix="Look at the counts in the check's metadata; send nothing else until then.",
        )
    if check.check_name == AUDIENCE:
        return Cause(
            action=AudienceEmpty.action, what=f"Nothing was sent. {said}", fix=EMPTY_AUDIENCE_FIX
        )
    # Somebody else's check: its description is not ours to pass on.
    return Cause(
        action=ContractBroken.action, what=f"The blocking check {check.check_name} did not pass."
    )


def _outside(facts: RunFacts) -> Cause:
    """Why a run failed outside of any step."""
    for error in facts.errors:
        found = _raised(error)
        if found is not None:
            return found
    reason = facts.run.tags.get(_REASON_TAG)
    if reason in _DIED:
        return Cause(action=PROCESS_DIED, what="The run's process exited without an error message.")
    if reason == _NEVER_LOADED:
        return Cause(
            action=ConfigurationError.action,
            what="The run could not load its definitions, or its resources.",
        )
    return NOTHING_KNOWN


def _raised(error: SerializableErrorInfo) -> Cause | None:
    """The typed error of ours that an error is, or was caused by."""
    for kind in error_classes():
        begins = f"{kind.__module__}.{kind.__qualname__}: "
        if error.message.startswith(begins):
            return Cause(action=kind.action, what=error.message.removeprefix(begins).strip())
    before = error.cause or error.context
    return _raised(before) if before is not None else None


def missing_field(t: TemplateSettings) -> str:
    """The class of "missing required field": of a template's query, or its recipient groups."""
    return MISSING_FIELD_CAMPAIGN if t.kind == "campaign" else MISSING_FIELD_ORCHESTRATION


def _refined(action: str, t: TemplateSettings, journal: Path) -> str:
    """The class that also depends on the template, or on what went well before."""
    if action == MissingRequiredField.action:
        return missing_field(t)
    if action == InvalidCredentials.action and ever_acknowledged(journal, t.destination.name):
        # The key was good once: it may be so again. A second 401 in a row makes it persistent.
        return STATUS_401_TRANSIENT
    return action


def sent_of(
    facts: RunFacts, t: TemplateSettings, *, instance: dg.DagsterInstance, journal: Path
) -> DeliveryStatus:
    """What the run's plan got answers for, by the journal; nothing where there was no plan."""
    keys = TemplateKeys.of(t)
    made = facts.materialized.get(keys.plan, {})
    # A send plans again where another run came first: what it began to send is the run's plan.
    plan = plan_of_run(journal, facts.run.run_id) or text_of(made, metadata.PLAN)
    if plan is None:
        return NOTHING_SENT
    if text_of(made, metadata.PLAN) != plan:  # only the send was run again: of an earlier run
        last = instance.get_latest_materialization_event(keys.plan)
        made = last.asset_materialization.metadata if last and last.asset_materialization else {}
    known = text_of(made, metadata.PLAN) == plan
    return delivery_status_of(
        journal, plan, planned=number_of(made, metadata.ROWS) if known else None
    )
