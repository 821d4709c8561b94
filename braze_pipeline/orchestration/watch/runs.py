"""What the event log says of one run: one query, read once.

Counts are read under the names that ``orchestration.metadata`` gave them. One that is not there is
an error and never 0: a name that changed on one side only would switch an alert off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from braze_pipeline.errors import PipelineError
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.settings import TemplateSettings

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

_TYPES = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ENGINE_EVENT,
}

Metadata = Mapping[str, dg.MetadataValue]


@dataclass(frozen=True, kw_only=True)
class Done:
    """Something that a tick did.

    Attributes:
        words: What, in a few words.
        run_id: The run that it is about; None for none.
    """

    words: str
    run_id: str | None


@dataclass(frozen=True, kw_only=True)
class StepFailed:
    """A step that failed.

    Attributes:
        asset: The asset of the step, where it is one of the templates'.
        metadata: What the ``dagster.Failure`` carried; empty for any other exception.
        error: The name of the exception's class; empty where a check failed the step.
    """

    step: str
    asset: dg.AssetKey | None
    metadata: Metadata
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """One run.

    Attributes:
        planned: The assets that it was to materialize.
        materialized: Those that it did, with the last metadata of each.
        observed: Those that it observed (a send that failed half-way), likewise.
        failed: Steps that failed, in order.
        broken: Blocking checks that failed.
        warned: Other checks that did not pass.
        errors: What Dagster met outside of any step, such as definitions that cannot be loaded.
    """

    run: dg.DagsterRun
    planned: frozenset[dg.AssetKey]
    materialized: Mapping[dg.AssetKey, Metadata]
    observed: Mapping[dg.AssetKey, Metadata]
    failed: Sequence[StepFailed]
    broken: Sequence[dg.AssetCheckEvaluation]
    warned: Sequence[dg.AssetCheckEvaluation] = ()
    errors: Sequence[SerializableErrorInfo] = ()

    @property
    def days(self) -> tuple[str, str] | None:
        """First and last as-of date; None for a run without partitions."""
        return days_of_run(self.run)

    def touched(self, templates: Sequence[TemplateSettings]) -> list[TemplateSettings]:
        """The templates that it works on; none: the run is not ours."""
        return [t for t in templates if self.planned & set(TemplateKeys.of(t).all)]

    def goal(self, t: TemplateSettings) -> dg.AssetKey | None:
        """The last asset of a template that it was to reach."""
        wanted = [key for key in TemplateKeys.of(t).all if key in self.planned]
        return wanted[-1] if wanted else None


def days_of_run(run: dg.DagsterRun) -> tuple[str, str] | None:
    """First and last as-of date of a run, from its tags; None where it has none."""
    day = run.tags.get(PARTITION_TAG)
    first, last = run.tags.get(RANGE_START_TAG, day), run.tags.get(RANGE_END_TAG, day)
    return (first, last) if first and last else None


def facts_of(
    instance: dg.DagsterInstance, run: dg.DagsterRun, templates: Sequence[TemplateSettings]
) -> RunFacts:
    """Read a run's events."""
    assets = {
        "__".join(key.path): key for t in templates for key in TemplateKeys.of(t).all
    }  # a step is named after its asset
    planned: set[dg.AssetKey] = set(run.asset_selection or ())
    materialized: dict[dg.AssetKey, Metadata] = {}
    observed: dict[dg.AssetKey, Metadata] = {}
    failed: list[StepFailed] = []
    broken: list[dg.AssetCheckEvaluation] = []
    warned: list[dg.AssetCheckEvaluation] = []
    errors: list[SerializableErrorInfo] = []
    for entry in instance.all_logs(run.run_id, of_type=_TYPES):
        event = entry.get_dagster_event()
        key = event.asset_key
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            planned |= {key} if key else set()
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION and key:
            materialized[key] = event.step_materialization_data.materialization.metadata
        elif event.event_type is dg.DagsterEventType.ASSET_OBSERVATION and key:
            observed[key] = event.asset_observation_data.asset_observation.metadata
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                (broken if check.blocking else warned).append(check)
        elif event.is_step_failure:
            failed.append(_step_failed(event, assets))
        elif event.event_type is dg.DagsterEventType.ENGINE_EVENT and event.engine_event_data.error:
            errors.append(event.engine_event_data.error)
    return RunFacts(
        run=run,
        planned=frozenset(planned),
        materialized=materialized,
        observed=observed,
        failed=failed,
        broken=broken,
        warned=warned,
        errors=errors,
    )


def _step_failed(event: dg.DagsterEvent, assets: Mapping[str, dg.AssetKey]) -> StepFailed:
    step, data = event.step_key or "", event.step_failure_data
    told = data.user_failure_data
    return StepFailed(
        step=step,
        asset=assets.get(step),
        metadata=told.metadata if told else {},
        error=(data.error.cls_name or "") if data.error else "",
    )


def number_of(metadata: Metadata, key: str) -> int:
    """A count that a step reported.

    Raises:
        PipelineError: it is not there.
    """
    value = metadata[key].value if key in metadata else None
    if not isinstance(value, int):
        raise PipelineError(
            f"The run reports no {key!r}.",
            fix="Its metadata was written by another version of braze_pipeline, or this is a "
            "defect: look at the run in the UI, and report it.",
        )
    return value


def text_of(metadata: Metadata, key: str) -> str | None:
    """A text that a step reported; None where it reported none."""
    return str(metadata[key].value) if key in metadata else None
