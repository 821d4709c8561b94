"""The steps that resolve what no error tells of: what the sensors notice by themselves."""

from __future__ import annotations

from collections.abc import Mapping

from braze_pipeline.core.actions.kinds import (
    PARTIAL_SUCCESS,
    PROCESS_DIED,
    RETRY,
    SEND_OVERDUE,
    SLOW_RUN,
    SOURCE_STALE,
    Resolution,
)

NOTICED: Mapping[str, Resolution] = {
    PROCESS_DIED: Resolution(
        title="The run's process died",
        meaning="It ended without a word: out of memory, killed, or the machine restarted.",
        steps=(
            "Look at the machine's log for the out-of-memory killer, and at its memory.",
            RETRY,
        ),
    ),
    PARTIAL_SUCCESS: Resolution(
        title="Partial success",
        meaning="The run succeeded, but more of the audience than usual did not get through.",
        steps=(
            "`braze-pipeline --template {template} rejections --as-of {day}` counts the reasons.",
            "Mend what is named there; refused users are planned again when their values change.",
            "The next run with fewer rejections closes this.",
        ),
        retry=False,
    ),
    SOURCE_STALE: Resolution(
        title="Source late or incomplete",
        meaning=(
            "The run succeeded, but with source tables that are older or less whole than "
            "`source_checks` expects: what Braze has now is as old as they are."
        ),
        steps=(
            "Ask the owner of the source table that is named above why it is late or incomplete.",
            (
                "When it is mended, run the day again in full: "
                "`braze-pipeline --template {template} run --as-of {day}`; only what changes by "
                "that is sent."
            ),
            (
                "If it is always so, change `source_checks` in {config}. The next run that finds "
                "the sources as expected closes this."
            ),
        ),
        retry=False,
    ),
    SLOW_RUN: Resolution(
        title="Run takes far longer than its last ones",
        meaning="It still runs. It may wait for a lock, for Braze's rate limit, or be stuck.",
        steps=(
            "Look at the run's log in the UI: a line every few seconds tells what it waits for.",
            (
                "If it is stuck, terminate it in the UI; what was acknowledged is kept, and a "
                "rerun goes on from there."
            ),
        ),
        retry=False,
    ),
    SEND_OVERDUE: Resolution(
        title="Send overdue",
        meaning="No send of this template was acknowledged for longer than is allowed.",
        steps=(
            "Look whether the schedule is on, and what its last ticks said (Automation in the UI).",
            "Look for failed or queued runs; the daemon must be alive (Deployment > Daemons).",
            "The next send that goes through closes this.",
        ),
        retry=False,
    ),
}
