"""What the event log holds about one run, read with one query.

Counts are read under the names that ``orchestration.metadata`` gives them. A missing count is an
error and never 0: a name that changed on one side only would otherwise switch an alert off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg
from dagster import DagsterEventType as Event

from braze_pipeline.alerts import Incident, RecordResult
from braze_pipeline.errors import PipelineError
from braze_pipeline.orchestration.attempts import attempts
from braze_pipeline.orchestration.days import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.settings import TemplateSettings

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

_TYPES = {
    Event.ASSET_MATERIALIZATION_PLANNED,
    Event.ASSET_MATERIALIZATION,
    Event.ASSET_CHECK_EVALUATION,
    Event.STEP_FAILURE,
    Event.ENGINE_EVENT,
}

Metadata = Mapping[str, dg.MetadataValue]


@dataclass(frozen=True, kw_only=True)
class TickEvent:
    """Something that a tick did.

    Attributes:
        text: What, in a few words.
        run_id: The run that it is about, if any.
    """

    text: str
    run_id: str | None


def newly_recorded(results: Sequence[RecordResult], run_id: str) -> list[TickEvent]:
    """What a run added to the store; nothing that another sensor had recorded before."""
    return [TickEvent(text=result.words(), run_id=run_id) for result in results if not result.known]


@dataclass(frozen=True, kw_only=True)
class FailedStep:
    """A step that failed.

    Attributes:
        asset: The asset of the step, if it is one of the templates' assets.
        metadata: What the ``dagster.Failure`` carried; empty for any other exception.
        error: The name of the exception's class; empty where a check failed the step.
    """

    step: str
    asset: dg.AssetKey | None
    metadata: Metadata
    error: str


@dataclass(kw_only=True)
class RunFacts:
    """One run.

    Attributes:
        planned: The assets that it was to materialize.
        materialized: Those that it did materialize, with the last metadata of each.
        failed: Steps that failed, in order.
        blocking_checks, other_checks: Checks that did not pass.
        errors: Errors outside of any step, such as definitions that cannot be loaded.
    """

    run: dg.DagsterRun
    planned: set[dg.AssetKey]
    materialized: dict[dg.AssetKey, Metadata] = field(default_factory=dict)
    failed: list[FailedStep] = field(default_factory=list)
    blocking_checks: list[dg.AssetCheckEvaluation] = field(default_factory=list)
    other_checks: list[dg.AssetCheckEvaluation] = field(default_factory=list)
    errors: list[SerializableErrorInfo] = field(default_factory=list)

    @property
    def days(self) -> tuple[str, str] | None:
        """First and last as-of date; None for a run without partitions."""
        return days_of_run(self.run)

    def touched(self, templates: Sequence[TemplateSettings]) -> list[TemplateSettings]:
        """The templates that the run works on; none if it is not about any of them."""
        return [t for t in templates if self.planned & set(TemplateKeys.of(t).all)]

    def goal(self, t: TemplateSettings) -> dg.AssetKey | None:
        """The last asset of a template that the run was to make."""
        wanted = [key for key in TemplateKeys.of(t).all if key in self.planned]
        return wanted[-1] if wanted else None

    def incident(
        self, t: TemplateSettings, action: str, what: str, *, fix: str, at: datetime
    ) -> Incident:
        """An incident of a template in this run; repeats are one action, with any ``what``."""
        goal, keys = self.goal(t), TemplateKeys.of(t).all
        before = keys[: keys.index(goal)] if goal else ()
        return Incident(
            action=action,
            what=what,
            fix=fix,
            destination=t.destination.name,
            template=t.name,
            at=at,
            run_id=self.run.run_id,
            days=self.days,
            goal=goal.to_user_string() if goal else None,
            before_goal=tuple(key.to_user_string() for key in before),
            cause="",
        )


def days_of_run(run: dg.DagsterRun) -> tuple[str, str] | None:
    """First and last as-of date of a run, from its tags; None where it has none."""
    day = run.tags.get(PARTITION_TAG)
    first, last = run.tags.get(RANGE_START_TAG, day), run.tags.get(RANGE_END_TAG, day)
    return (first, last) if first and last else None


def facts_of(
    instance: dg.DagsterInstance, run: dg.DagsterRun, templates: Sequence[TemplateSettings]
) -> RunFacts:
    """Read a run's events."""
    # A step is named after its asset.
    assets = {"__".join(key.path): key for t in templates for key in TemplateKeys.of(t).all}
    facts = RunFacts(run=run, planned=set(run.asset_selection or ()))
    for entry in instance.all_logs(run.run_id, of_type=_TYPES):
        event = entry.get_dagster_event()
        key = event.asset_key
        if event.event_type is Event.ASSET_MATERIALIZATION_PLANNED and key:
            facts.planned.add(key)
        elif event.event_type is Event.ASSET_MATERIALIZATION and key:
            facts.materialized[key] = event.step_materialization_data.materialization.metadata
        elif event.event_type is Event.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                (facts.blocking_checks if check.blocking else facts.other_checks).append(check)
        elif event.is_step_failure:
            facts.failed.append(_failed_step(event, assets))
        elif event.event_type is Event.ENGINE_EVENT and event.engine_event_data.error:
            facts.errors.append(event.engine_event_data.error)
    return facts


def with_earlier_attempts(
    instance: dg.DagsterInstance, facts: RunFacts, templates: Sequence[TemplateSettings]
) -> RunFacts:
    """A run, with what the runs that it resumes made for it and what their checks found there."""
    whole = replace(
        facts,
        materialized=dict(facts.materialized),
        other_checks=list(facts.other_checks),
    )
    for run in attempts(instance, facts.run)[1:]:
        before = facts_of(instance, run, templates)
        again = whole.materialized.keys() | {step.asset for step in before.failed}
        kept = {key: made for key, made in before.materialized.items() if key not in again}
        whole.materialized |= kept
        whole.other_checks += [one for one in before.other_checks if one.asset_key in kept]
    return whole


def _failed_step(event: dg.DagsterEvent, assets: Mapping[str, dg.AssetKey]) -> FailedStep:
    step, data = event.step_key or "", event.step_failure_data
    failure = data.user_failure_data
    return FailedStep(
        step=step,
        asset=assets.get(step),
        metadata=failure.metadata if failure else {},
        error=(data.error.cls_name or "") if data.error else "",
    )


def number_of(metadata: Metadata, key: str) -> int:
    """A count that a step reported.

    Raises:
        PipelineError: the step did not report it.
    """
    value = metadata[key].value if key in metadata else None
    if not isinstance(value, int):
        raise PipelineError(
            f"The run reports no {key!r}.",
            fix="Another version of braze_pipeline wrote its metadata, or this is a defect. Look "
            "at the run in the UI, and report it.",
        )
    return value


def text_of(metadata: Metadata, key: str) -> str | None:
    """A text that a step reported; None where it reported none."""
    return str(metadata[key].value) if key in metadata else None
