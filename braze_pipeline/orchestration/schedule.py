"""The daily schedule of a template, and how old its last send may be.

The schedule is on by default. While there is no API key it skips each tick and gives the reason: so
a newcomer's first start sends nothing, and sending begins once the key is set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta

import dagster as dg

from braze_pipeline.attributes.current_state import last_ended
from braze_pipeline.braze.redaction import has_api_key
from braze_pipeline.orchestration.automation import done_for
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.settings import TemplateSettings


def build_schedule(
    t: TemplateSettings,
    job: dg.JobDefinition | dg.UnresolvedAssetJobDefinition,
    *,
    environ: Mapping[str, str] = os.environ,
) -> dg.ScheduleDefinition | None:
    """The schedule of a template; None where it has none.

    Args:
        t: The template.
        job: Its daily job.
        environ: Where each tick looks for the API key.
    """
    settings = t.schedule
    if settings is None:
        return None
    hour, minute = (int(part) for part in settings.at.split(":"))
    variable = t.destination.api_key_env
    lag = settings.lag_days
    # Named, so that the run counts as one that made these assets (``automation``).
    assets = list(TemplateKeys.of(t).all) if t.automation else None
    day_in_words = f"the day {lag} days before yesterday" if lag else "yesterday"

    # Dagster takes care of daylight saving: it ticks once per local day, at the next full hour
    # where the local time does not exist, and once where it occurs twice.
    @dg.schedule(
        name=TemplateKeys.of(t).job("braze_schedule"),
        job=job,
        cron_schedule=f"{minute} {hour} * * *",
        execution_timezone=t.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"Runs every day at {settings.at} ({t.time_zone}) for {day_in_words}. "
            f"Skips while {variable} is not set."
        ),
    )
    def braze_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not has_api_key(environ, variable):
            return dg.SkipReason(
                f"{variable} is not set, so there is no API key to send with. Set it where the "
                "code server runs; the next tick then starts a run."
            )
        day = last_ended(t, context.scheduled_execution_time)
        if day < t.start_date:
            return dg.SkipReason(f"{day} is before the first day, {t.start_date} (start_date).")
        if ended(t, context.scheduled_execution_time):
            return dg.SkipReason(f"{day} is after the last day, {t.end_date} (end_date).")
        if t.automation and (done := done_for(context.instance, t, day)):
            return dg.SkipReason(done)
        # The run key is the day: a repeated tick starts no second run.
        return dg.RunRequest(
            run_key=day.isoformat(), partition_key=day.isoformat(), asset_selection=assets
        )

    return braze_schedule


def ended(t: TemplateSettings, now: datetime) -> bool:
    """Whether the template's last day is over, so that its schedule has nothing more to send."""
    return t.schedule is not None and t.end_date is not None and last_ended(t, now) > t.end_date


def freshness(t: TemplateSettings) -> dg.FreshnessPolicy | None:
    """How old the last acknowledged send may be: the UI warns at that age and fails at twice that.

    It belongs to the send asset, because a failed send materializes nothing and so does not count.
    None where the template has a last day: nothing is late after it, and a policy never ends.
    """
    if t.schedule is None or t.end_date is not None:
        return None
    age = timedelta(hours=t.schedule.max_age_hours)
    return dg.FreshnessPolicy.time_window(warn_window=age, fail_window=2 * age)
