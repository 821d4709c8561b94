"""How a run and the runs that repeat or resume it belong together, by Dagster's tags."""

from __future__ import annotations

from typing import Final

import dagster as dg

PARENT_TAG: Final = "dagster/parent_run_id"
ROOT_TAG: Final = "dagster/root_run_id"
RESUMED_TAG: Final = "dagster/is_resume_retry"
_RESUMED_TAGS: Final = (RESUMED_TAG, "dagster/is_asset_resume_retry")
"""Set on a run that resumes another from failure, instead of repeating all of its steps."""


def attempts(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dg.DagsterRun]:
    """A run, the run that it resumes, and so on; at the end one that resumes none, or none known.

    A run that repeats all steps resumes none: it reads the sources again.
    """
    found = [run]
    while any(run.tags.get(tag) == "true" for tag in _RESUMED_TAGS):
        parent = instance.get_run_by_id(run.tags.get(PARENT_TAG, ""))
        if parent is None:
            break
        found.append(run := parent)
    return found


def first_attempt(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The id of the first of a run's attempts: its own if it resumes none.

    Its extracts are read again.
    """
    return attempts(instance, run)[-1].run_id
