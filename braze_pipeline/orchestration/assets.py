"""The assets of one template, each a few lines around one function of its room.

What belongs here: what Dagster needs to know about an asset, and the order of what it logs and
returns. What does not: what the UI shows (``metadata``, ``checks``), and any decision about data.
"""

# No `from __future__ import annotations` here: Dagster reads the annotation of `context` itself.
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import dagster as dg

from braze_pipeline.alerts.pauses import paused
from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.attributes.lineage import cached_lineage, last_lineage
from braze_pipeline.attributes.personal import decide_personal
from braze_pipeline.audience.build import build_audience
from braze_pipeline.braze.instances import other_host_warning
from braze_pipeline.errors import PipelineError
from braze_pipeline.orchestration import (
    automation,
    checks,
    column_metadata,
    metadata,
    predicted_value,
    progress,
    run_tags,
)
from braze_pipeline.orchestration.attempts import attempts, first_attempt
from braze_pipeline.orchestration.days import days_of, span
from braze_pipeline.orchestration.failures import typed_failures
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.overrides import overrides_of
from braze_pipeline.orchestration.resources import WarehouseResource
from braze_pipeline.orchestration.schedule import freshness
from braze_pipeline.profiles import build_profiles, preview, require_profiles
from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.warehouse import Warehouse

WRITERS = "duckdb"
"""The pool of all steps that write the DuckDB file; one runs at a time."""

_SOURCE_TEXT = {
    "customers": "One row per customer: name, address, country, birth date, gender.",
    "orders": "One row per order line. Returns and cancellations are negative lines.",
    "consents": "The history of opt-ins by channel. The last change up to the end of a day counts.",
    "predictions": "Predicted customer lifetime value (optional).",
}


def source_specs(templates: Sequence[TemplateSettings]) -> list[dg.AssetSpec]:
    """The source tables, which the pipeline reads and others make.

    A table whose asset the brand names itself is declared where that asset is.
    """
    names = {
        TemplateKeys.of(t).source(source.name): source.name
        for t in templates
        for source in t.sources
        if source.asset_key is None
        # Computed predictions are an asset of ours.
        and TemplateKeys.of(t).source(source.name) != TemplateKeys.of(t).predicted
    }
    return [
        dg.AssetSpec(
            key,
            group_name="sources",
            description=_SOURCE_TEXT.get(name, "A table that the brand's SQL reads."),
            kinds={"table"},
            metadata=column_metadata.source(name),
        )
        for key, name in names.items()
    ]


def record_specs(t: TemplateSettings) -> list[dg.AssetSpec]:
    """What runs leave behind: the ledger and the rejections."""
    keys = TemplateKeys.of(t)
    record = partial(
        dg.AssetSpec, group_name=t.destination.name, owners=list(t.owners), kinds={"duckdb"}
    )
    return [
        record(
            keys.ledger,
            deps=[keys.send],
            description="What Braze acknowledged: user, attribute, value and as-of date.",
        ),
        record(
            keys.rejections,
            deps=[keys.profiles, keys.send],
            description="Rows and values that were not accepted, each with the reason.",
        ),
    ]


def build_assets(
    t: TemplateSettings, partitions: dg.PartitionsDefinition[str]
) -> list[dg.AssetsDefinition]:
    """The five assets of a template, in order; before them its predictions, if computed."""
    keys = TemplateKeys.of(t)
    when = automation.conditions(t)
    asset = partial(
        dg.asset,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=t.destination.name,
        owners=list(t.owners) or None,
        pool=WRITERS,
    )

    @asset(
        key=keys.attributes,
        automation_condition=when.get(keys.attributes),
        deps=[keys.source(source.name) for source in t.sources],
        kinds={t.run_in.type if t.run_in else "duckdb", "sql"},
        check_specs=[checks.spec(checks.FRESH_SOURCES, keys.attributes)],
        description=(
            "One row per customer and as-of date, as defined by the SQL file next to `defs.yaml`."
        ),
        metadata=metadata.sql_file(t),
    )
    def customer_attributes(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        with typed_failures(context), progress.step("customer_attributes"):
            run_tags.clear(context)
            overrides_of(context.run.tags)  # what is not valid fails before anything is built
            database = warehouse.warehouse(t)
            built = build_attributes(
                database,
                t,
                days_of(context),
                run_id=first_attempt(context.instance, context.run),
                log=progress.logger(context.log.info),
            )
            _warn(context, " ".join(one for source in built.sources for one in source.left_out))
            for source in built.sources:
                key = keys.source(source.name)
                if key == keys.predicted:
                    continue
                found = metadata.source(
                    source, None if t.run_in else built.extracts.get(source.name)
                )
                tags = automation.version_tags(context.instance, key)
                context.log_event(dg.AssetObservation(key, metadata=found, tags=tags))
            with database.connect() as con:
                origins = cached_lineage(con, t, built.sources).origins
            return dg.MaterializeResult(
                metadata=metadata.attributes(t, built, origins),
                check_results=[checks.source_result(t, built.sources, built.summaries[-1])],
            )

    @asset(
        key=keys.audience,
        automation_condition=when.get(keys.audience),
        deps=[keys.attributes],
        kinds={"duckdb"},
        check_specs=[checks.spec(checks.AUDIENCE, keys.audience)],
        description=(
            "The customers that are sent: all, or those that pass the rules and conditions in "
            "`defs.yaml`."
        ),
    )
    def braze_audience(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        with (
            typed_failures(context),
            progress.step("braze_audience"),
            warehouse.warehouse(t).connect() as con,
        ):
            funnels = [build_audience(con, t, day) for day in days_of(context)]
            result = checks.audience_result(funnels)
            checks.log_what_stops(context, [result])
            return dg.MaterializeResult(
                metadata=metadata.audience(t, funnels), check_results=[result]
            )

    @asset(
        key=keys.profiles,
        automation_condition=when.get(keys.profiles),
        deps=[keys.audience, keys.attributes],
        kinds={"duckdb", "pandera"},
        check_specs=[
            checks.spec(name, keys.profiles) for name in (checks.CONTRACT, checks.IDENTIFIED)
        ],
        description="The audience in Braze's own names and types, validated.",
    )
    def braze_profiles(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        with (
            typed_failures(context),
            progress.step("braze_profiles"),
            warehouse.warehouse(t).connect() as con,
        ):
            days = days_of(context)
            summaries = [
                build_profiles(con, t, day, run_id=context.run.run_id, now=utc_now())
                for day in days
            ]
            _warn(context, metadata.dropped_warning(t, summaries))
            decided = decide_personal(t, last_lineage(con, t))
            shown = metadata.profiles(decided, summaries, preview(con, decided, days[-1]))
            with _shown_if_it_fails(context, keys.profiles, shown):
                require_profiles(con, t, days[-1])
            return dg.MaterializeResult(
                metadata=shown,
                check_results=[
                    checks.contract_result(summaries),
                    checks.identifier_result(t, summaries[-1]),
                ],
            )

    @asset(
        key=keys.plan,
        automation_condition=when.get(keys.plan),
        deps=[keys.profiles],
        kinds={"duckdb", "parquet"},
        check_specs=checks.guard_specs(t, keys.plan),
        description="The changes for Braze, and what they cost. The send carries out this plan.",
    )
    def braze_plan(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        with typed_failures(context), progress.step("braze_plan"):
            _warn(context, other_host_warning(t.destination.endpoint))
            from braze_pipeline.plan.sample import plan_sample  # noqa: PLC0415 - only a run needs it
            from braze_pipeline.plan.step import plan_days  # noqa: PLC0415

            database = warehouse.warehouse(t)
            plan = plan_days(
                database,
                t,
                days_of(context),
                run_id=context.run.run_id,
                now=utc_now(),
                environ=os.environ,
                overrides=overrides_of(context.run.tags),
                log=progress.logger(context.log.info),
            )
            run_tags.show_plan(context, t, plan)
            results = checks.guard_results(plan)
            checks.log_what_stops(context, results)
            pause = paused(database.actions_path, t.destination.name)
            shown = metadata.plan(t, plan, plan_sample(database, plan), pause)
            return dg.MaterializeResult(metadata=shown, check_results=results)

    @asset(
        key=keys.send,
        automation_condition=when.get(keys.send),
        deps=[keys.plan],
        pool=f"braze_{t.destination.name}",
        kinds={"braze"},
        check_specs=checks.send_specs(t, keys.send),
        freshness_policy=freshness(t),
        description=metadata.described(
            t, "The plan, carried out: each user is accepted, rejected or not attempted."
        ),
        # While the destination is paused nothing is sent, and so nothing is materialized.
        output_required=False,
    )
    def braze_send(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        with typed_failures(context):
            events = _sent(context, warehouse.warehouse(t), t)
        yield from events

    first = [predicted_value.build_asset(t, asset, when)] if t.predicts else []
    return [*first, customer_attributes, braze_audience, braze_profiles, braze_plan, braze_send]


def _sent(
    context: dg.AssetExecutionContext, database: Warehouse, t: TemplateSettings
) -> list[dg.MaterializeResult | dg.AssetCheckResult]:
    from braze_pipeline.send.step import send_days  # noqa: PLC0415 - only a run needs it

    overrides_of(context.run.tags)  # a send may be all that the run does
    keys, days = TemplateKeys.of(t), days_of(context)
    outcome = send_days(
        database,
        t,
        days,
        run_id=context.run.run_id,
        resumes=[run.run_id for run in attempts(context.instance, context.run)],
        environ=os.environ,
        log=progress.logger(context.log.info),
        **progress.progress_options(),
    )
    run_tags.show_send(context, t, outcome)
    context.log.info("%s: %s", span(days), outcome.sentence())
    shown, results = metadata.send(outcome), checks.send_results(t, outcome)
    if outcome.paused is None or outcome.result.requests:
        for key, found in (
            (keys.ledger, metadata.ledger(t, outcome)),
            (keys.rejections, metadata.rejections(outcome)),
        ):
            context.log_event(dg.AssetMaterialization(key, metadata=found))
    if outcome.paused is not None:
        context.log.warning(outcome.paused.sentence())
        context.log_event(dg.AssetObservation(keys.send, metadata=shown))
        return list(results)
    if outcome.error is not None:
        # What Braze acknowledged is in the ledger; the step still failed.
        with _shown_if_it_fails(context, keys.send, shown):
            raise outcome.error
    return [dg.MaterializeResult(metadata=shown, check_results=results)]


@contextmanager
def _shown_if_it_fails(
    context: dg.AssetExecutionContext, key: dg.AssetKey, shown: metadata.Metadata
) -> Iterator[None]:
    """Show what a step did before it failed: a failed step materializes nothing."""
    try:
        yield
    except PipelineError:
        context.log_event(dg.AssetObservation(key, metadata=shown))
        raise


def _warn(context: dg.AssetExecutionContext, warning: str | None) -> None:
    if warning:
        context.log.warning(warning)
