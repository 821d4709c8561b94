"""How fast a plan is sent: users per second, compared with the raw speed of posting.

    python benchmarks/send.py [--users 600000] [--latency 0 50 100] [--endpoints track bulk]

A minimal server runs in its own process. The floor sends the same bodies, built beforehand, through
the adapter of `requests` with as many threads, without ledger, journal, limits or outcomes; so does
our own client, which needs less. All take turns in the same run, and the median counts: of the rates,
and of each turn's ratio. At Braze's limit a plan is sent twice: with a limit of its own, and with one
that destinations of a company share, counted in a file; and once with latencies that vary. Peak memory
is measured for two sends in their own processes: of a quarter of the users, and of all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import queue
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pyarrow as pa
import requests
from requests.adapters import HTTPAdapter

from braze_pipeline.braze.client import BrazeClient
from braze_pipeline.braze.redaction import Secret
from braze_pipeline.braze.request import Body
from braze_pipeline.braze.track_endpoints import track_endpoint
from braze_pipeline.plan.snapshot import snapshot_writer
from braze_pipeline.send import SendJob, send_plan
from braze_pipeline.send.batches import batches
from braze_pipeline.settings import DestinationSettings, RateLimit
from braze_pipeline.settings.destination import BulkOptions, BulkRateLimit, TrackName
from braze_pipeline.storage.journal import Journal

SECRET = Secret("benchmark-key")


def serve(latency: float, port: multiprocessing.Queue, spread: float = 0.0) -> None:
    """Answer every request with a success after ``latency`` seconds in the median.

    ``spread`` is the standard deviation of the logarithm of the seconds; 0: always the same.
    """
    seconds = random.Random(1)

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport, self.buffer = transport, b""

        def data_received(self, data: bytes) -> None:
            self.buffer += data
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            body = b'{"message":"success","attributes_processed":%d}' % rest.count(b'"external_id"')
            answer = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            if latency:
                after = seconds.lognormvariate(math.log(latency), spread)
                asyncio.get_running_loop().call_later(after, self.transport.write, answer)
            else:
                self.transport.write(answer)

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def served(latency: float = 0.0, spread: float = 0.0) -> Iterator[str]:
    """The address of such a server, in a process of its own."""
    port: multiprocessing.Queue = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(latency, port, spread), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{port.get(timeout=30)}"
    finally:
        server.terminate()
        server.join()


def braze(
    address: str, name: TrackName, *, limited: bool, company: str | None = None
) -> DestinationSettings:
    """A destination with Braze's documented limits, or with none that counts."""
    track, bulk = RateLimit(), BulkRateLimit()
    if not limited:
        track, bulk = RateLimit(requests=30_000), BulkRateLimit(requests=10_000)
    return DestinationSettings(
        name="braze",
        endpoint=address,
        sends_to=name,
        company=company,
        rate_limit=track,
        bulk=BulkOptions(rate_limit=bulk),
    )


def users_per_second(destination: DestinationSettings, name: TrackName) -> float:
    """What the endpoint's limit allows."""
    endpoint = track_endpoint(destination, name)
    return endpoint.objects * endpoint.limit.requests / endpoint.limit.seconds


def snapshot(path: Path, users: int, size: int) -> None:
    """A plan with fourteen attributes per user, about 330 bytes each."""
    with snapshot_writer(
        path,
        pa.schema([("__request", pa.int32()), ("__index", pa.int32()), ("__object", pa.string())]),
    ) as writer:
        for start in range(0, users, 75_000):
            ids = range(start, min(start + 75_000, users))
            objects = [
                json.dumps(
                    {"external_id": f"customer-{n}", "_update_existing_only": True}
                    | {f"Attribute {k}": f"value {n % (k + 7)}" for k in range(14)},
                    separators=(",", ":"),
                )
                for n in ids
            ]
            writer.write_table(
                pa.table(
                    {
                        "__request": pa.array([n // size for n in ids], pa.int32()),
                        "__index": pa.array([n % size for n in ids], pa.int32()),
                        "__object": objects,
                    }
                )
            )


def floor(path: Path, threads: int, post: Callable[[bytes], object]) -> tuple[float, float]:
    """Clock and CPU seconds for posting the same bodies, and nothing else."""
    bodies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    for batch in batches(path, {}):
        bodies.put(bytes(batch.body))
    for _ in range(threads):
        bodies.put(None)

    def work() -> None:
        while (body := bodies.get()) is not None:
            post(body)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    started, cpu = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - started, time.process_time() - cpu


def by_adapter(url: str, pool: int) -> Callable[[bytes], object]:
    """Posts a body with the adapter of `requests`, which is the least that a session does."""
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=pool)
    prepared = requests.Request(
        "POST", url, headers={"Authorization": "key", "Content-Type": "application/json"}
    ).prepare()

    def post(body: bytes) -> object:
        request = prepared.copy()
        request.body = body
        request.headers["Content-Length"] = str(len(body))
        return adapter.send(request, timeout=(10, 60)).json()

    return post


def carry_out(
    folder: Path, path: Path, destination: DestinationSettings, name: str, users: int
) -> tuple[float, float]:
    """Users per second, and CPU milliseconds per request, of a complete send."""
    cpu = time.process_time()
    result = send_plan(
        SendJob(
            snapshot=path,
            plan_id=name,
            template="t",
            run_id="benchmark",
            destination=destination,
            endpoint="bulk" if destination.sends_to == "bulk" else "track",
            limits=folder / f"{name}.limits.sqlite",
        ),
        secret=SECRET,
        journal=Journal(folder / f"{name}.sqlite"),
    )
    cpu = time.process_time() - cpu
    if result.accepted_users != users:
        raise SystemExit(f"{result.accepted_users} of {users} users accepted")
    return users / result.seconds, 1000 * cpu / result.requests


def measure(folder: Path, address: str, users: int, latency: float, name: TrackName) -> None:
    limited, free = (braze(address, name, limited=limit) for limit in (True, False))
    size = track_endpoint(limited, name).objects
    path = folder / "plan.parquet"
    snapshot(path, users, size)
    most = users_per_second(limited, name)
    threads = 8 if latency == 0 else max(8, round(most / size * latency * 1.5))
    to = track_endpoint(limited, name).path
    client = BrazeClient(limited, SECRET, pool=threads)
    turns = []
    # Where nothing waits, a turn is short, and what else the machine does counts for more.
    for turn in range(3 if latency else 9):
        raw = floor(path, threads, by_adapter(address + to, threads))
        ours = floor(path, threads, lambda body: client.track(Body(body), to))
        found, cpu = carry_out(folder, path, free, f"free {turn}", users)
        of_floor = found * raw[0] / users
        turns.append([users / raw[0], raw[1], users / ours[0], ours[1], found, cpu, of_floor])
    shared = braze(address, name, limited=True, company="shared")
    rate, cpu = carry_out(folder, path, limited, "limited", users)
    shared_rate, shared_cpu = carry_out(folder, path, shared, "shared", users)
    client.close()
    floor_rate, floor_cpu, our_rate, our_cpu, free_rate, free_cpu, of_floor = map(
        median, zip(*turns, strict=True)
    )
    print(
        f"{name} at {latency * 1000:4.0f} ms: floor {floor_rate:8,.0f} users/s, our client alone "
        f"{our_rate:8,.0f}; without a rate limit {free_rate:8,.0f} "
        f"({of_floor:.2f} of the floor); at Braze's limit "
        f"{rate:8,.0f} ({rate / most:.1%} of {most:,.0f}), shared {shared_rate:8,.0f} "
        f"({shared_rate / most:.1%}); CPU {free_cpu:.2f} ms per request (floor "
        f"{1000 * floor_cpu * size / users:.2f}, client {1000 * our_cpu * size / users:.2f}; at the "
        f"limit {cpu:.2f}, shared {shared_cpu:.2f})",
        flush=True,
    )


def measure_varied(folder: Path, address: str, users: int, name: TrackName) -> None:
    """The same at Braze's limit alone, with latencies as they are: many short, some long."""
    limited = braze(address, name, limited=True)
    path = folder / "plan.parquet"
    snapshot(path, users, track_endpoint(limited, name).objects)
    rate, _ = carry_out(folder, path, limited, "varied", users)
    print(
        f"{name} at 50 ms in the median, 69 in the mean, 320 for one in a hundred: "
        f"{rate / users_per_second(limited, name):.1%} of Braze's limit",
        flush=True,
    )


def peak_of(users: int, name: TrackName) -> float:
    """Peak memory in MB of a process that only sends a plan."""
    fresh = multiprocessing.get_context("spawn")
    port, peaks = fresh.Queue(), fresh.Queue()
    server = fresh.Process(target=serve, args=(0.0, port), daemon=True)
    server.start()
    endpoint = f"http://127.0.0.1:{port.get(timeout=30)}"
    with tempfile.TemporaryDirectory() as folder:
        free = braze(endpoint, name, limited=False)
        snapshot(Path(folder) / "plan.parquet", users, track_endpoint(free, name).objects)
        sender = fresh.Process(target=_send_alone, args=(Path(folder), free, users, peaks))
        sender.start()
        peak: float = peaks.get(timeout=600)
        sender.join()
    server.terminate()
    server.join()
    return peak


def _send_alone(
    folder: Path, free: DestinationSettings, users: int, peaks: multiprocessing.Queue
) -> None:
    carry_out(folder, folder / "plan.parquet", free, "alone", users)
    # Not ru_maxrss: a new process starts with its parent's.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peaks.put(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=600_000)
    parser.add_argument("--latency", type=float, nargs="*", default=[0, 50, 100], help="ms")
    parser.add_argument("--memory-users", type=int, default=1_000_000)
    parser.add_argument("--endpoints", nargs="*", default=["track", "bulk"])
    arguments = parser.parse_args()
    for name in arguments.endpoints:
        for latency in arguments.latency:
            with tempfile.TemporaryDirectory() as folder, served(latency / 1000) as address:
                measure(Path(folder), address, arguments.users, latency / 1000, name)
        with tempfile.TemporaryDirectory() as folder, served(0.05, 0.8) as address:
            measure_varied(Path(folder), address, arguments.users, name)
        for users in (arguments.memory_users // 4, arguments.memory_users):
            print(f"{name}: peak memory with {users:9,} users: {peak_of(users, name):,.0f} MB")


if __name__ == "__main__":
    main()
