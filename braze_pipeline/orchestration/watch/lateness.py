"""What takes too long: a run that is still going, and a send that did not come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import dagster as dg

from braze_pipeline.alerts import ActionStore, Incident
from braze_pipeline.alerts.action_classes import SEND_OVERDUE, SLOW_RUN
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.schedule import ended
from braze_pipeline.orchestration.watch.runs import Done, days_of_run, facts_of
from braze_pipeline.settings import TemplateSettings

LAST_RUNS = 10
"""How many earlier runs of the same kind a run is compared with."""

LEAST_RUNS = 3
"""Fewer tell nothing."""


def note_slow_runs(
    store: ActionStore,
    instance: dg.DagsterInstance,
    templates: Sequence[TemplateSettings],
    *,
    now: datetime,
) -> list[Done]:
    """Note the runs under way that take far longer than their like; close those that have ended."""
    done = _close_ended(store, instance, templates, now=now)
    running = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    for record in running:
        for t in facts_of(instance, record.dagster_run, templates).touched(templates):
            found = _slow(instance, record, t, now=now)
            if found is not None:
                noted = store.record(found)
                if noted.new:
                    words = f"action {noted.number} opened: {found.what}"
                    done.append(Done(words=words, run_id=found.run_id))
    return done


def _slow(
    instance: dg.DagsterInstance, record: dg.RunRecord, t: TemplateSettings, *, now: datetime
) -> Incident | None:
    factor = t.alerts.slow_factor
    if factor is None or record.start_time is None:
        return None
    seconds = now.timestamp() - record.start_time
    if seconds < t.alerts.slow_minutes * 60:
        return None
    usual = _usual_seconds(instance, record.dagster_run)
    if usual is None or seconds < factor * usual:
        return None
    run = record.dagster_run
    return Incident(
        action=SLOW_RUN,
        what=(
            f"Run {run.run_id[:8]} has been going for {seconds / 60:,.0f} minutes; its last ones "
            f"took {max(usual / 60, 0.1):,.1f}."
        ),
        fix="",
        destination=t.destination.name,
        template=t.name,
        at=now,
        run_id=run.run_id,
        days=days_of_run(run),
        cause=run.run_id,
    )


def _usual_seconds(instance: dg.DagsterInstance, run: dg.DagsterRun) -> float | None:
    """The median of the last runs of the same job, assets and number of days."""
    records = instance.get_run_records(
        dg.RunsFilter(job_name=run.job_name, statuses=[dg.DagsterRunStatus.SUCCESS]),
        limit=5 * LAST_RUNS,
    )
    seconds = [
        record.end_time - record.start_time
        for record in records
        if record.start_time is not None
        and record.end_time is not None
        and _kind(record.dagster_run) == _kind(run)
    ][:LAST_RUNS]
    return median(seconds) if len(seconds) >= LEAST_RUNS else None


def _kind(run: dg.DagsterRun) -> tuple[frozenset[dg.AssetKey], bool]:
    """What runs are compared by: their assets, and whether they are about one day or a range."""
    days = days_of_run(run)
    return frozenset(run.asset_selection or ()), days is None or days[0] == days[1]


def _close_ended(
    store: ActionStore,
    instance: dg.DagsterInstance,
    templates: Sequence[TemplateSettings],
    *,
    now: datetime,
) -> list[Done]:
    done = []
    for action in store.open_actions(destination=templates[0].destination.name):
        if action.action != SLOW_RUN or action.run_id is None:
            continue
        run = instance.get_run_by_id(action.run_id)
        if run is None or run.is_finished:
            status = run.status.value.lower() if run else "gone"
            store.close(action.number, how=f"The run has ended ({status}).", at=now)
            done.append(Done(words=f"action {action.number} resolved", run_id=action.run_id))
    return done


def note_overdue_sends(
    store: ActionStore,
    instance: dg.DagsterInstance,
    templates: Sequence[TemplateSettings],
    *,
    environ: Mapping[str, str],
    now: datetime,
) -> list[Done]:
    """Note the templates whose last acknowledged send is older than allowed.

    Only where a schedule should have sent: it is configured, its last day is not over, there is a
    key, and there was a send.
    """
    done = []
    for t in templates:
        if (
            t.schedule is None
            or ended(t, now)
            or not environ.get(t.destination.api_key_env, "").strip()
        ):
            continue
        send = TemplateKeys.of(t).send
        last = instance.get_latest_materialization_event(send)
        if last is None:
            continue
        when = datetime.fromtimestamp(last.timestamp, UTC)
        if now - when <= timedelta(hours=t.schedule.max_age_hours):
            continue
        noted = store.record(
            Incident(
                action=SEND_OVERDUE,
                what=(
                    f"The last acknowledged send was on {when:%Y-%m-%d at %H:%M} UTC, more than "
                    f"{t.schedule.max_age_hours:g} hours ago."
                ),
                fix="",
                destination=t.destination.name,
                template=t.name,
                at=now,
                goal=send.to_user_string(),
                cause="",
                # Once for each silence, however often it is looked at.
                occurrence=f"silent since {when.isoformat()}",
            )
        )
        if noted.new:
            words = f"action {noted.number} opened: {t.name} was not sent for too long"
            done.append(Done(words=words, run_id=last.run_id))
    return done
