"""How fast a plan is sent: users a second, beside the raw floor of the same client.

    python benchmarks/send.py [--users 100000] [--latency 0 50 100]

The server is a minimal one in a process of its own. The floor sends the same bodies, built
beforehand, through the same client and as many threads, with no ledger, journal, limits or
outcomes, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import queue
import resource
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from braze_pipeline.braze.client import BrazeClient
from braze_pipeline.braze.redaction import Secret
from braze_pipeline.core.journal import Journal
from braze_pipeline.core.send import send_plan
from braze_pipeline.core.send.batches import HEAD, TAIL, batches
from braze_pipeline.settings import DestinationSettings, RateLimit

SIZE = 75
BRAZE_LIMIT = 75_000
SECRET = Secret("benchmark-key")


def serve(latency: float, port: multiprocessing.Queue) -> None:
    """Answer every request with a success after ``latency`` seconds."""

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
                asyncio.get_running_loop().call_later(latency, self.transport.write, answer)
            else:
                self.transport.write(answer)

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def snapshot(path: Path, users: int) -> None:
    """A plan of fourteen attributes a user, about 330 bytes each."""
    with pq.ParquetWriter(
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
                        "__request": pa.array([n // SIZE for n in ids], pa.int32()),
                        "__index": pa.array([n % SIZE for n in ids], pa.int32()),
                        "__object": objects,
                    }
                )
            )


def floor(path: Path, destination: DestinationSettings, threads: int) -> tuple[float, float]:
    """Seconds and CPU seconds for the same bodies with nothing around them."""
    bodies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    for batch in batches(path, {}):
        bodies.put(HEAD + b",".join(batch.objects) + TAIL)
    for _ in range(threads):
        bodies.put(None)
    client = BrazeClient(destination, SECRET, pool=threads)

    def work() -> None:
        while (body := bodies.get()) is not None:
            client.track(body)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    started, cpu = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    client.close()
    return time.perf_counter() - started, time.process_time() - cpu


def carry_out(
    folder: Path, path: Path, destination: DestinationSettings, name: str, users: int
) -> tuple[float, float]:
    """Users a second, and CPU milliseconds a request, of a whole send."""
    cpu = time.process_time()
    result = send_plan(
        snapshot=path,
        plan_id=name,
        template="t",
        run_id="benchmark",
        destination=destination,
        secret=SECRET,
        journal=Journal(folder / f"{name}.sqlite"),
    )
    cpu = time.process_time() - cpu
    if result.accepted_users != users:
        raise SystemExit(f"{result.accepted_users} of {users} users accepted")
    return users / result.seconds, 1000 * cpu / result.requests


def measure(folder: Path, users: int, latency: float) -> None:
    port: multiprocessing.Queue = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(latency, port), daemon=True)
    server.start()
    limited = DestinationSettings(
        name="braze",
        endpoint=f"http://127.0.0.1:{port.get(timeout=30)}",
        rate_limit=RateLimit(requests=3000, seconds=3.0),
    )
    free = replace(limited, rate_limit=RateLimit(requests=30_000, seconds=3.0))
    path = folder / "plan.parquet"
    snapshot(path, users)
    threads = 8 if latency == 0 else max(8, round(1000 * latency * 1.5))
    raw, raw_cpu = floor(path, limited, threads)
    free_pace, free_cpu = carry_out(folder, path, free, "free", users)
    pace, _ = carry_out(folder, path, limited, "limited", users)
    server.terminate()
    server.join()
    print(
        f"latency {latency * 1000:4.0f} ms: floor {users / raw:8,.0f} users/s; with no limit in "
        f"the way {free_pace:8,.0f} ({free_pace * raw / users:.2f} of the floor); at Braze's limit "
        f"{pace:8,.0f} ({pace / BRAZE_LIMIT:.0%} of {BRAZE_LIMIT:,}); CPU {free_cpu:.2f} ms a "
        f"request (floor {1000 * raw_cpu * SIZE / users:.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=300_000)
    parser.add_argument("--latency", type=float, nargs="*", default=[0, 50, 100], help="ms")
    arguments = parser.parse_args()
    for latency in arguments.latency:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), arguments.users, latency / 1000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MB (with the floor's bodies, all built beforehand)")


if __name__ == "__main__":
    main()
