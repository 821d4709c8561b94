"""The sample's SQL gives the same rows where its tables do not fit in memory."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from braze_pipeline.attributes.build import compute, result_of
from braze_pipeline.settings import SourceSettings
from braze_pipeline.sources import sealed
from braze_pipeline_tests.shop import template

DAY = date(2026, 1, 1)
_SOURCES = {
    "customers": "SELECT 'c' || i AS customer_id, 'A' AS given_name, 'B' AS surname, "
    "'c' || i || '@example.com' AS email, NULL::VARCHAR AS phone, 'Leeds' AS city, "
    "'GB' AS country, '1980-01-02' AS birthdate, 'F' AS gender, 'gold' AS loyalty_status "
    "FROM range(40000) AS r(i)",
    "orders": "SELECT 'o' || i // 3 AS order_id, 'c' || hash(i // 3) % 40000 AS customer_id, "
    "TIMESTAMP '2024-01-01' + INTERVAL (hash(i // 3, 1) % 700) DAY AS ordered_at, "
    "(hash(i, 2) % 900)::VARCHAR AS product_id, 'A PRODUCT WITH THE NUMBER ' || hash(i, 2) % 900 "
    "AS product_name, (hash(i, 3) % 5)::BIGINT - 1 AS quantity, "
    "(hash(i, 4) % 900 / 100)::DECIMAL(12, 2) AS unit_price FROM range(1_000_000) AS r(i)",
    "consents": "SELECT 'c' || i AS customer_id, 'email' AS channel, i % 3 = 0 AS opted_in, "
    "TIMESTAMP '2025-01-01' AS changed_at FROM range(40000) AS r(i)",
    "predictions": "SELECT 'c' || i AS customer_id, DATE '2025-12-31' AS predicted_on, "
    "i::DOUBLE AS predicted_clv FROM range(40000) AS r(i)",
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[SourceSettings, ...]:
    folder = tmp_path_factory.mktemp("sources")
    with duckdb.connect() as con:
        for name, query in _SOURCES.items():
            con.execute(f"COPY ({query}) TO '{folder / name}.parquet'")
    return tuple(SourceSettings(name=name, path=folder / f"{name}.parquet") for name in _SOURCES)


def built(sources: tuple[SourceSettings, ...], scratch: Path) -> tuple[object, bool]:
    """A number that is different for different rows, and whether anything was spilled to disk."""
    scratch.mkdir()
    with sealed(sources, time_zone="Europe/London", scratch=scratch) as (con, _):
        compute(con, template(), DAY, result_of(DAY))
        rows = con.execute(
            f"SELECT count(*), sum(hash(r)::HUGEINT) FROM {result_of(DAY)} AS r"
        ).fetchone()
        return rows, (scratch / "spilt").exists()


def test_the_rows_are_the_same_when_they_are_spilled_to_disk(
    sources: tuple[SourceSettings, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAZE_PIPELINE_THREADS", "1")
    monkeypatch.setenv("BRAZE_PIPELINE_MEMORY", "2GB")
    wanted, spilled = built(sources, tmp_path / "enough")
    assert not spilled
    monkeypatch.setenv("BRAZE_PIPELINE_MEMORY", "80MB")
    found, spilled = built(sources, tmp_path / "little")
    assert spilled
    assert found == wanted
