"""What it costs to read tables from a database and from an object store.

Two ratios, each of one run on one machine, in a process of its own for each measurement:

- The extract of a Postgres table (streamed, written as Parquet) beside the bare stream of the same
  query by the same driver, whose batches are thrown away.
- Parquet files of an S3 server on loopback, copied and counted, beside the same files on disk,
  counted.

Peak memory is that of the whole process, libraries included: it must not grow with the rows, so two
sizes are measured.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

QUERY = "SELECT * FROM orders WHERE n <= {rows}"


def bare(uri: str, rows: int) -> int:
    """The driver's stream alone."""
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(uri) as handle, handle.cursor() as cursor:
        cursor.execute(QUERY.format(rows=rows))
        return sum(batch.num_rows for batch in cursor.fetch_record_batch())


def extract(uri: str, rows: int) -> int:
    """Ours: the stream into Parquet, by which the run goes on."""
    from braze_pipeline.settings import SourceSettings
    from braze_pipeline.settings.places import Connection, Database
    from braze_pipeline.sources.remote.extract import extracted

    place = Database(
        connection=Connection(name="shop", type="postgres", uri_env="SHOP_URI"),
        query=QUERY.format(rows=rows),
    )
    with tempfile.TemporaryDirectory() as folder:
        sources = [SourceSettings(name="orders", place=place)]
        with extracted(sources, Path(folder) / "x" / "run", environ={"SHOP_URI": uri}) as (_, done):
            return done["orders"].rows or 0


def disk(folder: str, _: int) -> int:
    """The files where they are."""
    import duckdb

    with duckdb.connect() as con:
        row = con.execute(f"SELECT sum(n), count(*) FROM '{folder}/*.parquet'").fetchone()
    return int(row[1]) if row else 0


def store(url: str, _: int) -> int:
    """The same files behind S3: copied, then counted."""
    from braze_pipeline.settings import SourceSettings
    from braze_pipeline.settings.places import Files
    from braze_pipeline.sources.remote.extract import extracted

    with tempfile.TemporaryDirectory() as folder:
        sources = [SourceSettings(name="orders", place=Files(url=url))]
        with extracted(sources, Path(folder) / "x" / "run", environ=os.environ) as (local, _done):
            return disk(str(local[0].path), 0)


WAYS: dict[str, Callable[[str, int], int]] = {
    "bare": bare, "extract": extract, "disk": disk, "store": store,
}  # fmt: skip


def peak_mb() -> float:
    """Of this process alone: ``ru_maxrss`` begins with what the parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measured(way: str, where: str, rows: int) -> tuple[float, float, float]:
    """CPU seconds, seconds and peak MB of one way, in a process of its own."""
    call = [sys.executable, __file__, "--way", way, "--where", where, "--rows", str(rows)]
    found = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
    assert found["rows"] == rows, found
    return found["cpu"], found["seconds"], found["peak_mb"]


def compare(ours: str, floor: str, places: tuple[str, str], rows: int, turns: int) -> float:
    """Both by turns; the best of each counts, by CPU time: a busy machine only stretches the clock."""
    best = {ours: (9e9, 0.0, 0.0), floor: (9e9, 0.0, 0.0)}
    for _ in range(turns):
        for way, where in ((floor, places[1]), (ours, places[0])):
            best[way] = min(best[way], measured(way, where, rows))
    for way, (cpu, seconds, peak) in best.items():
        print(
            f"  {way:8} {rows:>12,} rows {seconds:8.2f} s {cpu:8.2f} s CPU "
            f"{rows / seconds:>12,.0f} rows/s {peak:8,.0f} MB at most",
            flush=True,
        )
    ratio = best[ours][0] / best[floor][0]
    print(f"  {ours} / {floor}: {ratio:.2f}")
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--where", default="")
    args = parser.parse_args()
    if args.way:
        start, busy = time.perf_counter(), time.process_time()
        rows = WAYS[args.way](args.where, args.rows)
        found = {"rows": rows, "seconds": time.perf_counter() - start}
        found["cpu"] = time.process_time() - busy
        found["peak_mb"] = peak_mb()
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        database(args.rows, args.turns)
        object_store(Path(folder), args.rows, args.turns)


def database(rows: int, turns: int) -> None:
    from braze_pipeline_tests.postgres import postgres

    print(f"Postgres: the extract beside the bare stream ({rows:,} order lines)")
    with postgres() as server:
        server.run(
            "CREATE TABLE orders AS SELECT n, 'order-' || n / 3 AS order_id, "
            "(n % 1000000)::text AS customer_id, timestamp '2011-01-01' + n * interval '1 second' "
            "AS ordered_at, (n % 7)::int AS quantity, (n % 1000 / 10.0)::numeric(12, 2) AS "
            f"unit_price, 'Product ' || n % 5000 AS product_name FROM generate_series(1, {rows}) n"
        )
        for size in (rows // 10, rows):
            compare("extract", "bare", (server.uri(), server.uri()), size, turns)


def object_store(folder: Path, rows: int, turns: int) -> None:
    import duckdb
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    print(f"S3 on loopback beside the same files on disk ({rows:,} order lines)")
    files = folder / "files"
    files.mkdir()
    with duckdb.connect() as con:
        for part in range(10):
            con.execute(
                f"COPY (SELECT n, 'order-' || n AS order_id, n % 7 AS quantity FROM "
                f"range({rows // 10}) t(n)) TO '{files}/{part}.parquet'"
            )
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }  # fmt: skip
    try:
        client = fs.S3FileSystem(
            allow_bucket_creation=True, endpoint_override=f"127.0.0.1:{port}", scheme="http"
        )
        client.create_dir("brand")
        fs.copy_files(str(files), "brand/orders", destination_filesystem=client)
        compare("store", "disk", ("s3://brand/orders", str(files)), rows // 10 * 10, turns)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
