"""Real places: a PostgreSQL server, a Spark cluster, and one that speaks the API of S3."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from braze_pipeline_tests.object_store import Bucket, object_store
from braze_pipeline_tests.postgres import Postgres, postgres
from braze_pipeline_tests.spark import Cluster, cluster


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    """One server for all tests of the session."""
    with postgres() as running:
        yield running


@pytest.fixture(scope="module")
def lake() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with object_store() as running:
        for name, value in running.environ.items():
            monkeypatch.setenv(name, value)
        yield running
