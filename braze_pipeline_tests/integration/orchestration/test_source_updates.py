"""`automation: on_source_update`: which updates of the brand's assets start a run, and how often.

The assets of the template are stand-ins with the real keys and conditions. Dagster evaluates them
as its daemon does, on a real instance.
"""

# No `from __future__ import annotations` here: Dagster reads the annotation of `context` itself.
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.definitions.observe import observe as observe_sources

from braze_pipeline.orchestration import automation
from braze_pipeline.orchestration.destination import daily_job, daily_partitions
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.schedule import build_schedule
from braze_pipeline.settings import PredictedValue, SourceSettings, TemplateSettings, replace
from braze_pipeline_tests.watched_world import template

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY, YESTERDAY = "2026-03-10", "2026-03-09"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def automated(**more: Any) -> TemplateSettings:
    sources = tuple(
        SourceSettings(name=name, asset_key=("shop", name)) for name in ("orders", "customers")
    )
    more.setdefault("start_date", date(2026, 1, 1))
    return replace(template(automation="on_source_update", **more), sources=sources)


@dataclass
class Upstream:
    """A template and the brand's assets above it.

    Attributes:
        during: Called by the step of the named asset.
        check_passes: The result of a blocking check of each source; None: there is no check.
        paused: The destination is paused, so the send materializes nothing.
    """

    instance: dg.DagsterInstance
    t: TemplateSettings = field(default_factory=automated)
    partitions: dg.PartitionsDefinition[str] | None = None
    during: dict[str, Callable[[Any], object]] = field(default_factory=dict)
    observable: bool = False
    check_passes: bool | None = None
    paused: bool = False
    cursor: Any = None
    now: datetime = NOON

    def __post_init__(self) -> None:
        sources = [dg.AssetKey(s.asset_key or ()) for s in self.t.sources]
        made: list[Any] = [
            self._asset(key, self.partitions, check_specs=self._checks(key))
            for key in sources[self.observable :]
        ]
        if self.observable:
            self.version = "1"

            @dg.observable_source_asset(key=sources[0])
            def observed() -> dg.DataVersion:
                return dg.DataVersion(self.version)

            self.observed = observed
            made.append(observed)
        keys = TemplateKeys.of(self.t)
        when = automation.conditions(self.t)
        days = daily_partitions(self.t)
        first = (keys.predicted, keys.attributes)
        for above, key in zip((None, *keys.all), keys.all, strict=False):
            deps = [*([above] if above else []), *(sources if key in first else [])]
            made.append(self._asset(key, days, deps=deps, automation_condition=when[key]))
        job = daily_job(self.t)
        schedule = build_schedule(self.t, job, environ={"BRAZE_API_KEY": "key"})
        self.definitions = dg.Definitions(
            assets=made,
            jobs=[job],
            schedules=[schedule] if schedule else [],
            executor=dg.in_process_executor,
        )
        self.tick()

    def _asset(
        self, key: dg.AssetKey, partitions: dg.PartitionsDefinition[str] | None, **more: Any
    ) -> Any:
        is_send = key == TemplateKeys.of(self.t).send

        def made(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
            body = self.during.get(key.path[-1])
            if body is not None:
                body(context)
            if key.path[-1] == "customer_attributes":
                # As the real one does.
                for source in map(TemplateKeys.of(self.t).source, ("orders", "customers")):
                    tags = automation.version_tags(context.instance, source)
                    context.log_event(dg.AssetObservation(source, metadata={"rows": 1}, tags=tags))
            results = [
                dg.AssetCheckResult(passed=bool(self.check_passes), check_name=spec.name)
                for spec in more.get("check_specs", ())
            ]
            if not (is_send and self.paused):
                yield dg.MaterializeResult(check_results=results)

        return dg.asset(key=key, partitions_def=partitions, output_required=not is_send, **more)(
            made
        )

    def _checks(self, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
        if self.check_passes is None:
            return []
        return [dg.AssetCheckSpec("complete", asset=key, blocking=True)]

    def tick(self) -> dict[str, set[str]]:
        """What the sensor requests now: the assets, by day."""
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, cursor=self.cursor, evaluation_time=self.now
        )
        self.cursor = result.cursor
        found: dict[str, set[str]] = {}
        for one in result.results:
            for day in one.true_subset.expensively_compute_partition_keys():
                found.setdefault(day, set()).add(one.key.to_user_string())
        return found

    def run(
        self, *names: str, partition: str | None = None, strict: bool = True
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets in one run, as the UI does."""
        keys = [dg.AssetKey(["shop", n]) if n in ("orders", "customers") else n for n in names]
        job = self.definitions.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey.from_coercible(key) for key in keys],
            partition_key=partition,
            run_config=QUIET,
            raise_on_error=strict,
        )

    def carry_out(self, requested: dict[str, set[str]], *, strict: bool = True) -> None:
        ((day, names),) = requested.items()
        self.run(*names, partition=day, strict=strict)

    def schedule_tick(self) -> Any:
        repository = self.definitions.get_repository_def()
        schedule = repository.get_schedule_def("braze_schedule")
        with dg.build_schedule_context(
            instance=self.instance, scheduled_execution_time=self.now, repository_def=repository
        ) as context:
            return schedule.evaluate_tick(context)


@pytest.fixture
def upstream(instance: dg.DagsterInstance) -> Upstream:
    return Upstream(instance)


CHAIN = {
    "customer_attributes", "braze_audience", "braze_profiles", "braze_plan", "braze_send",
}  # fmt: skip
ONCE = {YESTERDAY: CHAIN}


def test_a_written_source_starts_the_whole_chain_once_for_the_newest_day_that_has_ended(
    upstream: Upstream,
) -> None:
    upstream.run("orders")
    assert upstream.tick() == ONCE
    assert [upstream.tick() for _ in range(3)] == [{}, {}, {}]


def test_whichever_source_is_written_the_chain_begins_with_its_predictions(
    instance: dg.DagsterInstance,
) -> None:
    upstream = Upstream(instance, automated(predicts=True, predicted_value=PredictedValue()))
    for source in ("orders", "customers"):
        upstream.run(source)
        requested = upstream.tick()
        assert requested == {YESTERDAY: CHAIN | {"predicted_value"}}
        upstream.carry_out(requested)
        assert upstream.tick() == {}


def test_sources_written_between_two_ticks_start_one_run(upstream: Upstream) -> None:
    upstream.run("orders")
    upstream.run("customers")
    assert upstream.tick() == ONCE
    assert upstream.tick() == {}


def test_what_a_run_records_about_its_sources_starts_nothing(upstream: Upstream) -> None:
    upstream.run("orders")
    upstream.carry_out(upstream.tick())
    observations = upstream.instance.fetch_observations(dg.AssetKey(["shop", "orders"]), limit=9)
    assert len(observations.records) == 1
    assert [upstream.tick() for _ in range(3)] == [{}, {}, {}]


def test_a_run_that_fails_is_not_started_again(upstream: Upstream) -> None:
    def fail(context: dg.AssetExecutionContext) -> None:
        raise ValueError("no")

    for name in ("customer_attributes", "braze_send"):
        upstream.during = {name: fail}
        upstream.run("orders")
        upstream.carry_out(upstream.tick(), strict=False)
        assert [upstream.tick() for _ in range(3)] == [{}, {}, {}]


def test_history_from_before_the_first_tick_starts_nothing(instance: dg.DagsterInstance) -> None:
    upstream = Upstream(instance)
    upstream.run("orders")
    assert Upstream(instance).tick() == {}


def test_a_run_waits_until_no_source_is_being_written(upstream: Upstream) -> None:
    seen = []
    upstream.run("orders")
    upstream.during = {"customers": lambda _: seen.append(upstream.tick())}
    upstream.run("customers")
    assert seen == [{}]
    assert upstream.tick() == ONCE


def test_a_source_whose_blocking_check_failed_starts_a_run_once_it_passes(
    instance: dg.DagsterInstance,
) -> None:
    upstream = Upstream(instance, check_passes=False)
    upstream.run("orders", strict=False)
    assert [upstream.tick() for _ in range(2)] == [{}, {}]
    # Another source that is good does not make this one so.
    upstream.check_passes = True
    upstream.run("customers")
    assert upstream.tick() == {}
    upstream.run("orders")
    assert upstream.tick() == ONCE
    assert upstream.tick() == {}


def test_days_on_which_a_check_failed_are_not_made_up_for_later(
    instance: dg.DagsterInstance,
) -> None:
    upstream = Upstream(instance, check_passes=False)
    for _ in range(3):
        upstream.run("orders", strict=False)
        assert upstream.tick() == {}
        upstream.now += timedelta(days=2)
    upstream.check_passes = True
    upstream.run("orders")
    assert upstream.tick() == {"2026-03-15": CHAIN}
    assert upstream.tick() == {}


@pytest.mark.parametrize("step", ["customer_attributes", "braze_send"])
def test_a_source_written_during_a_run_starts_another_when_that_one_has_ended(
    upstream: Upstream, step: str
) -> None:
    seen = []

    def written(_: dg.AssetExecutionContext) -> None:
        upstream.during = {}
        upstream.run("orders")
        seen.append(upstream.tick())

    upstream.run("orders")
    requested = upstream.tick()
    upstream.during = {step: written}
    upstream.carry_out(requested)
    assert seen == [{}]
    assert upstream.tick() == ONCE
    assert upstream.tick() == {}


def test_a_source_written_right_after_a_request_is_not_lost(upstream: Upstream) -> None:
    upstream.run("orders")
    assert upstream.tick() == ONCE
    # The same tick sees this and that the last request was made.
    upstream.run("customers")
    assert upstream.tick() == ONCE
    assert upstream.tick() == {}


def test_an_update_that_had_to_wait_over_midnight_is_not_lost(upstream: Upstream) -> None:
    seen = []

    def written(_: dg.AssetExecutionContext) -> None:
        upstream.during = {}
        upstream.run("customers")
        seen.append(upstream.tick())

    upstream.run("orders")
    requested = upstream.tick()
    upstream.during = {"braze_send": written}
    upstream.carry_out(requested)
    upstream.now += timedelta(days=1)
    assert seen == [{}]
    assert upstream.tick() == ONCE
    assert upstream.tick() == {}


def test_a_new_day_alone_starts_nothing(upstream: Upstream) -> None:
    upstream.run("orders")
    upstream.carry_out(upstream.tick())
    for _ in range(3):
        upstream.now += timedelta(days=1)
        assert upstream.tick() == {}
    upstream.run("orders")
    assert upstream.tick() == {"2026-03-12": CHAIN}


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/London", datetime(2026, 3, 29, 1, tzinfo=UTC)),
        ("Europe/London", datetime(2026, 10, 25, 1, tzinfo=UTC)),
        ("Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC)),  # at midnight
        ("Africa/Cairo", datetime(2026, 10, 29, 21, tzinfo=UTC)),
    ],
)
def test_around_a_change_of_the_clock_each_update_starts_the_day_that_has_ended_once(
    instance: dg.DagsterInstance, zone: str, change: datetime
) -> None:
    upstream = Upstream(instance, automated(time_zone=zone), now=change - timedelta(hours=30))
    for hours in (-2.2, -0.7, -0.2, 0.2, 0.7, 1.2, 2.2):
        upstream.now = change + timedelta(hours=hours)
        upstream.run("orders")
        today = upstream.now.astimezone(ZoneInfo(zone)).date()
        assert set(upstream.tick()) == {(today - timedelta(days=1)).isoformat()}
        assert upstream.tick() == {}


def test_a_run_that_writes_the_source_and_sends_is_enough(upstream: Upstream) -> None:
    upstream.run("orders", "customers", *CHAIN, partition=YESTERDAY)
    assert [upstream.tick() for _ in range(3)] == [{}, {}, {}]


def test_of_a_partitioned_source_only_the_newest_day_counts(instance: dg.DagsterInstance) -> None:
    t = automated()
    upstream = Upstream(instance, t=t, partitions=daily_partitions(t))
    upstream.run("orders", partition="2026-03-05")
    assert upstream.tick() == {}
    upstream.run("orders", partition=YESTERDAY)
    assert upstream.tick() == ONCE
    assert upstream.tick() == {}


def test_a_backfill_of_a_source_starts_one_run(instance: dg.DagsterInstance) -> None:
    t = automated()
    upstream = Upstream(instance, t=t, partitions=daily_partitions(t))
    requested = []
    for number in range(1, 10):
        upstream.run("orders", partition=f"2026-03-0{number}")
        requested.append(upstream.tick())
    assert [one for one in requested if one] == [ONCE]


# Dagster's own use of what it deprecates.
@pytest.mark.filterwarnings("ignore:Property `OpDefinition.version`:DeprecationWarning")
def test_an_observed_source_counts_when_its_version_changes_and_its_observation_by_us_never(
    instance: dg.DagsterInstance,
) -> None:
    upstream = Upstream(instance, observable=True)

    def observe(version: str) -> dict[str, set[str]]:
        upstream.version = version
        observe_sources([upstream.observed], instance=instance)
        return upstream.tick()

    upstream.run("customers")
    upstream.carry_out(upstream.tick())
    assert upstream.tick() == {}
    upstream.carry_out(observe("2"))
    assert [upstream.tick() for _ in range(3)] == [{}, {}, {}]
    assert observe("2") == {}
    assert observe("3") == ONCE


def test_the_sensor_is_on_by_default_and_there_is_none_without_the_setting() -> None:
    sensor = automation.build_sensor(automated())
    assert sensor is not None
    assert sensor.name == "braze_source_updates"
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert automation.build_sensor(template()) is None
    assert automation.conditions(template()) == {}
