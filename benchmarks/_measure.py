"""Runs a step of a benchmark in its own process, so that its peak memory can be measured."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """Wall-clock and CPU seconds, and the process's peak memory and what it wrote to disk in MB.

    What it wrote is known on Linux only, and is 0 elsewhere.
    """

    clock: float
    cpu: float
    peak: float
    written: float = 0.0


def measure(label: str, work: Callable[..., Any], *arguments: Any) -> tuple[Cost, dict[str, Any]]:
    """Run a step; print times, peak memory and its result, without keys that end in _id."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(
        target=_child, args=(theirs, work, arguments)
    )
    child.start()
    theirs.close()
    try:
        cost, found = ours.recv()
    except EOFError:
        raise SystemExit(f"{label} failed: see above.") from None
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
    written = _written()
    found = work(*arguments)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cost = Cost(seconds, cpu, _peak(), (_written() - written) / 1e6)
    pipe.send((cost, found))


def _peak() -> float:
    """In MB. On Linux not ru_maxrss: a new process starts with its parent's."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(status.read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) / 1024


def _written() -> int:
    """Bytes that this process gave the system to write to disk: proc(5), `write_bytes`."""
    counters = Path("/proc/self/io")
    if not counters.exists():
        return 0
    return int(counters.read_text(encoding="ascii").split("\nwrite_bytes:")[1].split()[0])
