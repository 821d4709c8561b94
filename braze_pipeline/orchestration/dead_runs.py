"""Runs whose process has gone without recording an end: killed, or the machine restarted.

Dagster's launcher notices this only for runs that it started, and only while it lives itself. Any
other dead run stays started for ever, and all later runs wait for its place in a pool. So every
process of a run locks a file beside the instance, named RUN.PROCESS (RUN by earlier versions). The
system releases the lock when the process ends, however it ends: a run is dead when it has files and
none is locked. A run without a file may be alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason

from braze_pipeline import private
from braze_pipeline.storage.warehouse import locked

HOW_TO_END = (
    'If nothing executes it any more, end it: choose "Terminate" in Dagster\'s UI, with "Force '
    'termination immediately". The daemon then frees its pool.'
)
"""What to do with a run without a file."""

_DIED = JobFailureData(error=None, failure_reason=RunFailureReason.UNEXPECTED_TERMINATION)


@contextmanager
def alive(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Show to all processes of the instance's machine that a run of this process is alive."""
    with ExitStack() as stack:
        # Where no file can be written or locked, the run goes on without.
        with suppress(OSError):
            # Not the process id: processes in two containers may have the same one.
            stack.enter_context(_locked_file(_folder(instance), f"{run_id}.{uuid4().hex}"))
        yield


@contextmanager
def _locked_file(folder: Path, name: str) -> Iterator[None]:
    new = private.file(private.folder(folder) / f".{name}")
    with locked(new):
        # It gets the name that other processes look for only once it is locked.
        file = new.rename(folder / name)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Record dead runs as failed and free their places in pools; the ids of these runs."""
    failed = []
    for run_id, files in groupby(sorted(_folder(instance).glob("[!.]*")), _run_of):
        # A process of the run is alive; or a file is another account's, which looks by itself.
        with suppress(OSError), ExitStack() as held:
            left = list(files)
            for file in left:
                held.enter_context(locked(file))
            if not all(file.exists() for file in left):
                continue  # a process removed its file since: it has ended, and the run goes on
            run = instance.get_run_by_id(run_id)
            if run is not None and not run.is_finished:
                text = "The process of this run was killed, or its machine restarted."
                instance.report_run_failed(run, text, _DIED)
                failed.append(run.run_id)
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
            for file in left:
                file.unlink()
    return failed


def without_file(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> list[str]:
    """Those of some runs that show no sign of life here, and may be alive.

    An earlier version or another machine started them, or they could write no file.
    """
    return sorted(set(run_ids) - {_run_of(file) for file in _folder(instance).glob("[!.]*")})


def _run_of(file: Path) -> str:
    return file.name.partition(".")[0]


def _folder(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory, "braze_pipeline_runs")
