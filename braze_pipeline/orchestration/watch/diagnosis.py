"""Why a run failed: decided by types and structure, never by the text of an error.

The class comes from the metadata of our own ``dagster.Failure`` (see ``orchestration.failures``),
else from a blocking check that did not pass, else from how the run's process ended. Both the
command line and the sensors use this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
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
from braze_pipeline.orchestration.watch.runs import RunFacts, number_of, text_of
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage.warehouse import Warehouse

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
        action: The class of workflow action, as in the typed error.
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
        """The exit code of the command line."""
        return error_of(self.action).exit_code


NO_CAUSE_FOUND = Cause(action=UNKNOWN, what="The run failed outside of any step.")


def diagnose(
    facts: RunFacts,
    t: TemplateSettings,
    *,
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    at: datetime,
) -> Incident | None:
    """What a run that failed or was terminated means for a template; None: nothing.

    Args:
        facts: The run.
        t: One of the templates that it works on.
        instance: Where an earlier plan is looked up.
        warehouse: The journal of acknowledgements is beside it.
        at: When the run ended.
    """
    cause = cause_of(facts, t)
    if cause is None:
        return None
    action, journal = cause.action, warehouse.journal_path
    # However many users lack an identifier, it is one problem to fix.
    one_cause = action == MissingRequiredField.action
    if one_cause:
        action = missing_field(t)
    elif action == InvalidCredentials.action and ever_acknowledged(journal, t.destination.name):
        # The key was good before and may be so again. A second 401 in a row makes it persistent.
        action = STATUS_401_TRANSIENT
    return replace(
        facts.incident(t, action, cause.what, fix=cause.fix, at=at),
        guard=cause.guard,
        sent=_delivery_status(facts, t, instance=instance, warehouse=warehouse),
        cause="" if one_cause else None,
    )


def missing_field(t: TemplateSettings) -> str:
    """The class of a missing required field: of an orchestration or of a campaign."""
    return MISSING_FIELD_CAMPAIGN if t.kind == "campaign" else MISSING_FIELD_ORCHESTRATION


def cause_of(facts: RunFacts, t: TemplateSettings) -> Cause | None:
    """Why a run failed or was terminated; None where that is about other templates only."""
    ours = set(TemplateKeys.of(t).all)
    steps = [step for step in facts.failed if step.asset in ours]
    if not steps and _is_about_others(facts, t):
        return None
    if facts.run.status is dg.DagsterRunStatus.CANCELED:
        return _terminated(facts)
    # A step that belongs to no template here may be ours all the same, in another code location.
    for step in steps or facts.failed:
        if failures.ACTION in step.metadata:
            return Cause(
                action=str(step.metadata[failures.ACTION].value),
                what=str(step.metadata[failures.WHAT].value),
                fix=str(step.metadata[failures.FIX].value),
            )
        if step.error in _INTERRUPTS:
            return _terminated(facts)
    for step in steps:
        for check in facts.blocking_checks:
            if check.asset_key == step.asset:
                return _of_check(check)
    for step in facts.failed:
        return Cause(action=UNKNOWN, what=f"The step {step.step} failed.")
    return _outside_of_steps(facts)


def _is_about_others(facts: RunFacts, t: TemplateSettings) -> bool:
    """Whether no more than other templates' parts of a run failed, or were left undone."""
    if any(step.asset is not None for step in facts.failed):
        return True
    # Steps of another destination are known by their names.
    names = {key.path[-1] for key in TemplateKeys.of(t).all}
    elsewhere = all(step.step.rpartition("__")[2] in names for step in facts.failed)
    left = facts.failed or facts.planned - facts.materialized.keys()
    return facts.goal(t) in facts.materialized and elsewhere and bool(left)


def _terminated(facts: RunFacts) -> Cause:
    begun = "while it ran" if facts.materialized or facts.failed else "before it did anything"
    return Cause(
        action=SendInterrupted.action,
        what=f"The run was terminated {begun}.",
        fix="Run again: it resumes where it stopped.",
    )


def _of_check(check: dg.AssetCheckEvaluation) -> Cause:
    name, result = check.check_name, check.description or ""
    guard = guard_of(name)
    if guard is not None:
        return Cause(
            action=GuardStopped.action,
            what=f"Nothing was sent. {guard}: {result}",
            fix=f'If the change is intended, run again with --let-through {guard} --reason "…".',
            guard=guard,
        )
    if name == ACCOUNTING:
        return Cause(
            action=AccountingError.action,
            what=f"{name}: {result}",
            fix="Look at the counts in the check's metadata. Send nothing else until then.",
        )
    if name == AUDIENCE:
        return Cause(
            action=AudienceEmpty.action, what=f"Nothing was sent. {result}", fix=EMPTY_AUDIENCE_FIX
        )
    # A check of the brand's own: its description may hold anything, so it is not passed on.
    return Cause(action=ContractBroken.action, what=f"The blocking check {name} did not pass.")


def _outside_of_steps(facts: RunFacts) -> Cause:
    for error in facts.errors:
        found = _typed_error(error)
        if found is not None:
            return found
    reason = facts.run.tags.get(_REASON_TAG)
    # The code server and the daemon give no reason for a run worker that they find dead.
    if reason in _DIED or (reason is None and not facts.errors):
        return Cause(action=PROCESS_DIED, what="The run's process exited without an error message.")
    if reason == _NEVER_LOADED:
        return Cause(
            action=ConfigurationError.action,
            what="The run could not load its definitions, or its resources.",
        )
    return NO_CAUSE_FOUND


def _typed_error(error: SerializableErrorInfo) -> Cause | None:
    """The typed error of ours that an error is, or was caused by."""
    for kind in error_classes():
        prefix = f"{kind.__module__}.{kind.__qualname__}: "
        if error.message.startswith(prefix):
            return Cause(action=kind.action, what=error.message.removeprefix(prefix).strip())
    before = error.cause or error.context
    return _typed_error(before) if before is not None else None


def _delivery_status(
    facts: RunFacts, t: TemplateSettings, *, instance: dg.DagsterInstance, warehouse: Warehouse
) -> DeliveryStatus:
    """What the run's plan got answers for, by the journal; nothing where there was no plan."""
    key = TemplateKeys.of(t).plan
    journal = warehouse.journal_path
    made = facts.materialized.get(key, {})
    # A send plans again where another run came first: what it began to send is the run's plan.
    started = plan_of_run(journal, facts.run.run_id, t.destination.name, t.name)
    plan = started or text_of(made, metadata.PLAN)
    if plan is None:
        return NOTHING_SENT
    if text_of(made, metadata.PLAN) != plan:  # only the send was repeated: an earlier run's plan
        last = instance.get_latest_materialization_event(key)
        made = last.asset_materialization.metadata if last and last.asset_materialization else {}
    known = text_of(made, metadata.PLAN) == plan
    return delivery_status_of(
        journal, plan, planned=number_of(made, metadata.ROWS) if known else None
    )
