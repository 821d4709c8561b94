"""How an error of the core becomes a failure of a Dagster step.

One place turns exceptions into what the event log stores for ever: typed errors keep their class
(as metadata, so that the sensor need not match text), and everything else loses the values that an
exception text may hold.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from braze_pipeline.core.masking import mask
from braze_pipeline.errors import PipelineError

ACTION = "braze_pipeline/action"
TITLE = "braze_pipeline/title"
WHAT = "braze_pipeline/what"
FIX = "braze_pipeline/fix"
TRANSIENT = "braze_pipeline/transient"

# Dagster's daemon looks at this tag when a run has failed.
RETRY_TAG = "dagster/retry_on_asset_or_op_failure"

_QUOTED = re.compile(r"""(["'`])(.*?)\1""", re.DOTALL)
_WORD_WITH_DATA = re.compile(r"\S*[@\d]\S*")
_MAX_TEXT = 500


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
        metadata={
            ACTION: error.action,
            TITLE: error.title,
            WHAT: error.what,
            FIX: error.fix,
            TRANSIENT: error.transient,
        },
        allow_retries=False,
    )


def unknown_failure(error: Exception) -> dg.Failure:
    """Any other exception: its type, where it arose, and its text with all values masked."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
    what = f"{type(error).__name__} at {place}: {safe_text(str(error))}"
    return dg.Failure(
        description=f"Unexpected failure: {what}",
        metadata={
            ACTION: PipelineError.action,
            TITLE: PipelineError.title,
            WHAT: what,
            FIX: "This is a defect or an unforeseen state; report it with the text above.",
            TRANSIENT: False,
        },
        allow_retries=False,
    )


def safe_text(text: str) -> str:
    """An exception text in which quoted parts and words with digits or an @ are masked."""
    masked = _QUOTED.sub(lambda m: f"{m.group(1)}{mask(m.group(2))}{m.group(1)}", text)
    masked = _WORD_WITH_DATA.sub(lambda m: mask(m.group(0)) or "", masked)
    return masked[:_MAX_TEXT]


def _allow_retry(context: dg.AssetExecutionContext, *, allowed: bool) -> None:
    """Tell the daemon whether trying this run again can help."""
    context.instance.add_run_tags(context.run.run_id, {RETRY_TAG: str(allowed).lower()})
