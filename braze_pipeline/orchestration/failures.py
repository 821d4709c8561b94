"""How an error of the core becomes a failure of a Dagster step.

One place turns exceptions into what the event log stores for ever: typed errors keep their class
(as metadata, so that the sensor need not match text), and everything else loses the values that an
exception text may hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from braze_pipeline.errors import PipelineError
from braze_pipeline.storage.masking import describe_unknown

ACTION = "braze_pipeline/action"
WHAT = "braze_pipeline/what"
FIX = "braze_pipeline/fix"

# Dagster's daemon looks at this tag when a run has failed.
RETRY_TAG = "dagster/retry_on_asset_or_op_failure"


@contextmanager
def told(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Turn whatever the block raises into a failure that is safe to store.

    Raises:
        dagster.Failure: in place of every exception but Dagster's own.
    """
    try:
        yield
    except PipelineError as error:
        _allow_retry(context, allowed=error.transient)
        raise failure_of(error) from None
    except dg.DagsterError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold customers' data
        _allow_retry(context, allowed=False)
        raise unknown_failure(error) from None


def failure_of(error: PipelineError) -> dg.Failure:
    """A typed error as a failure with its class, what happened and what to do."""
    return dg.Failure(
        description=f"{error.title}: {error.what} {error.fix}",
        metadata={ACTION: error.action, WHAT: error.what, FIX: error.fix},
        allow_retries=False,
    )


def unknown_failure(error: Exception) -> dg.Failure:
    """Any other exception: its type, where it arose, and its text with all values masked."""
    what = describe_unknown(error)
    return dg.Failure(
        description=f"Unexpected failure: {what}",
        metadata={
            ACTION: PipelineError.action,
            WHAT: what,
            FIX: "This is a defect or an unforeseen state; report it with the text above.",
        },
        allow_retries=False,
    )


def _allow_retry(context: dg.AssetExecutionContext, *, allowed: bool) -> None:
    """Tell the daemon whether trying this run again can help."""
    context.instance.add_run_tags(context.run.run_id, {RETRY_TAG: str(allowed).lower()})
