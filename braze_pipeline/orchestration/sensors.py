"""The sensors of a destination: thin shells around ``watch`` and ``notify``.

There is one set for each destination of a code location, and each minds only the runs that touch
its own assets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.run_request import DagsterRunReaction

from braze_pipeline.alerts import ActionStore, Message, Outbox
from braze_pipeline.alerts.notify import Notification, channels_from, compose, deliver
from braze_pipeline.alerts.notify.text import UI_VARIABLE
from braze_pipeline.orchestration.resources import WarehouseResource
from braze_pipeline.orchestration.watch.changes import Cursor
from braze_pipeline.orchestration.watch.lateness import note_overdue_sends, note_slow_runs
from braze_pipeline.orchestration.watch.runs import Done
from braze_pipeline.orchestration.watch.tick import WILL_RETRY_TAG, Watch
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage.warehouse import Warehouse

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
        environ: Where the channels of notifications are configured; read at each tick.
        clock: What time it is, in UTC.
    """
    ours = tuple(templates)
    return [
        _failure_sensor(ours, clock),
        _actions_sensor(ours, environ, clock),
        _lateness_sensor(ours, environ, clock),
    ]


def _watch(
    instance: dg.DagsterInstance, house: Warehouse, templates: Sequence[TemplateSettings]
) -> Watch:
    return Watch(
        instance=instance,
        store=ActionStore(house.actions_path),
        templates=templates,
        journal=house.journal_path,
    )


def _reply(
    context: dg.SensorEvaluationContext, done: Sequence[Done], nothing: str
) -> Iterator[Reply]:
    """What a tick says: one that did something is a success about the runs that it is about.

    Dagster 1.13 records every tick without run requests as skipped, with asset events or without,
    unless it reacts to runs as run status sensors do (``dagster/_daemon/sensor.py``).
    """
    for one in done:
        context.log.info(one.words)
    ids = dict.fromkeys(one.run_id for one in done if one.run_id is not None)
    runs = [run for run_id in ids if (run := context.instance.get_run_by_id(run_id)) is not None]
    if not runs:
        yield dg.SkipReason("; ".join(one.words for one in done) or nothing)
    for run in runs:
        yield DagsterRunReaction(dagster_run=run, run_status=run.status)


def _failure_sensor(templates: tuple[TemplateSettings, ...], clock: Clock) -> dg.SensorDefinition:
    destination = templates[0].destination.name

    # Of no job in particular: materializing in the UI, reruns and backfills run as __ASSET_JOB.
    @dg.run_failure_sensor(
        name=f"{destination}_run_failure",
        minimum_interval_seconds=ACTIONS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Turns a failed run that touches this destination into a workflow action, unless it "
            f"will be retried. What it does not see, {destination}_workflow_actions does; that one "
            "also notifies people."
        ),
    )
    def run_failure(
        context: dg.RunFailureSensorContext, warehouse: WarehouseResource
    ) -> dg.SkipReason | None:
        run_id = context.dagster_run.run_id
        will_retry = context.dagster_run.tags.get(WILL_RETRY_TAG) == "true"
        watch = _watch(context.instance, warehouse.warehouse(templates[0]), templates)
        done = None if will_retry else watch.failed(run_id, now=clock())
        if done is None:
            return dg.SkipReason(f"Run {run_id[:8]} will be retried, as far as is known.")
        for one in done:
            context.log.info(one.words)
        return None if done else dg.SkipReason(f"Of run {run_id[:8]} there is nothing to note.")

    return run_failure


def _actions_sensor(
    templates: tuple[TemplateSettings, ...], environ: Mapping[str, str], clock: Clock
) -> dg.SensorDefinition:
    destination = templates[0].destination.name

    @dg.sensor(
        name=f"{destination}_workflow_actions",
        minimum_interval_seconds=ACTIONS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Turns every failed or terminated run that touches this destination into one workflow "
            "action, whatever started it, closes actions whose cause is gone, and notifies people."
        ),
    )
    def workflow_actions(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> Iterator[Reply]:
        house = warehouse.warehouse(templates[0])
        watch = _watch(context.instance, house, templates)
        cursor, done = watch.look(Cursor.read(context.cursor), now=clock())
        context.update_cursor(cursor.write())
        done += _notify(context, house, templates, environ, clock)
        yield from _reply(context, done, "No run of this destination has ended.")

    return workflow_actions


def _notify(
    context: dg.SensorEvaluationContext,
    house: Warehouse,
    templates: Sequence[TemplateSettings],
    environ: Mapping[str, str],
    clock: Clock,
) -> list[Done]:
    """Deliver what is in the outbox; a channel that fails is a warning, never a failed tick."""
    outbox = Outbox(ActionStore(house.actions_path), templates[0].destination.name)
    ui = environ.get(UI_VARIABLE, "").strip() or None

    def told(message: Message) -> Notification:
        return compose(message, facts=facts_for(message.action.template, templates), ui=ui)

    delivery = deliver(outbox, channels_from(environ), told=told, now=clock)
    for problem in delivery.problems:
        context.log.warning("A notification waits for its next attempt. %s", problem)
    return [
        Done(
            words=f"notified: action {message.action.number} {message.event} ({channel})",
            run_id=message.action.run_id,
        )
        for message, channel in delivery.delivered
    ] + [Done(words=f"notification waits ({one})", run_id=None) for one in delivery.problems]


def facts_for(template: str, templates: Sequence[TemplateSettings]) -> dict[str, str]:
    """The names that an action's steps speak of: files and variables of its template."""
    for t in templates:
        if t.name == template:
            return {
                "config": "defs.yaml",
                "sql": t.attributes_sql.name,
                "api_key_env": t.destination.api_key_env,
            }
    return {}


def _lateness_sensor(
    templates: tuple[TemplateSettings, ...], environ: Mapping[str, str], clock: Clock
) -> dg.SensorDefinition:
    destination = templates[0].destination.name

    @dg.sensor(
        name=f"{destination}_lateness",
        minimum_interval_seconds=LATENESS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Notes runs that take far longer than their last ones, while they still run, and "
            "templates whose last acknowledged send is too old."
        ),
    )
    def lateness(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> Iterator[Reply]:
        store = ActionStore(warehouse.warehouse(templates[0]).actions_path)
        now = clock()
        done = note_slow_runs(store, context.instance, templates, now=now)
        done += note_overdue_sends(store, context.instance, templates, environ=environ, now=now)
        yield from _reply(context, done, "Nothing takes longer than it should.")

    return lateness
