"""A pipeline of stand-in assets with the real keys, on a real Dagster instance.

The test chooses what fails; sensors, instance, store, HTTP and SMTP are real.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from braze_pipeline.alerts import Action, ActionStore
from braze_pipeline.orchestration import metadata
from braze_pipeline.orchestration.checks import FRESH_SOURCES, guard_check, spec
from braze_pipeline.orchestration.failures import typed_failures
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.resources import WarehouseResource
from braze_pipeline.orchestration.sensors import build_sensors
from braze_pipeline.plan.guards import AUDIENCE_SIZE
from braze_pipeline.settings import (
    AudienceRules,
    DestinationSettings,
    ScheduleSettings,
    TemplateSettings,
)
from braze_pipeline.storage.journal import Acknowledgement, Journal, Writer
from braze_pipeline.storage.warehouse import Warehouse

DAY = "2026-03-01"
NEXT_DAY = "2026-03-02"
GUARD = guard_check(AUDIENCE_SIZE)

Body = Callable[[dg.AssetExecutionContext], dg.MaterializeResult[None]]

PARTITIONS = dg.DailyPartitionsDefinition("2026-01-01", timezone="UTC")


def template(
    name: str = "loyal", *, destination: str = "braze", prefix: tuple[str, ...] = (), **more: Any
) -> TemplateSettings:
    more.setdefault("schedule", ScheduleSettings())
    return TemplateSettings(
        name=name,
        destination=DestinationSettings(name=destination, endpoint="http://127.0.0.1:1"),
        db_schema=f"data_{name}",
        attributes_sql=Path("customer_attributes.sql"),
        sources=(),
        audience=AudienceRules(),
        attributes=(),
        key_prefix=prefix,
        **more,
    )


@dataclass
class World:
    """One destination watched over one instance.

    Attributes:
        raises: By asset name, of any template or of one, the exception that its step raises.
        guard: The description of a guard that stops the plan; None if it passes.
        stale: The warning of the source check; None if it passes.
        rejected_rows, refused: What the profiles and the send report, out of 1,000 users.
        silent: Whether the profiles leave out how many rows were rejected.
        before_failing: How many users are acknowledged before a send fails.
        sends: The kind of plan that is sent; any other than "plan" is made by the send itself.
        minutes: How many minutes the sensors' clock is ahead.
        reported, acted_on, problems: Of the last tick: its message, the runs that make it a
            success, and the error that makes it a failure.
    """

    instance: dg.DagsterInstance
    folder: Path
    templates: Sequence[TemplateSettings] = field(default_factory=lambda: (template(),))
    environ: dict[str, str] = field(default_factory=dict)
    raises: dict[str, BaseException] = field(default_factory=dict)
    guard: str | None = None
    stale: str | None = None
    rejected_rows: int = 0
    silent: bool = False
    refused: int = 0
    before_failing: int = 0
    sends: str = "plan"
    minutes: float = 0.0
    cursors: dict[str, str | None] = field(default_factory=dict)
    reported: str = ""
    acted_on: list[str] = field(default_factory=list)
    problems: str = ""

    def __post_init__(self) -> None:
        self.warehouse = Warehouse(self.folder / "warehouse.duckdb")
        self.store = ActionStore(self.warehouse.actions_path)
        self.sensors = {
            sensor.name: sensor
            for sensor in build_sensors(self.templates, environ=self.environ, clock=self.now)
        }
        assets = [asset for t in self.templates for asset in self._assets(t)]
        self.definitions = dg.Definitions(
            assets=assets,
            jobs=[
                dg.define_asset_job(
                    TemplateKeys.of(t).job("braze_daily"),
                    selection=dg.AssetSelection.assets(*TemplateKeys.of(t).all),
                )
                for t in self.templates
            ],
            executor=dg.in_process_executor,
        )

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(minutes=self.minutes)

    def _assets(self, t: TemplateSettings) -> list[dg.AssetsDefinition]:
        keys = TemplateKeys.of(t)
        bodies: Mapping[str, Body] = {
            "customer_attributes": self._attributes,
            "braze_audience": lambda context: dg.MaterializeResult(),
            "braze_profiles": lambda context: dg.MaterializeResult(
                metadata={
                    metadata.ROWS: 1000 - self.rejected_rows,
                    **({} if self.silent else {metadata.REJECTED_ROWS: self.rejected_rows}),
                }
            ),
            "braze_plan": self._plan,
            "braze_send": self._send(t),
        }
        before: dg.AssetKey | None = None
        built = []
        for key in keys.all:
            built.append(self._asset(key, before, bodies[key.path[-1]]))
            before = key
        return built

    def _asset(
        self,
        key: dg.AssetKey,
        before: dg.AssetKey | None,
        body: Body,
    ) -> dg.AssetsDefinition:
        checks = {
            "customer_attributes": [spec(FRESH_SOURCES, key)],
            "braze_plan": [dg.AssetCheckSpec(GUARD, asset=key, blocking=True)],
        }

        @dg.asset(
            key=key,
            deps=[before] if before else [],
            partitions_def=PARTITIONS,
            backfill_policy=dg.BackfillPolicy.single_run(),
            check_specs=checks.get(key.path[-1], []),
        )
        def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster reads it
            with typed_failures(context):
                error = self._error(key)
                if error is not None and key.path[-1] != "braze_send":
                    raise error
                return body(context)

        return step

    def _error(self, key: dg.AssetKey) -> BaseException | None:
        return self.raises.get(key.path[-1]) or self.raises.get(key.to_user_string())

    def _attributes(self, context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=FRESH_SOURCES,
                    passed=self.stale is None,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=self.stale,
                )
            ]
        )

    def _plan(self, context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(
            metadata={metadata.PLAN: f"plan-{context.run.run_id}", metadata.ROWS: 1000},
            check_results=[
                dg.AssetCheckResult(
                    check_name=GUARD,
                    passed=self.guard is None,
                    severity=dg.AssetCheckSeverity.ERROR,
                    description=self.guard,
                )
            ],
        )

    def _send(self, t: TemplateSettings) -> Body:
        def send(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
            error = self._error(TemplateKeys.of(t).send)
            if error is not None:
                if self.before_failing:
                    self.acknowledge(t, context.run.run_id, count=self.before_failing)
                raise error
            self.acknowledge(t, context.run.run_id, count=1000)
            return dg.MaterializeResult(
                metadata={
                    metadata.ACCEPTED_USERS: 1000 - self.refused,
                    metadata.REJECTED_USERS: self.refused,
                    metadata.UNCHANGED_USERS: 4000,
                    metadata.ACCEPTED_ATTRIBUTES: 1500,
                    metadata.DATA_POINTS: 1600,
                }
            )

        return send

    def acknowledge(
        self, t: TemplateSettings, run_id: str, *, count: int, refused: int = 0
    ) -> None:
        """Write the journal as a send would."""
        journal = Journal(self.warehouse.journal_path)
        send = journal.start(
            destination=t.destination.name,
            template=t.name,
            plan_id=f"{self.sends}-{run_id}",
            run_id=run_id,
        )
        writer = Writer(journal, send)
        writer.put(
            Acknowledgement(
                request_no=0,
                first_index=0,
                count=count,
                refused=dict.fromkeys(range(refused), "refused"),
            )
        )
        writer.close()

    def run(
        self,
        *,
        day: str = DAY,
        only: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        t: TemplateSettings | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run the daily job of a template, or some of its assets."""
        keys = TemplateKeys.of(t or self.templates[0])
        job = self.definitions.resolve_job_def(keys.job("braze_daily"))
        return job.execute_in_process(
            instance=self.instance,
            partition_key=day,
            raise_on_error=False,
            asset_selection=[k for k in keys.all if only is None or k.path[-1] in only],
            tags=dict(tags or {}),
        )

    def run_with(self, *others: "World") -> dg.ExecuteInProcessResult:
        """Run every asset of this world and of others in one run, as "Materialize all" does."""
        worlds = (self, *others)
        return dg.materialize(
            [asset for one in worlds for t in one.templates for asset in one._assets(t)],
            instance=self.instance,
            partition_key=DAY,
            raise_on_error=False,
        )

    def tick(self, name: str = "workflow_actions") -> str:
        """Evaluate a sensor as the daemon would, keep its cursor, and return its message."""
        sensor = self.sensors[f"{self.templates[0].destination.name}_{name}"]
        logged: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(name),
            resources={"warehouse": WarehouseResource(path=str(self.warehouse.path))},
        ) as context:
            context.log.addHandler(handler)
            ticked = sensor.evaluate_tick(context)
        self.cursors[name] = ticked.cursor
        reactions = ticked.dagster_run_reactions or ()
        self.acted_on = [r.dagster_run.run_id for r in reactions if r.dagster_run and not r.error]
        self.problems = "".join(str(r.error) for r in reactions if r.error)
        self.reported = ticked.skip_message or "; ".join(logged)
        return self.reported

    def open_actions(self) -> list[Action]:
        return self.store.open_actions()

    def one(self) -> Action:
        (action,) = self.store.open_actions()
        return action
