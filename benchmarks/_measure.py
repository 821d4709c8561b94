"""Runs a step of a benchmark in its own process, so that its peak memory can be measured."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """Wall-clock and CPU seconds, and the process's peak memory in MB."""

    clock: float
    cpu: float
    peak: float


def measure(label: str, work: Callable[..., Any], *arguments: Any) -> tuple[Cost, dict[str, Any]]:
    """Run a step; print times, peak memory and its result, without keys that end in _id."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(
        target=_child, args=(theirs, work, arguments)
    )
    child.start()
    theirs.close()
    cost, found = ours.recv()
    child.join()
    shown = {key: value for key, value in found.items() if not key.endswith("_id")}
    print(
        f"{label:<38}{cost.clock:7.1f} s {cost.cpu:7.1f} s CPU {cost.peak:7.0f} MB  {shown or ''}",
        flush=True,
    )
    return cost, found


def _child(pipe: Any, work: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> None:
    import duckdb  # noqa: F401 - imports are not part of a step
    import pandas as pd  # noqa: F401  (duckdb imports it at the first parameter)
    import pyarrow as pa  # noqa: F401

    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    found = work(*arguments)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    pipe.send((Cost(seconds, cpu, after.ru_maxrss / 1024), found))
