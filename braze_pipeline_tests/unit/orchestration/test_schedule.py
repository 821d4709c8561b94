"""The daily schedule, evaluated by Dagster itself, also over the changes of daylight saving."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy
from dagster._utils.schedules import schedule_execution_time_iterator

from braze_pipeline.orchestration.destination import daily_partitions
from braze_pipeline.orchestration.schedule import build_schedule, freshness
from braze_pipeline.settings import ScheduleSettings
from braze_pipeline_tests.watched_world import template

KEY = {"BRAZE_API_KEY": "key"}


@dataclass
class Loaded:
    """A schedule in its repository, as the daemon has it."""

    schedule: dg.ScheduleDefinition
    repository: dg.RepositoryDefinition


def load(
    *,
    at: str = "03:30",
    zone: str = "Europe/London",
    lag_days: int = 0,
    environ: dict[str, str] | None = None,
    start_date: date = date(2026, 1, 1),
    end_date: date | None = None,
) -> Loaded:
    t = template(
        time_zone=zone,
        schedule=ScheduleSettings(at=at, lag_days=lag_days),
        start_date=start_date,
        end_date=end_date,
    )

    @dg.asset(
        key="braze_send",
        partitions_def=daily_partitions(t),
    )
    def send() -> None:
        """Stand in."""

    job = dg.define_asset_job("braze_daily", selection=[send])
    built = build_schedule(t, job=job, environ=KEY if environ is None else environ)
    assert built is not None
    definitions = dg.Definitions(assets=[send], jobs=[job], schedules=[built])
    return Loaded(built, definitions.get_repository_def())


def evaluate(loaded: Loaded, tick: datetime) -> dg.ScheduleExecutionData:
    with dg.build_schedule_context(
        scheduled_execution_time=tick, repository_def=loaded.repository
    ) as context:
        return loaded.schedule.evaluate_tick(context)


def ticks(loaded: Loaded, first: date, last: date) -> list[datetime]:
    """When the daemon would tick from the start of one local day to the start of another."""
    schedule = loaded.schedule
    zone = ZoneInfo(str(schedule.execution_timezone))
    start = datetime(first.year, first.month, first.day, tzinfo=zone)
    end = datetime(last.year, last.month, last.day, tzinfo=zone)
    every = schedule_execution_time_iterator(
        start.timestamp(), schedule.cron_schedule, schedule.execution_timezone
    )
    return list(takewhile(lambda tick: tick < end, every))


def asked_for(loaded: Loaded, tick: datetime) -> str:
    (request,) = evaluate(loaded, tick).run_requests or []
    assert request.run_key == request.partition_key
    return str(request.partition_key)


def every_day(first: date, last: date) -> list[str]:
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days)]


@pytest.mark.parametrize(
    ("zone", "at"),
    [
        ("Europe/London", "03:30"),
        ("Europe/London", "01:30"),  # does not exist on 29 March, comes twice on 25 October
        ("America/New_York", "02:30"),
        ("America/New_York", "01:15"),
        ("Africa/Cairo", "00:10"),  # midnight itself does not exist on 24 April
        ("Australia/Lord_Howe", "02:15"),  # half an hour of daylight saving
        ("UTC", "00:00"),
    ],
)
def test_every_local_day_is_requested_once_and_in_order_over_a_whole_year(
    zone: str, at: str
) -> None:
    loaded = load(at=at, zone=zone, start_date=date(2025, 12, 1))
    first, last = date(2026, 1, 1), date(2027, 1, 1)
    found = [asked_for(loaded, tick) for tick in ticks(loaded, first, last)]
    assert found == every_day(first - timedelta(days=1), last - timedelta(days=1))


@pytest.mark.parametrize(
    ("day", "utc"),
    [
        (date(2026, 3, 28), "01:30"),
        (date(2026, 3, 29), "01:00"),  # 01:30 does not exist: at 02:00, which is 01:00 UTC
        (date(2026, 3, 30), "00:30"),
        (date(2026, 10, 24), "00:30"),
        (date(2026, 10, 25), "01:30"),  # of the two, the second
        (date(2026, 10, 26), "01:30"),
    ],
)
def test_the_tick_keeps_to_local_time_over_daylight_saving(day: date, utc: str) -> None:
    loaded = load(at="01:30")
    (tick,) = ticks(loaded, day, day + timedelta(days=1))
    assert tick.astimezone(UTC).strftime("%H:%M") == utc
    assert asked_for(loaded, tick) == (day - timedelta(days=1)).isoformat()


def test_a_lag_waits_for_late_data() -> None:
    loaded = load(lag_days=3)
    assert asked_for(loaded, datetime(2026, 3, 10, 3, 30, tzinfo=UTC)) == "2026-03-06"


@pytest.mark.parametrize("environ", [{}, {"BRAZE_API_KEY": "  "}])
def test_without_a_key_a_tick_is_skipped_with_the_reason(environ: dict[str, str]) -> None:
    ticked = evaluate(load(environ=environ), datetime(2026, 3, 10, 3, 30, tzinfo=UTC))
    assert not ticked.run_requests
    assert "BRAZE_API_KEY is not set" in str(ticked.skip_message)


def test_each_tick_looks_for_the_key() -> None:
    environ: dict[str, str] = {}
    loaded = load(environ=environ)
    environ["BRAZE_API_KEY"] = "key"
    assert asked_for(loaded, datetime(2026, 3, 10, 3, 30, tzinfo=UTC)) == "2026-03-09"


def test_before_the_first_day_a_tick_is_skipped() -> None:
    loaded = load(start_date=date(2026, 3, 10))
    ticked = evaluate(loaded, datetime(2026, 3, 10, 3, 30, tzinfo=UTC))
    assert "2026-03-09 is before the first day, 2026-03-10" in str(ticked.skip_message)


def test_the_last_day_is_sent_and_a_tick_after_it_is_skipped_with_the_reason() -> None:
    loaded = load(end_date=date(2026, 3, 9))
    assert asked_for(loaded, datetime(2026, 3, 10, 3, 30, tzinfo=UTC)) == "2026-03-09"
    ticked = evaluate(loaded, datetime(2026, 3, 11, 3, 30, tzinfo=UTC))
    assert not ticked.run_requests
    assert "2026-03-10 is after the last day, 2026-03-09" in str(ticked.skip_message)


def test_the_last_day_is_the_latest_partition_and_without_one_yesterday_is() -> None:
    until = daily_partitions(template(end_date=date(2026, 3, 9)))
    assert until.get_last_partition_key() == "2026-03-09"
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert daily_partitions(template()).get_last_partition_key() == yesterday.isoformat()


def test_the_schedule_is_on_by_default_and_can_be_switched_off() -> None:
    assert load().schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    job = dg.define_asset_job("braze_daily")
    t = template(schedule=None)
    assert build_schedule(t, job=job, environ=KEY) is None
    assert freshness(t) is None


def test_a_template_with_a_last_day_has_no_freshness_policy() -> None:
    assert freshness(template(end_date=date(2026, 3, 9))) is None


def test_freshness_warns_at_the_configured_age_and_fails_at_twice_that() -> None:
    policy = freshness(template(schedule=ScheduleSettings(max_age_hours=30)))
    assert isinstance(policy, TimeWindowFreshnessPolicy)
    assert policy.warn_window is not None
    assert policy.warn_window.to_timedelta() == timedelta(hours=30)
    assert policy.fail_window.to_timedelta() == timedelta(hours=60)
