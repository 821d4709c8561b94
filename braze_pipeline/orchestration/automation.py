"""Runs that start because a source table was written: ``automation: on_source_update``.

What belongs here: Dagster's conditions for a template's assets, the sensor that evaluates them,
and how the schedule learns that such a run has done its work. See
``docs/decisions/0009-runs-on-source-updates.md``.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import dagster as dg
from dagster import AutomationCondition as When

from braze_pipeline.orchestration.days import PARTITION_TAG
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.settings import TemplateSettings

_VERSION_TAG = "dagster/data_version"


def conditions(t: TemplateSettings) -> dict[dg.AssetKey, When[Any]]:
    """When Dagster starts the template's assets by itself: all in one run, or none."""
    if t.automation is None:
        return {}
    keys = TemplateKeys.of(t)
    # Computed predictions come first and then have every source above them, as the attributes do.
    first, *others = keys.all
    with_the_first: When[Any] = When.any_deps_match(When.will_be_requested())
    return {first: _source_updated(keys), **dict.fromkeys(others, with_the_first)}


def _source_updated(keys: TemplateKeys) -> When[Any]:
    """A source has a new materialization, for the newest day that has ended.

    - Not if the run that wrote it also made our assets. This is also what excludes the observations
      that our own runs record on a source.
    - An update is kept until a run is requested, so it waits while a source is being written, while
      a blocking check of a source's last version failed, or while a run is under way: that one may
      have read before the update.
    - An update that is seen together with the last request may have come after that run had read,
      so it does not count as done.
    """
    upstream = dg.AssetSelection.assets(*keys.upstream.values())
    updated = When.any_deps_match(
        When.newly_updated() & ~When.executed_with_root_target()
    ).allow(upstream)  # fmt: skip
    being_written = When.any_deps_match(When.in_progress()).allow(upstream)
    # dbt writes a model before it tests it: a test that failed is a blocking check of the asset.
    refused = When.any_deps_match(
        When.any_checks_match(When.check_failed(), blocking_only=True)
    ).allow(upstream)  # fmt: skip
    under_way = When.in_progress() | When.asset_matches(keys.send, When.in_progress())
    new = When.in_latest_time_window() & updated
    kept = new.since(When.newly_requested() & ~updated)
    # One that waited over midnight still counts; one that waited for days has been replaced.
    recent = When.in_latest_time_window(timedelta(days=2))
    return recent & kept & ~being_written & ~refused & ~under_way


def build_sensor(t: TemplateSettings) -> dg.SensorDefinition | None:
    """The sensor that evaluates a template's conditions; None where it has none."""
    if t.automation is None:
        return None
    keys = TemplateKeys.of(t)
    return dg.AutomationConditionSensorDefinition(
        keys.job("braze_source_updates"),
        target=dg.AssetSelection.assets(*keys.all),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Runs the template {t.name} for the newest day that has ended, once one of these was "
            f"written: {', '.join(key.to_user_string() for key in keys.upstream.values())}."
        ),
    )


def done_for(instance: dg.DagsterInstance, t: TemplateSettings, day: date) -> str | None:
    """Why the schedule need not run a day; None if it must.

    The last run of the day is under way, or has sent it and no source was written since it began.
    """
    keys = TemplateKeys.of(t)
    of_the_day = dg.RunsFilter(tags={PARTITION_TAG: day.isoformat()})
    sends = (one for one in instance.get_run_records(of_the_day) if _sends(one.dagster_run, keys))
    last = next(sends, None)
    if last is None:
        return None
    run = last.dagster_run
    if not run.is_finished:
        return f"Run {run.run_id[:8]} for {day} is under way."
    written = (instance.get_latest_materialization_event(key) for key in keys.upstream.values())
    newest = max((one.timestamp for one in written if one is not None), default=0.0)
    # While the destination is paused a run succeeds, and its send materializes nothing.
    latest = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=keys.send, asset_partitions=[day.isoformat()]), limit=1
    )
    sent = run.is_success and run.run_id in {one.run_id for one in latest.records}
    if sent and newest <= last.create_timestamp.timestamp():
        return f"Run {run.run_id[:8]} has sent {day}, and no source was written since it began."
    return None


def _sends(run: dg.DagsterRun, keys: TemplateKeys) -> bool:
    if run.asset_selection:
        return keys.send in run.asset_selection
    return run.job_name == keys.job("braze_daily")


def version_tags(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, str]:
    """Tags that keep the data version which the brand's own observation gave a source.

    Without it our observation would look like a new version, and so would the brand's next one.
    """
    last = next(iter(instance.fetch_observations(key, limit=1).records), None)
    tags = last.asset_observation.tags if last and last.asset_observation else {}
    return {name: value for name, value in tags.items() if name == _VERSION_TAG}
