"""What a rerun reads: from failure, what the run has read; repeated in full, the source again."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import duckdb
import pytest

from braze_pipeline.config.load import load_configs
from braze_pipeline.config.resolve import resolve
from braze_pipeline.orchestration.destination import build_definitions
from braze_pipeline.orchestration.rerun import rerun_here
from braze_pipeline_tests.integration.sources.test_any_tables import READY, ready
from braze_pipeline_tests.postgres import Postgres
from braze_pipeline_tests.small_brand import SmallBrand, materialize


@pytest.fixture
def brand(tmp_path: Path, database: Postgres, monkeypatch: pytest.MonkeyPatch) -> SmallBrand:
    """A brand with one table, in Postgres."""
    brand = ready(tmp_path / "brand")
    text = brand.config.read_text().replace(
        "{database: marts.duckdb, relation: customer_360}",
        "{connection: shop, relation: customer_360}",
    )
    connections = "  connections: {shop: {type: postgres, uri_env: SHOP_URI}}\n  sources:"
    brand.config.write_text(text.replace("  sources:", connections))
    brand.enter(monkeypatch)
    monkeypatch.setenv("SHOP_URI", database.uri())
    fill(database, 3)
    return brand


def fill(database: Postgres, customers: int) -> None:
    database.run(
        "DROP TABLE IF EXISTS customer_360",
        "CREATE TABLE customer_360 AS SELECT 'c' || n AS customer_id, n AS lifetime_orders, "
        "n * 1.5::float8 AS lifetime_value, 'ann' || n || '@example.com' AS email "
        f"FROM generate_series(1, {customers}) AS n",
    )


def built(brand: SmallBrand) -> int:
    with duckdb.connect(str(brand.folder / "warehouse.duckdb"), read_only=True) as con:
        ((schema,),) = con.execute(
            "SELECT table_schema FROM information_schema.tables "
            "WHERE table_name = 'customer_attributes'"
        ).fetchall()
        ((rows,),) = con.execute(f"SELECT count(*) FROM {schema}.customer_attributes").fetchall()
    return int(rows)


def run(brand: SmallBrand) -> dg.DagsterRun:
    """The first step of a day, to its end."""
    result = materialize(brand, lambda name: name == "customer_attributes", strict=False)
    with dg.DagsterInstance.get() as instance:
        found = instance.get_run_by_id(result.run_id)
    assert found is not None
    return found


def rerun(brand: SmallBrand, first: dg.DagsterRun, *, whole: bool) -> dg.DagsterRun:
    import os

    ((config, place),) = load_configs(brand.config)
    definitions = build_definitions(
        config=config, folder=brand.folder, place=place, environ=os.environ
    )
    (t,) = resolve(config, folder=brand.folder, place=place, environ=os.environ)
    with dg.DagsterInstance.get() as instance:
        return rerun_here(definitions, t, first, instance=instance, whole=whole)


def test_a_rerun_in_full_reads_the_source_again_as_it_may_have_been_fixed(
    brand: SmallBrand, database: Postgres
) -> None:
    first = run(brand)
    assert first.is_success
    assert built(brand) == 3
    fill(database, 5)
    assert rerun(brand, first, whole=True).is_success
    assert built(brand) == 5


def test_a_rerun_from_failure_reads_what_the_run_has_read(
    brand: SmallBrand, database: Postgres
) -> None:
    sql = brand.folder / "customer_attributes.sql"
    sql.write_text(READY.replace("*", "* EXCLUDE (email)"))
    first = run(brand)
    assert first.is_failure
    sql.write_text(READY)
    fill(database, 5)
    assert rerun(brand, first, whole=False).is_success
    assert built(brand) == 3


def test_a_failure_at_the_source_changes_nothing_and_a_rerun_from_failure_reads_it_again(
    brand: SmallBrand, database: Postgres
) -> None:
    assert run(brand).is_success
    database.run("ALTER TABLE customer_360 RENAME TO elsewhere")
    first = run(brand)
    assert first.is_failure
    assert built(brand) == 3
    database.run("ALTER TABLE elsewhere RENAME TO customer_360")
    fill(database, 7)
    assert rerun(brand, first, whole=False).is_success
    assert built(brand) == 7
