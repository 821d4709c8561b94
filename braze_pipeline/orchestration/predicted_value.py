"""The asset `predicted_value`: what a run made of fits and predictions, and how good they are."""

# No `from __future__ import annotations` here: Dagster reads the annotation of `context` itself.
import os
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

import dagster as dg

from braze_pipeline.attributes.build import sources_read
from braze_pipeline.orchestration import (
    charts,
    checks,
    column_metadata,
    metadata,
    progress,
    run_tags,
)
from braze_pipeline.orchestration.attempts import first_attempt
from braze_pipeline.orchestration.days import days_of
from braze_pipeline.orchestration.failures import typed_failures
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.overrides import REFIT, is_true, overrides_of
from braze_pipeline.orchestration.resources import WarehouseResource
from braze_pipeline.predicted_value.fit import Fit
from braze_pipeline.predicted_value.step import Predicted, predict
from braze_pipeline.settings import PREDICTIONS, TemplateSettings


def build_asset(
    t: TemplateSettings,
    asset: Callable[..., Callable[[Callable[..., Any]], dg.AssetsDefinition]],
    when: Mapping[dg.AssetKey, dg.AutomationCondition[Any]],
) -> dg.AssetsDefinition:
    """The asset; ``asset`` is the decorator with what all assets of the template have in common."""
    keys = TemplateKeys.of(t)
    # A run that a source's update starts begins here, whatever source that was.
    read = [s.name for s in t.sources if t.automation or s.name == "orders"]

    @asset(
        key=keys.predicted,
        automation_condition=when.get(keys.source(PREDICTIONS)),
        deps=[keys.source(name) for name in read if name != PREDICTIONS],
        kinds={"duckdb"},
        check_specs=[checks.spec(checks.PREDICTED, keys.source(PREDICTIONS))],
        description=(
            "What each customer will probably spend, from `orders`. Made on the days of refits; in "
            "between nothing changes."
        ),
    )
    def predicted_value(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult:
        with typed_failures(context), progress.step("predicted_value"):
            run_tags.clear(context)
            overrides_of(context.run.tags)  # what is not valid fails before anything is built
            found = predict(
                warehouse.warehouse(t),
                t,
                days_of(context),
                sources=partial(sources_read, t),
                run_id=first_attempt(context.instance, context.run),
                environ=os.environ,
                log=progress.logger(context.log.info),
                again=is_true(context.run.tags, REFIT),
            )
            if found.refused:
                context.log.warning(found.sentence())
            result = checks.predicted_result(found, backtest(found.newest))
            return dg.MaterializeResult(metadata=shown(t, found), check_results=[result])

    return predicted_value


def shown(t: TemplateSettings, found: Predicted) -> metadata.Metadata:
    """The fit in force, its parameters and its backtest; or why nothing is computed."""
    if found.own is not None:
        return {"computed": found.sentence()}
    text: metadata.Metadata = {
        "fits made by this run": found.made,
        "next refit": str(found.next_refit),
        **column_metadata.predictions(t),
    }
    if (fit := found.used) is None:
        return {metadata.ROWS: 0, "computed": found.sentence(), **text}
    published = next((one for one in fit.backtest if one.name == fit.published), None)
    pictures = (
        {
            "lift": dg.MetadataValue.md(charts.lift(published.deciles)),
            "calibration": dg.MetadataValue.md(charts.calibration(published.deciles)),
        }
        if published is not None and published.deciles
        else {}
    )
    return {
        metadata.ROWS: fit.customers,
        **pictures,
        "published": fit.published,
        "fit": fit.fit_id,
        "fit of": str(fit.as_of),
        "orders used": f"{_day(fit.first_day)} to {_day(fit.last_day)}",
        "days ahead": fit.horizon_days,
        "customers with more than one purchase": fit.repeat_customers,
        "parameters": metadata.table(
            ("parameter", "value"),
            ((name, f"{value:.6g}") for name, value in fit.parameters.items()),
        ),
        **backtest(fit),
        **({"notes": " ".join((*fit.refused, *fit.notes))} if fit.refused or fit.notes else {}),
        **text,
    }


def backtest(fit: Fit | None) -> metadata.Metadata:
    """How each candidate did on held-out time; nothing where there was too little time."""
    if fit is None or not fit.backtest:
        return {}
    rows = [
        (
            dg.MetadataValue.md(f"**{one.name}**") if one.name == fit.published else one.name,
            f"{one.mean_error:,.2f}",
            f"{one.rank_correlation:.3f}",
            f"{one.calibration:.3f}",
            f"{one.top_tenth_share:.1%}",
        )
        for one in fit.backtest
    ]
    header = (
        "candidate", "mean error", "rank correlation", "predicted / spent", "top tenth's share",
    )  # fmt: skip
    return {"backtest": metadata.table(header, rows), "backtest days": fit.backtest_days or 0}


def _day(day: date | None) -> str:
    return str(day) if day else "no day"
