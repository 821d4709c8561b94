"""A server of a test, and a client for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from braze_pipeline.braze.client import BrazeClient
from braze_pipeline_tests.fake_http import FakeHttp
from braze_pipeline_tests.unit.braze.client_world import (
    client_of,
)


@pytest.fixture
def server() -> Iterator[FakeHttp]:
    with FakeHttp() as fake:
        yield fake


@pytest.fixture
def client(server: FakeHttp) -> Iterator[BrazeClient]:
    made = client_of(server.endpoint, read_timeout=2.0)
    yield made
    made.close()
