"""How much of a rate limit the limiter lets pass, without the work of sending.

    python benchmarks/limits.py [--seconds 8]

Workers take a turn and wait for as long as an answer takes. So this measures the limiter alone, on a
busy machine too: by how much of the limit is used, and by its CPU time. `own` is a limit that a send has
for itself, `shared` one that senders count in a file.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import Any

from braze_pipeline.braze.rate_limiter import OwnBudget, RateLimiter
from braze_pipeline.send.budget import SharedBudget
from braze_pipeline.settings import RateLimit
from braze_pipeline.storage.limits import LimitsFile

LATENCY = 0.05
WORKERS = 80


def sender(path: Path | None, limit: RateLimit, seconds: float, ready: Any, result: Any) -> None:
    """One sender: puts the moments at which requests passed, and its CPU seconds."""
    budget = OwnBudget() if path is None else SharedBudget(LimitsFile(path), "benchmark")
    limiter, stop = RateLimiter(limit, budget=budget), threading.Event()
    passed: list[float] = []

    def work() -> None:
        while limiter.acquire(stop):
            passed.append(time.monotonic())
            stop.wait(LATENCY)

    workers = [threading.Thread(target=work) for _ in range(WORKERS)]
    ready.wait(60)
    cpu = time.process_time()
    for worker in workers:
        worker.start()
    stop.wait(seconds)
    stop.set()
    for worker in workers:
        worker.join()
    limiter.close()
    result.put((passed, time.process_time() - cpu))


def measure(limit: RateLimit, *, senders: int, shared: bool, seconds: float) -> None:
    fresh = multiprocessing.get_context("spawn")
    result = fresh.Queue()
    ready = fresh.Barrier(senders)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "limits.sqlite" if shared else None
        processes = [
            fresh.Process(target=sender, args=(path, limit, seconds, ready, result))
            for _ in range(senders)
        ]
        for process in processes:
            process.start()
        found = [result.get(timeout=seconds + 60) for _ in processes]
        for process in processes:
            process.join()
    moments = sorted(moment for passed, _ in found for moment in passed)
    # The first second is left out: it has what was saved up.
    since = max(min(passed) for passed, _ in found) + 1.0
    until = min(max(passed) for passed, _ in found)
    used = bisect_left(moments, until) - bisect_left(moments, since)
    most = max(bisect_left(moments, m + limit.seconds) - i for i, m in enumerate(moments))
    print(
        f"{limit.requests:,} in {limit.seconds:g} s, {senders} x {'shared' if shared else 'own':<6}: "
        f"{used / (until - since) * limit.seconds / limit.requests:.1%} of the limit; most in a "
        f"window {most:,}; CPU {1000 * sum(cpu for _, cpu in found) / len(moments):.2f} ms per request",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    seconds = parser.parse_args().seconds
    for limit in (RateLimit(), RateLimit(requests=50, seconds=1.0)):
        for senders, shared in ((1, False), (1, True), (2, True)):
            measure(limit, senders=senders, shared=shared, seconds=seconds)


if __name__ == "__main__":
    main()
