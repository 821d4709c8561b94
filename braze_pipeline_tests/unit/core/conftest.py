"""A connection as the pipeline's are."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from braze_pipeline.core import warehouse


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Closed at the end."""
    with duckdb.connect() as connection:
        warehouse.prepare(connection)
        yield connection
