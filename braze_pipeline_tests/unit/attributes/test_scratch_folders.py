"""What the attributes step needs beside the database, and what is left of it."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.sources import sealed
from braze_pipeline_tests.unit.attributes.test_sealed import (
    DAY,
    Brand,
    of_customers,
)


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return Brand(tmp_path)


def test_what_does_not_fit_in_memory_goes_beside_the_warehouse_and_is_removed(
    brand: Brand,
) -> None:
    before = {*brand.files(), "mine.sql"}
    with brand.warehouse.scratch() as scratch:
        sources = brand.template().sources
        with sealed(sources, time_zone="UTC", scratch=scratch) as (con, _):
            assert con.execute("SELECT current_setting('temp_directory')").fetchone() == (
                str(scratch / "spilt"),
            )
        assert scratch.parent == brand.folder
    brand.built(of_customers("1"))
    assert brand.files() == before


def test_what_a_killed_run_left_is_removed_and_what_another_run_uses_is_not(brand: Brand) -> None:
    left = brand.folder / "warehouse.scratch-killed"
    (left / "spilt").mkdir(parents=True)
    with brand.warehouse.scratch() as theirs, brand.warehouse.scratch() as ours:
        assert not left.exists()
        assert theirs.is_dir()
        assert ours.is_dir()
        assert ours.stat().st_mode & 0o077 == 0


def test_what_a_run_left_that_was_killed_before_it_began_is_removed(brand: Brand) -> None:
    left, begins = (brand.folder / f".warehouse.scratch-{name}" for name in ("killed", "begins"))
    left.mkdir()
    begins.mkdir()
    os.utime(left, (time.time() - 3600,) * 2)
    with brand.warehouse.scratch():
        assert not left.exists()
        assert begins.is_dir()


def test_the_first_step_says_once_what_duckdb_may_use(
    brand: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAZE_PIPELINE_MEMORY", "2GB")
    brand.sql.write_text(of_customers("1"), encoding="utf-8")
    said: list[str] = []
    days = [DAY, DAY + timedelta(days=1)]
    build_attributes(brand.warehouse, brand.template(), days, log=said.append)
    limits = [line for line in said if "DuckDB uses up to 2GB of memory" in line]
    assert len(limits) == 1
