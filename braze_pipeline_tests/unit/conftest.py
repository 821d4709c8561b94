"""A connection prepared like the pipeline's, and worlds around a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from braze_pipeline.settings import TemplateSettings
from braze_pipeline.storage import migrations, warehouse
from braze_pipeline_tests.ledger_world import World


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Closed at the end."""
    with duckdb.connect() as connection:
        warehouse.prepare(connection)
        migrations.upgrade(connection, "memory")
        yield connection


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[[TemplateSettings], World]]:
    """Makes a world around a template; closed at the end."""
    made: list[World] = []

    def make(t: TemplateSettings, users: str = "") -> World:
        made.append(World(tmp_path, t, users=users.split()))
        return made[-1]

    yield make
    for one in made:
        one.close()
