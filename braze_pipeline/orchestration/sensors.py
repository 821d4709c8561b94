"""The sensors of a destination: thin shells around ``watch`` and ``notify``.

There is one set for each destination of a code location, and each minds only the runs that touch
its own assets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from braze_pipeline.core.actions import ActionStore, Message, Outbox
from braze_pipeline.core.warehouse import Warehouse
from braze_pipeline.orchestration.notify import Told, channels_from, deliver, tell
from braze_pipeline.orchestration.notify.text import UI_VARIABLE
from braze_pipeline.orchestration.resources import WarehouseResource
from braze_pipeline.orchestration.watch.changes import Cursor
from braze_pipeline.orchestration.watch.lateness import note_overdue_sends, note_slow_runs
from braze_pipeline.orchestration.watch.tick import Watch
from braze_pipeline.settings import TemplateSettings

Clock = Callable[[], datetime]

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
    return [
        _actions_sensor(tuple(templates), environ, clock),
        _lateness_sensor(tuple(templates), environ, clock),
    ]


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
            "action, closes actions whose cause is gone, and tells people."
        ),
    )
    def workflow_actions(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> dg.SkipReason:
        house = warehouse.warehouse(templates[0])
        watch = Watch(
            instance=context.instance,
            store=ActionStore(house.actions_path),
            templates=templates,
            journal=house.journal_path,
        )
        cursor, said = watch.look(Cursor.read(context.cursor), now=clock())
        context.update_cursor(cursor.write())
        said += _told(context, house, templates, environ, clock)
        return dg.SkipReason("; ".join(said) or "No run of this destination has ended.")

    return workflow_actions


def _told(
    context: dg.SensorEvaluationContext,
    house: Warehouse,
    templates: Sequence[TemplateSettings],
    environ: Mapping[str, str],
    clock: Clock,
) -> list[str]:
    """Deliver what is in the outbox; a channel that fails is a warning, never a failed tick."""
    outbox = Outbox(ActionStore(house.actions_path), templates[0].destination.name)
    ui = environ.get(UI_VARIABLE, "").strip() or None

    def told(message: Message) -> Told:
        return tell(message, facts=facts_for(message.action.template, templates), ui=ui)

    done = deliver(outbox, channels_from(environ), told=told, now=clock)
    for problem in done.problems:
        context.log.warning("A notification waits for its next attempt. %s", problem)
    said = [f"{done.delivered} notifications delivered"] if done.delivered else []
    return said + [f"notification waits ({problem})" for problem in done.problems]


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
    ) -> dg.SkipReason:
        store = ActionStore(warehouse.warehouse(templates[0]).actions_path)
        now = clock()
        said = note_slow_runs(store, context.instance, templates, now=now)
        said += note_overdue_sends(store, context.instance, templates, environ=environ, now=now)
        return dg.SkipReason("; ".join(said) or "Nothing takes longer than it should.")

    return lateness
