from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from braze_pipeline_tests.profiles_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    con = duckdb.connect(str(tmp_path / "warehouse.duckdb"))
    yield World(con)
    con.close()
