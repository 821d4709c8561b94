"""The assets of one template: each a few lines around one function of the core."""

# No `from __future__ import annotations` here: Dagster reads the annotation of `context` itself.
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.attributes.lineage import cached_lineage, last_lineage
from braze_pipeline.attributes.personal import decide_personal
from braze_pipeline.audience.build import build_audience
from braze_pipeline.braze.instances import other_host_warning
from braze_pipeline.errors import PipelineError
from braze_pipeline.orchestration import column_metadata, metadata, progress
from braze_pipeline.orchestration.checks import (
    ACCOUNTING,
    AUDIENCE,
    CONTRACT,
    FRESH_SOURCES,
    IDENTIFIED,
    READ_BACK,
    audience_result,
    contract_result,
    guard_results,
    guard_specs,
    identifier_result,
    log_what_stops,
    send_results,
    source_result,
    spec,
)
from braze_pipeline.orchestration.days import days_of, span
from braze_pipeline.orchestration.failures import typed_failures
from braze_pipeline.orchestration.keys import SOURCES, TemplateKeys
from braze_pipeline.orchestration.overrides import overrides_of
from braze_pipeline.orchestration.resources import WarehouseResource
from braze_pipeline.orchestration.schedule import freshness
from braze_pipeline.plan.step import plan_days
from braze_pipeline.profiles import build_profiles, preview, require_profiles
from braze_pipeline.send.step import send_days
from braze_pipeline.settings import TemplateSettings

WRITERS = "duckdb"
"""The pool that all steps which write the DuckDB file share; one at a time."""

_SOURCE_TEXT = {
    "customers": "One row a customer: names, addresses, country, birth date, gender.",
    "orders": "One row an order line; returns and cancellations are negative lines.",
    "consents": "The history of opt-ins by channel; the last change up to a day's end holds.",
    "predictions": "Predicted customer lifetime value; optional.",
}


def source_specs(t: TemplateSettings) -> list[dg.AssetSpec]:
    """The source tables: made elsewhere, read here."""
    keys = TemplateKeys.of(t)
    return [
        dg.AssetSpec(
            keys.source(name),
            group_name="sources",
            description=_SOURCE_TEXT[name],
            kinds={"table"},
            metadata=column_metadata.source(name),
        )
        for name in SOURCES
    ]


def record_specs(t: TemplateSettings) -> list[dg.AssetSpec]:
    """What runs leave behind: the ledger and the rejections."""
    keys = TemplateKeys.of(t)
    return [
        dg.AssetSpec(
            keys.ledger,
            deps=[keys.send],
            group_name=t.destination.name,
            owners=list(t.owners),
            kinds={"duckdb"},
            description="What Braze acknowledged: user, attribute, value, as-of date.",
        ),
        dg.AssetSpec(
            keys.rejections,
            deps=[keys.profiles, keys.send],
            group_name=t.destination.name,
            owners=list(t.owners),
            kinds={"duckdb"},
            description="Rows and values that did not get through, each with its reason.",
        ),
    ]


def build_assets(
    t: TemplateSettings, partitions: dg.PartitionsDefinition[str]
) -> list[dg.AssetsDefinition]:
    """The five assets of a template, in order."""
    keys = TemplateKeys.of(t)
    asset = partial(
        dg.asset,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=t.destination.name,
        owners=list(t.owners) or None,
    )

    @asset(
        key=keys.attributes,
        deps=[keys.source(name) for name in SOURCES],
        pool=WRITERS,
        kinds={"duckdb", "sql"},
        check_specs=[spec(FRESH_SOURCES, keys.attributes)],
        description=(
            "One row per customer and as-of date, as the SQL file beside `defs.yaml` defines it."
        ),
        metadata=metadata.sql_file(t),
    )
    def customer_attributes(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:

        with typed_failures(context):
            ours = warehouse.warehouse(t)
            sources, summaries = build_attributes(ours, t, days_of(context))
            for source in sources:
                context.log_event(
                    dg.AssetObservation(keys.source(source.name), metadata=metadata.source(source))
                )
            with ours.connect() as con:
                origins = cached_lineage(con, t, sources).origins
            return dg.MaterializeResult(
                metadata=metadata.attributes(t, sources, summaries, origins),
                check_results=[source_result(t, sources, summaries[-1])],
            )

    @asset(
        key=keys.audience,
        deps=[keys.attributes],
        pool=WRITERS,
        kinds={"duckdb"},
        check_specs=[spec(AUDIENCE, keys.audience)],
        description="The customers that are high value, active and contactable.",
    )
    def braze_audience(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:

        with typed_failures(context), warehouse.warehouse(t).connect() as con:
            funnels = [build_audience(con, t, day) for day in days_of(context)]
            verdict = audience_result(funnels)
            log_what_stops(context, [verdict])
            return dg.MaterializeResult(
                metadata=metadata.audience(t, funnels), check_results=[verdict]
            )

    @asset(
        key=keys.profiles,
        deps=[keys.audience, keys.attributes],
        pool=WRITERS,
        kinds={"duckdb", "pandera"},
        check_specs=[spec(CONTRACT, keys.profiles), spec(IDENTIFIED, keys.profiles)],
        description="The audience in Braze's own names and types, validated.",
    )
    def braze_profiles(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:

        with typed_failures(context), warehouse.warehouse(t).connect() as con:
            days = days_of(context)
            summaries = [
                build_profiles(con, t, day, run_id=context.run.run_id, now=_now()) for day in days
            ]
            if t.dropped:
                context.log.warning(metadata.dropped_text(t, summaries))
            shown = decide_personal(t, last_lineage(con, t))
            found = metadata.profiles(shown, summaries, preview(con, shown, days[-1]))
            with _observed(context, keys.profiles, found):
                require_profiles(con, t, days[-1])
            return dg.MaterializeResult(
                metadata=found,
                check_results=[contract_result(summaries), identifier_result(t, summaries[-1])],
            )

    @asset(
        key=keys.plan,
        deps=[keys.profiles],
        pool=WRITERS,
        kinds={"duckdb", "parquet"},
        check_specs=guard_specs(t, keys.plan),
        description="What would change in Braze and what it costs: the send carries out this.",
    )
    def braze_plan(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:

        with typed_failures(context):
            _warn_of_host(context, t)
            plan = plan_days(
                warehouse.warehouse(t),
                t,
                days_of(context),
                run_id=context.run.run_id,
                now=_now(),
                environ=os.environ,
                overrides=overrides_of(context.run.tags),
                log=progress.logger(context.log.info),
            )
            verdicts = guard_results(plan)
            log_what_stops(context, verdicts)
            return dg.MaterializeResult(metadata=metadata.plan(t, plan), check_results=verdicts)

    @asset(
        key=keys.send,
        deps=[keys.plan],
        pool=f"braze_{t.destination.name}",
        kinds={"braze"},
        check_specs=[
            spec(ACCOUNTING, keys.send),
            *([spec(READ_BACK, keys.send)] if t.destination.read_back_users else []),
        ],
        freshness_policy=freshness(t),
        description="The plan, carried out: each user accepted, rejected or not attempted.",
    )
    def braze_send(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:

        with typed_failures(context):
            outcome = send_days(
                warehouse.warehouse(t),
                t,
                days_of(context),
                run_id=context.run.run_id,
                environ=os.environ,
                log=progress.logger(context.log.info),
                **progress.progress_options(),
            )
            context.log.info("%s: %s", span(days_of(context)), outcome.sentence())
            shown = metadata.send(outcome)
            for key, told_of_it in (
                (keys.ledger, metadata.ledger(t, outcome)),
                (keys.rejections, metadata.rejections(outcome)),
            ):
                context.log_event(dg.AssetMaterialization(key, metadata=told_of_it))
            if outcome.error is not None:
                # What was acknowledged is in the ledger; the step still failed.
                with _observed(context, keys.send, shown):
                    raise outcome.error
            return dg.MaterializeResult(metadata=shown, check_results=send_results(t, outcome))

    return [customer_attributes, braze_audience, braze_profiles, braze_plan, braze_send]


@contextmanager
def _observed(
    context: dg.AssetExecutionContext, key: dg.AssetKey, shown: metadata.Metadata
) -> Iterator[None]:
    """Have the UI show what a step did that fails after all, and so materializes nothing."""
    try:
        yield
    except PipelineError:
        context.log_event(dg.AssetObservation(key, metadata=shown))
        raise


def _warn_of_host(context: dg.AssetExecutionContext, t: TemplateSettings) -> None:
    if warning := other_host_warning(t.destination.endpoint):
        context.log.warning(warning)


def _now() -> datetime:
    """Now, in UTC and without a zone, as the tables keep it."""
    return datetime.now(UTC).replace(tzinfo=None)
