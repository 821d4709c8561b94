"""Why a run failed, by types and structure and never by the text of an error.

The class comes from the metadata of our own ``dagster.Failure`` (see ``orchestration.failures``),
else from a blocking check that did not pass, else from how the run's process ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg

from braze_pipeline.core.actions import (
    NOTHING,
    Found,
    Sent,
    ever_acknowledged,
    plan_of_run,
    sent_under,
)
from braze_pipeline.core.actions.kinds import (
    MISSING_FIELD_CAMPAIGN,
    MISSING_FIELD_ORCHESTRATION,
    PROCESS_DIED,
    STATUS_401_TRANSIENT,
    UNKNOWN,
)
from braze_pipeline.core.audience import NOBODY
from braze_pipeline.errors import (
    AccountingError,
    AudienceEmpty,
    ConfigurationError,
    ContractBroken,
    GuardStopped,
    InvalidCredentials,
    MissingRequiredField,
    SendInterrupted,
)
from braze_pipeline.orchestration import failures
from braze_pipeline.orchestration.checks import ACCOUNTING, AUDIENCE
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.watch.runs import Metadata, RunFacts, StepFailed
from braze_pipeline.settings import TemplateSettings

GUARD_PREFIX = "guard_"
PLAN_METADATA = "plan"
ROWS_METADATA = "dagster/row_count"

_REASON_TAG = "dagster/failure_reason"
_DIED = frozenset({"UNEXPECTED_TERMINATION", "START_TIMEOUT", "RUN_WORKER_RESTART"})
_NEVER_LOADED = "JOB_INITIALIZATION_FAILURE"


@dataclass(frozen=True, kw_only=True)
class _Cause:
    action: str
    what: str
    fix: str = ""
    guard: str | None = None


def diagnose(
    facts: RunFacts,
    t: TemplateSettings,
    *,
    instance: dg.DagsterInstance,
    journal: Path,
    at: datetime,
) -> Found | None:
    """What of a run that failed or was terminated concerns a template; None: nothing does.

    Args:
        facts: The run.
        t: One of the templates that it works on.
        instance: Where an earlier plan is looked up.
        journal: The journal of acknowledgements.
        at: When the run ended.
    """
    ours = set(TemplateKeys.of(t).all)
    steps = [step for step in facts.failed if step.asset in ours]
    if not steps and any(step.asset is not None for step in facts.failed):
        return None  # it is another template's step that failed
    cause = _cause(facts, steps)
    goal = facts.goal(t)
    return Found(
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
    )


def _cause(facts: RunFacts, steps: Sequence[StepFailed]) -> _Cause:
    if facts.run.status is dg.DagsterRunStatus.CANCELED:
        begun = "while it ran" if facts.materialized or facts.failed else "before it did anything"
        return _Cause(action=SendInterrupted.action, what=f"The run was terminated {begun}.")
    for step in steps:
        if failures.ACTION in step.metadata:
            return _typed(step.metadata)
    for step in steps:
        for check in facts.broken:
            if check.asset_key == step.asset:
                return _of_check(check)
    for step in facts.failed:
        return _Cause(action=UNKNOWN, what=f"The step {step.step} failed.")
    return _of_process(facts.run.tags.get(_REASON_TAG, "UNKNOWN"))


def _typed(metadata: Metadata) -> _Cause:
    def text(key: str) -> str:
        return str(metadata[key].value) if key in metadata else ""

    return _Cause(action=text(failures.ACTION), what=text(failures.WHAT), fix=text(failures.FIX))


def _of_check(check: dg.AssetCheckEvaluation) -> _Cause:
    said = check.description or ""
    if check.check_name.startswith(GUARD_PREFIX):
        guard = check.check_name.removeprefix(GUARD_PREFIX)
        return _Cause(
            action=GuardStopped.action, what=f"Nothing was sent. {guard}: {said}", guard=guard
        )
    if check.check_name == ACCOUNTING:
        return _Cause(action=AccountingError.action, what=f"{check.check_name}: {said}")
    if check.check_name == AUDIENCE:
        return _Cause(action=AudienceEmpty.action, what=f"Nothing was sent. {said}", fix=NOBODY)
    # Somebody else's check: its description is not ours to pass on.
    return _Cause(
        action=ContractBroken.action, what=f"The blocking check {check.check_name} did not pass."
    )


def _of_process(reason: str) -> _Cause:
    if reason in _DIED:
        return _Cause(action=PROCESS_DIED, what="The process of the run ended without a word.")
    if reason == _NEVER_LOADED:
        return _Cause(
            action=ConfigurationError.action,
            what="The run could not load its definitions, or its resources.",
        )
    return _Cause(action=UNKNOWN, what="The run failed outside of any step.")


def _refined(action: str, t: TemplateSettings, journal: Path) -> str:
    """The class that also depends on the template, or on what went well before."""
    if action == MissingRequiredField.action:
        return MISSING_FIELD_CAMPAIGN if t.kind == "campaign" else MISSING_FIELD_ORCHESTRATION
    if action == InvalidCredentials.action and ever_acknowledged(journal, t.destination.name):
        # The key was good once: it may be so again. A second 401 in a row makes it persistent.
        return STATUS_401_TRANSIENT
    return action


def sent_of(
    facts: RunFacts, t: TemplateSettings, *, instance: dg.DagsterInstance, journal: Path
) -> Sent:
    """What the run's plan got answers for, by the journal; nothing where there was no plan."""
    keys = TemplateKeys.of(t)
    made = facts.materialized.get(keys.plan, {})
    # A send plans again where another run came first: what it began to send is the run's plan.
    plan = plan_of_run(journal, facts.run.run_id) or _text(made, PLAN_METADATA)
    if plan is None:
        return NOTHING
    planned = _number(made, ROWS_METADATA) if _text(made, PLAN_METADATA) == plan else None
    if planned is None:  # only the send was run again: the plan is an earlier run's
        last = instance.get_latest_materialization_event(keys.plan)
        earlier = last.asset_materialization.metadata if last and last.asset_materialization else {}
        if _text(earlier, PLAN_METADATA) == plan:
            planned = _number(earlier, ROWS_METADATA)
    return sent_under(journal, plan, planned=planned)


def _text(metadata: Metadata, key: str) -> str | None:
    return str(metadata[key].value) if key in metadata else None


def _number(metadata: Metadata, key: str) -> int | None:
    value = metadata[key].value if key in metadata else None
    return value if isinstance(value, int) else None
