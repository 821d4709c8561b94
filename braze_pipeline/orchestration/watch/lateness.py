"""What takes too long: a run that is still going, and a send that did not happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median

import dagster as dg

from braze_pipeline.alerts import Incident
from braze_pipeline.alerts.action_classes import SEND_OVERDUE, SLOW_RUN
from braze_pipeline.alerts.pauses import paused
from braze_pipeline.braze.redaction import has_api_key
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.schedule import ended
from braze_pipeline.orchestration.watch.runs import TickEvent, days_of_run, facts_of
from braze_pipeline.orchestration.watch.tick import Watch
from braze_pipeline.settings import TemplateSettings

MAX_COMPARED_RUNS = 10
"""How many earlier runs of the same kind a run is compared with."""

MIN_COMPARED_RUNS = 3
"""With fewer, no run counts as slow."""


def record_slow_runs(watch: Watch, *, now: datetime) -> list[TickEvent]:
    """Record runs under way that take far longer than similar ones; close those that have ended."""
    done = _close_ended(watch, now=now)
    running = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    for record in watch.instance.get_run_records(running):
        run = record.dagster_run
        facts = facts_of(watch.instance, run, watch.templates)
        for t in facts.touched(watch.templates):
            what = _why_slow(watch.instance, record, t, now=now)
            if what is not None:
                incident = facts.incident(t, SLOW_RUN, what, fix="", at=now)
                done += _open(watch, replace(incident, cause=run.run_id), run.run_id)
    return done


def _open(watch: Watch, incident: Incident, run_id: str) -> list[TickEvent]:
    result = watch.store.record(incident)
    text = f"action {result.number} opened ({incident.template}): {incident.what}"
    return [TickEvent(text=text, run_id=run_id)] if result.new else []


def _why_slow(
    instance: dg.DagsterInstance, record: dg.RunRecord, t: TemplateSettings, *, now: datetime
) -> str | None:
    factor = t.alerts.slow_factor
    if factor is None or record.start_time is None:
        return None
    run = record.dagster_run
    seconds = now.timestamp() - record.start_time
    usual = _usual_seconds(instance, run) if seconds >= t.alerts.slow_minutes * 60 else None
    if usual is None or seconds < factor * usual:
        return None
    return (
        f"Run {run.run_id[:8]} has been going for {seconds / 60:,.0f} minutes; the last similar "
        f"runs took {max(usual / 60, 0.1):,.1f}."
    )


def _usual_seconds(instance: dg.DagsterInstance, run: dg.DagsterRun) -> float | None:
    """The median of the last runs of the same job, assets and number of days."""
    records = instance.get_run_records(
        dg.RunsFilter(job_name=run.job_name, statuses=[dg.DagsterRunStatus.SUCCESS]),
        limit=5 * MAX_COMPARED_RUNS,
    )
    seconds = [
        record.end_time - record.start_time
        for record in records
        if record.start_time is not None
        and record.end_time is not None
        and _kind(record.dagster_run) == _kind(run)
    ][:MAX_COMPARED_RUNS]
    return median(seconds) if len(seconds) >= MIN_COMPARED_RUNS else None


def _kind(run: dg.DagsterRun) -> tuple[frozenset[dg.AssetKey], bool]:
    """What makes runs similar: their assets, and whether they are for one day or a range."""
    days = days_of_run(run)
    return frozenset(run.asset_selection or ()), days is None or days[0] == days[1]


def _close_ended(watch: Watch, *, now: datetime) -> list[TickEvent]:
    done = []
    for action in watch.store.open_actions(destination=watch.templates[0].destination.name):
        if action.action != SLOW_RUN or action.run_id is None:
            continue
        run = watch.instance.get_run_by_id(action.run_id)
        if run is None or run.is_finished:
            status = run.status.value.lower() if run else "gone"
            watch.store.close(action.number, how=f"The run has ended ({status}).", at=now)
            done.append(TickEvent(text=f"action {action.number} resolved", run_id=action.run_id))
    return done


def record_overdue_sends(
    watch: Watch, *, environ: Mapping[str, str], now: datetime
) -> list[TickEvent]:
    """Record the templates whose last acknowledged send is older than allowed.

    Only where a schedule should have sent: there is one, its last day is not over, the API key is
    set, and there was a send before.
    """
    done = []
    for t in watch.templates:
        has_key = has_api_key(environ, t.destination.api_key_env)
        if t.schedule is None or ended(t, now) or not has_key:
            continue
        send = TemplateKeys.of(t).send
        last = watch.instance.get_latest_materialization_event(send)
        if last is None:
            continue
        when = datetime.fromtimestamp(last.timestamp, UTC)
        if now - when <= timedelta(hours=t.schedule.max_age_hours):
            continue
        pause = paused(watch.warehouse.actions_path, t.destination.name)
        incident = Incident(
            action=SEND_OVERDUE,
            what=(
                f"The last acknowledged send was on {when:%Y-%m-%d at %H:%M} UTC, more than "
                f"{t.schedule.max_age_hours:g} hours ago."
                + (f" {pause.sentence()}" if pause else "")
            ),
            fix="",
            destination=t.destination.name,
            template=t.name,
            at=now,
            goal=send.to_user_string(),
            cause="",
            # Every silence counts once, however often a tick finds it.
            occurrence=f"silent since {when.isoformat()}",
        )
        done += _open(watch, incident, last.run_id)
    return done
