"""Turns an error of the pipeline into a failure of a Dagster step.

The event log keeps a failure for ever. So typed errors keep their class (as metadata, which sensors
read instead of matching text), and any other exception loses the values that its text may hold.
This is the only place that does so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from braze_pipeline.errors import PipelineError
from braze_pipeline.storage.masking import unexpected

ACTION = "braze_pipeline/action"
WHAT = "braze_pipeline/what"
FIX = "braze_pipeline/fix"

# Dagster's daemon reads this tag when a run has failed.
RETRY_TAG = "dagster/retry_on_asset_or_op_failure"


@contextmanager
def typed_failures(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Turn whatever the block raises into a failure that is safe to store.

    It also tells Dagster's daemon whether trying the run again can help.

    Raises:
        dagster.Failure: in place of every exception but Dagster's own.
    """
    try:
        yield
    except dg.DagsterError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold customers' data
        # DuckDB makes an error of what interrupts a query.
        if (interrupt := error.__cause__) and not isinstance(interrupt, Exception):
            raise interrupt from None
        known = error if isinstance(error, PipelineError) else unexpected(error)
        retry = str(known.transient).lower()
        context.instance.add_run_tags(context.run.run_id, {RETRY_TAG: retry})
        raise dg.Failure(
            description=f"{known.title}: {known.what} {known.fix}",
            metadata={ACTION: known.action, WHAT: known.what, FIX: known.fix},
            allow_retries=False,
        ) from None
