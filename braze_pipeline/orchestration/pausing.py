"""Jobs that pause and resume a destination from the UI, as the commands of that name do."""

# No `from __future__ import annotations` here: Dagster reads the annotation of `context` itself.
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from braze_pipeline.alerts import pauses
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.settings import TemplateSettings

# These jobs come before the runs that wait in the queue: they may have to stop a send.
_FIRST = {"dagster/priority": "100"}


def build_jobs(templates: Sequence[TemplateSettings]) -> list[dg.JobDefinition]:
    """``NAME_pause``, which asks for the reason in the launchpad, and ``NAME_resume``."""
    t = templates[0]
    name = t.destination.name

    def show(context: dg.OpExecutionContext, text: str) -> None:
        context.log.info(text)
        for one in templates:
            key = TemplateKeys.of(one).send
            context.log_event(dg.AssetObservation(key, metadata={"paused": text}))

    @dg.op(
        name=f"{name}_pause_sends",
        config_schema={"reason": dg.Field(str, description="Why; shown until it is resumed.")},
        required_resource_keys={"warehouse"},
    )
    def pause(context: dg.OpExecutionContext) -> None:
        path = context.resources.warehouse.warehouse(t).actions_path
        reason: Any = context.op_config["reason"]
        pauses.pause(path, name, reason=str(reason), at=datetime.now(UTC))
        found = pauses.paused(path, name)
        show(context, found.sentence() if found else "")

    @dg.op(name=f"{name}_resume_sends", required_resource_keys={"warehouse"})
    def resume(context: dg.OpExecutionContext) -> None:
        path = context.resources.warehouse.warehouse(t).actions_path
        was = pauses.resume(path, name)
        show(context, f"{name} is resumed." if was else f"{name} was not paused.")

    @dg.job(
        name=f"{name}_pause",
        description=f"Pauses {name}: runs plan, and send nothing, until it is resumed.",
        tags=_FIRST,
    )
    def pause_job() -> None:
        pause()

    @dg.job(
        name=f"{name}_resume",
        description=f"Resumes {name}: the next run sends what has changed since.",
        tags=_FIRST,
    )
    def resume_job() -> None:
        resume()

    return [pause_job, resume_job]
