"""The sample's SQL for PostgreSQL, over a brand whose rows are hard to put in order."""

from __future__ import annotations

from pathlib import Path

import duckdb

from braze_pipeline.settings import replace
from braze_pipeline.sources import TABLES
from braze_pipeline_tests.integration.sources.brand_of_ties import brand_of_ties
from braze_pipeline_tests.integration.sources.test_run_in import (
    EVERYBODY,
    build,
    environ,
    in_duckdb,
    in_postgres,
    rows,
)
from braze_pipeline_tests.postgres import Postgres

CUSTOMERS = 300


def test_ties_decimals_spaces_time_zones_and_undated_consents_give_the_same_rows_as_duckdb(
    tmp_path: Path, database: Postgres
) -> None:
    folder = tmp_path / "ties"
    day = brand_of_ties(folder, CUSTOMERS)
    database.run("CREATE SCHEMA ties")
    for name in TABLES:
        with duckdb.connect() as con:
            table = con.sql(f"FROM '{folder / name}.parquet'").to_arrow_table()
        database.load(f"ties_{name}", table)
        database.run(
            f"ALTER TABLE ties_{name} SET SCHEMA ties",
            f"ALTER TABLE ties.ties_{name} RENAME TO {name}",
        )
    here = in_duckdb(audience=EVERYBODY)
    here = replace(
        here,
        sources=tuple(replace(s, path=folder / f"{s.name}.parquet") for s in here.sources),
    )
    there = in_postgres(audience=EVERYBODY)
    found = []
    for place, t in (("duckdb", here), ("postgres", there)):
        env = environ(database, "ties")
        warehouse, _ = build(tmp_path / place, t, database, days=[day], environ=env)
        found.append(
            rows(warehouse, "SELECT * FROM braze.customer_attributes ORDER BY customer_id")
        )
    different = [pair for pair in zip(*found, strict=True) if pair[0] != pair[1]]
    assert len(found[0]) == CUSTOMERS
    assert not different, (len(different), different[:2])
