"""A real server that speaks the API of S3, on loopback, with one bucket."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import requests
from pyarrow import fs


@dataclass(frozen=True)
class Bucket:
    """A bucket named ``brand``.

    Attributes:
        port: Of the server, on 127.0.0.1.
    """

    port: int

    @property
    def environ(self) -> dict[str, str]:
        """What a client needs to reach it."""
        return {
            "AWS_ACCESS_KEY_ID": "brand",
            "AWS_SECRET_ACCESS_KEY": "s3cret-of-s3",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
        }

    @property
    def store(self) -> Any:
        return fs.S3FileSystem(
            access_key="brand",
            secret_key="s3cret-of-s3",
            region="us-east-1",
            endpoint_override=f"127.0.0.1:{self.port}",
            scheme="http",
            allow_bucket_creation=True,
        )

    def put(self, key: str, content: bytes) -> None:
        with self.store.open_output_stream(f"brand/{key}", compression=None) as opened:
            opened.write(content)

    def put_parquet(self, key: str, rows: pa.Table) -> None:
        with self.store.open_output_stream(f"brand/{key}") as opened:
            pq.write_table(rows, opened)

    def remove(self, key: str) -> None:
        self.store.delete_file(f"brand/{key}")


@contextmanager
def object_store() -> Iterator[Bucket]:
    """A server of its own."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        bucket = Bucket(server.get_host_and_port()[1])
        # What an earlier server of this process has stored is still there.
        requests.post(f"http://127.0.0.1:{bucket.port}/moto-api/reset", timeout=10)
        bucket.store.create_dir("brand")
        yield bucket
    finally:
        server.stop()
