"""Which days a run can be for, however it is launched: Dagster itself takes any tag."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from braze_pipeline.alerts import resolution_of
from braze_pipeline.errors import UsageError
from braze_pipeline.orchestration.days import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    require_partition,
)
from braze_pipeline.orchestration.destination import daily_partitions
from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.commands import one_action, store_of, tick
from braze_pipeline_tests.integration.orchestration.test_definitions import built
from braze_pipeline_tests.small_brand import DAYS, SmallBrand
from braze_pipeline_tests.watched_world import template


def launch(brand: SmallBrand, tags: dict[str, str], **options: Any) -> dg.ExecuteInProcessResult:
    """Launch the daily job with these tags, as the UI and GraphQL do."""
    definitions, _ = built(brand, os.environ["BRAZE_REST_ENDPOINT"])
    with dg.DagsterInstance.get() as instance:
        return definitions.resolve_job_def("braze_daily").execute_in_process(
            instance=instance, tags=tags, raise_on_error=False, **options
        )


@pytest.mark.parametrize("ago", [-5, -1, DAYS])
def test_a_day_that_has_not_ended_or_is_before_the_first_is_refused_however_it_is_launched(
    brand: SmallBrand, sandbox: Sandbox, ago: int
) -> None:
    assert not launch(brand, {PARTITION_TAG: brand.day(ago)}).success
    tick(brand)
    action = one_action(brand)
    assert action.action == UsageError.action
    assert f"There is no partition {brand.day(ago)}" in action.what
    assert f"to {brand.day(0)}" in action.what
    assert not any("--as-of" in step for step in resolution_of(action.action).steps)
    assert not brand.folder.joinpath("warehouse.duckdb").exists()


def test_a_run_without_a_day_says_to_choose_one_and_a_later_send_closes_its_action(
    brand: SmallBrand, sandbox: Sandbox
) -> None:
    assert not launch(brand, {}).success
    tick(brand)
    assert "without a day" in one_action(brand).what
    assert "Choose a partition" in one_action(brand).fix
    assert launch(brand, {PARTITION_TAG: brand.day(0)}).success
    tick(brand)
    assert store_of(brand).open_actions() == []


@pytest.mark.parametrize(
    ("first", "last", "said"), [(1, -2, "There is no partition"), (0, 1, "Swap the run tags")]
)
def test_a_range_that_reaches_into_the_future_or_is_reversed_is_refused(
    brand: SmallBrand, sandbox: Sandbox, first: int, last: int, said: str
) -> None:
    tags = {RANGE_START_TAG: brand.day(first), RANGE_END_TAG: brand.day(last)}
    (failed,) = launch(brand, tags).get_step_failure_events()
    shown = failed.step_failure_data.user_failure_data
    assert shown is not None
    assert said in str(shown.description)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/London"])
@pytest.mark.parametrize("today", [date(2026, 3, 29), date(2026, 3, 30), date(2026, 10, 25)])
def test_a_day_can_be_run_from_the_first_second_after_it_has_ended_in_its_zone(
    zone: str, today: date
) -> None:
    partitions = daily_partitions(template(time_zone=zone, start_date=date(2026, 1, 1)))
    midnight = datetime(today.year, today.month, today.day, tzinfo=ZoneInfo(zone))
    yesterday = (today - timedelta(days=1)).isoformat()
    with freeze_time(midnight.astimezone(UTC)):
        require_partition(partitions, yesterday)
        with pytest.raises(UsageError):
            require_partition(partitions, today.isoformat())
    with (
        freeze_time(midnight.astimezone(UTC) - timedelta(seconds=1)),
        pytest.raises(UsageError),
    ):
        require_partition(partitions, yesterday)
