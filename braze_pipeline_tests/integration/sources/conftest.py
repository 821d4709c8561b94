"""Real places: a PostgreSQL server, and one that speaks the API of S3."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
import requests
from pyarrow import fs

from braze_pipeline_tests.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One server for all tests of the session."""
    with postgres(tmp_path_factory.mktemp("postgres") / "server") as running:
        yield running


@dataclass(frozen=True)
class Bucket:
    """A bucket named ``brand``.

    Attributes:
        environ: What a client needs to reach it.
    """

    environ: dict[str, str]

    @property
    def store(self) -> Any:
        return fs.FileSystem.from_uri("s3://brand")[0]

    def put(self, key: str, content: bytes) -> None:
        with self.store.open_output_stream(f"brand/{key}") as opened:
            opened.write(content)

    def put_parquet(self, key: str, rows: pa.Table) -> None:
        import pyarrow.parquet as pq

        with self.store.open_output_stream(f"brand/{key}") as opened:
            pq.write_table(rows, opened)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    environ = {
        "AWS_ACCESS_KEY_ID": "brand",
        "AWS_SECRET_ACCESS_KEY": "s3cret-of-s3",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    # Its servers share what they store, for the life of the process.
    requests.post(f"http://127.0.0.1:{port}/moto-api/reset", timeout=10).raise_for_status()
    try:
        fs.S3FileSystem(
            allow_bucket_creation=True, endpoint_override=f"127.0.0.1:{port}", scheme="http"
        ).create_dir("brand")
        yield Bucket(environ)
    finally:
        server.stop()
