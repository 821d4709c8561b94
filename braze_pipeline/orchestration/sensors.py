"""The sensors of a destination: thin shells around ``watch`` and ``alerts.notify``.

Each destination of a code location has its own set, which handles only the runs that touch its own
assets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.run_request import DagsterRunReaction

from braze_pipeline.alerts import Message, Outbox
from braze_pipeline.alerts.notify import Notification, channels_from, compose, deliver
from braze_pipeline.alerts.notify.text import ui_address
from braze_pipeline.orchestration.actions_asset import fingerprint, report_actions
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.resources import WarehouseResource
from braze_pipeline.orchestration.watch.changes import Cursor
from braze_pipeline.orchestration.watch.lateness import record_overdue_sends, record_slow_runs
from braze_pipeline.orchestration.watch.runs import TickEvent
from braze_pipeline.orchestration.watch.tick import WILL_RETRY_TAG, Watch
from braze_pipeline.settings import TemplateSettings

Clock = Callable[[], datetime]
Reply = dg.SkipReason | DagsterRunReaction

ACTIONS_SECONDS = 30
LATENESS_SECONDS = 120


def _utc_now() -> datetime:
    return datetime.now(UTC)


def build_sensors(
    templates: Sequence[TemplateSettings],
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Clock = _utc_now,
) -> list[dg.SensorDefinition]:
    """The sensors of one destination, all running by default.

    Args:
        templates: Every template of the destination; at least one.
        environ: Where the notification channels are configured; read at each tick.
        clock: The current time, in UTC.
    """
    return [
        _failure_sensor(templates, clock),
        _actions_sensor(templates, environ, clock),
        _lateness_sensor(templates, environ, clock),
    ]


def _watch(
    context: dg.SensorEvaluationContext | dg.RunFailureSensorContext,
    warehouse: WarehouseResource,
    templates: Sequence[TemplateSettings],
) -> Watch:
    return Watch(
        instance=context.instance,
        warehouse=warehouse.warehouse(templates[0]),
        templates=templates,
    )


def _reply(
    context: dg.SensorEvaluationContext, done: Sequence[TickEvent], nothing: str
) -> Iterator[Reply]:
    """The result of a tick: one that did something is a success, about the runs concerned.

    Dagster 1.13 records every tick without run requests as skipped, even with asset events,
    unless it reacts to runs as run status sensors do (``dagster/_daemon/sensor.py``).
    """
    for one in done:
        context.log.info(one.text)
    ids = dict.fromkeys(one.run_id for one in done if one.run_id is not None)
    runs = [run for run_id in ids if (run := context.instance.get_run_by_id(run_id)) is not None]
    if not runs:
        yield dg.SkipReason("; ".join(one.text for one in done) or nothing)
    for run in runs:
        yield DagsterRunReaction(dagster_run=run, run_status=run.status)


def _failure_sensor(templates: Sequence[TemplateSettings], clock: Clock) -> dg.SensorDefinition:
    destination = templates[0].destination.name

    # For all jobs: materializing in the UI, reruns and backfills run as __ASSET_JOB.
    @dg.run_failure_sensor(
        name=f"{destination}_run_failure",
        minimum_interval_seconds=ACTIONS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Opens a workflow action for a failed run of this destination, unless the run will be "
            f"retried. {destination}_workflow_actions finds the failures that this sensor cannot "
            "see, and notifies people."
        ),
    )
    def run_failure(
        context: dg.RunFailureSensorContext, warehouse: WarehouseResource
    ) -> dg.SkipReason | None:
        run_id = context.dagster_run.run_id
        will_retry = context.dagster_run.tags.get(WILL_RETRY_TAG) == "true"
        watch = _watch(context, warehouse, templates)
        done = None if will_retry else watch.failed_run(run_id, now=clock())
        if done is None:
            return dg.SkipReason(f"Run {run_id[:8]} will probably be retried.")
        for one in done:
            context.log.info(one.text)
        return None if done else dg.SkipReason(f"Nothing new to record about run {run_id[:8]}.")

    return run_failure


def _actions_sensor(
    templates: Sequence[TemplateSettings], environ: Mapping[str, str], clock: Clock
) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{templates[0].destination.name}_workflow_actions",
        minimum_interval_seconds=ACTIONS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Opens a workflow action for every failed or terminated run of this destination, "
            "however it was started. Closes actions whose cause is gone, and notifies people."
        ),
    )
    def workflow_actions(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> Iterator[Reply]:
        watch = _watch(context, warehouse, templates)
        cursor, done = watch.look(Cursor.read(context.cursor), now=clock())
        cursor = _show_open(context, watch, cursor, environ)
        context.update_cursor(cursor.write())
        done += _notify(context, watch, environ, clock)
        yield from _reply(context, done, "No run of this destination has ended.")

    return workflow_actions


def _show_open(
    context: dg.SensorEvaluationContext, watch: Watch, cursor: Cursor, environ: Mapping[str, str]
) -> Cursor:
    """Report the open actions to the UI if they have changed since."""
    templates = watch.templates
    actions = watch.store.open_actions(destination=templates[0].destination.name)
    now = fingerprint(actions)
    if now != cursor.shown:
        facts, ui = _facts(templates), ui_address(environ)
        report_actions(context.instance, templates, actions, facts=facts, ui=ui)
    return replace(cursor, shown=now)


def _notify(
    context: dg.SensorEvaluationContext, watch: Watch, environ: Mapping[str, str], clock: Clock
) -> list[TickEvent]:
    """Deliver what is in the outbox; a channel that fails is a warning, never a failed tick."""
    outbox = Outbox(watch.store, watch.templates[0].destination.name)
    ui, page = ui_address(environ), "/".join(TemplateKeys.of(watch.templates[0]).actions.path)
    facts = _facts(watch.templates)

    def composed(message: Message) -> Notification:
        about = facts.get(message.about.template, {})
        return compose(message, facts=about, ui=ui, page=f"assets/{page}")

    delivery = deliver(outbox, channels_from(environ), compose=composed, now=clock)
    for problem in delivery.problems:
        context.log.warning("A notification waits for its next attempt. %s", problem)
    return [
        TickEvent(text=f"notified: {message.words()} ({channel})", run_id=message.about.run_id)
        for message, channel in delivery.delivered
    ] + [TickEvent(text=f"notification waits ({one})", run_id=None) for one in delivery.problems]


def _facts(templates: Sequence[TemplateSettings]) -> dict[str, dict[str, str]]:
    """By template, the files and variables that an action's steps mention."""
    return {
        t.name: {
            "config": "defs.yaml",
            "sql": t.attributes_sql.name,
            "api_key_env": t.destination.api_key_env,
        }
        for t in templates
    }


def _lateness_sensor(
    templates: Sequence[TemplateSettings], environ: Mapping[str, str], clock: Clock
) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{templates[0].destination.name}_lateness",
        minimum_interval_seconds=LATENESS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Opens a workflow action for a run that takes far longer than earlier ones, while it "
            "still runs, and for a template whose last acknowledged send is too old."
        ),
    )
    def lateness(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> Iterator[Reply]:
        watch, now = _watch(context, warehouse, templates), clock()
        done = record_slow_runs(watch, now=now)
        done += record_overdue_sends(watch, environ=environ, now=now)
        yield from _reply(context, done, "No run is slow, and no send is overdue.")

    return lateness
