"""A progress bar for a run at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from braze_pipeline.send import SendProgress


@contextmanager
def progress_bar(*, wanted: bool) -> Iterator[None]:
    """Show messages and the progress of a send on standard error, if it is a terminal."""
    if not wanted or not sys.stderr.isatty():
        yield
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from braze_pipeline.orchestration.progress import watched

    with Bar(
        TextColumn("sending"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} users, {task.fields[pace]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("", total=None, start=False, visible=False, pace="", state="")

        def show_progress(progress: SendProgress) -> None:
            bar.start_task(task)
            bar.update(
                task,
                visible=True,
                completed=progress.done,
                total=progress.total,
                pace=f"{progress.users_per_second:,.0f} per second",
                state="waiting for the rate limit" if progress.throttled else "",
            )

        def show_message(text: str) -> None:
            bar.console.print(text, markup=False, highlight=False)

        with watched(on_progress=show_progress, on_message=show_message):
            yield
