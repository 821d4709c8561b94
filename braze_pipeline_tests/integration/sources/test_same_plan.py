"""Wherever a brand's tables are, the same rows give the same plan, byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import duckdb
import pyarrow as pa
import pytest

from braze_pipeline_tests.object_store import Bucket
from braze_pipeline_tests.postgres import Postgres
from braze_pipeline_tests.small_brand import PROJECT, SmallBrand, materialize, small_brand

SQL = PROJECT / "braze_pipeline" / "defs" / "braze" / "customer_attributes.postgres.sql"
TABLES = ("customers", "orders", "consents")


def table(brand: SmallBrand, name: str) -> pa.Table:
    """A source table with the types that a database would have."""
    with duckdb.connect() as con:
        return con.sql(f"FROM read_csv('{brand.folder}/sources/{name}.csv')").to_arrow_table()


def files(brand: SmallBrand) -> str:
    del brand
    return ""


def parquet(brand: SmallBrand) -> str:
    for name in TABLES:
        file = brand.folder / "lake" / name / "part.parquet"
        file.parent.mkdir(parents=True)
        with duckdb.connect() as con:
            con.execute(f"COPY (FROM read_csv('{brand.folder}/sources/{name}.csv')) TO '{file}'")
    return "\n".join(f"{name}: {{path: lake/{name}/*.parquet}}" for name in TABLES)


def object_store(brand: SmallBrand, bucket: Bucket) -> str:
    for name in TABLES:
        bucket.put(f"{name}.csv", (brand.folder / "sources" / f"{name}.csv").read_bytes())
    return "\n".join(f"{name}: {{path: 's3://brand/{name}.csv'}}" for name in TABLES)


def delta(brand: SmallBrand) -> str:
    import deltalake

    for name in TABLES:
        deltalake.write_deltalake(str(brand.folder / "delta" / name), table(brand, name))
    return "\n".join(f"{name}: {{delta: delta/{name}}}" for name in TABLES)


def iceberg(brand: SmallBrand, monkeypatch: pytest.MonkeyPatch) -> str:
    import pyiceberg.catalog
    from pyiceberg.catalog import load_catalog
    from pyiceberg.utils.config import Config

    prefix = "PYICEBERG_CATALOG__LAKE__"
    monkeypatch.setenv(f"{prefix}TYPE", "sql")
    monkeypatch.setenv(f"{prefix}URI", f"sqlite:///{brand.folder}/catalog.db")
    monkeypatch.setenv(f"{prefix}WAREHOUSE", f"file://{brand.folder}/iceberg")
    monkeypatch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())
    catalog = load_catalog("lake")
    catalog.create_namespace("shop")
    for name in TABLES:
        rows = table(brand, name)
        catalog.create_table(f"shop.{name}", rows.schema).append(rows)
    return "\n".join(f"{name}: {{iceberg: lake.shop.{name}}}" for name in TABLES)


def postgres(brand: SmallBrand, database: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in TABLES:
        database.load(f"shop_{name}", table(brand, name))
    monkeypatch.setenv("SHOP_URI", database.uri())
    return "\n".join(f"{name}: {{connection: shop, relation: shop_{name}}}" for name in TABLES)


def run_in_postgres(brand: SmallBrand, database: Postgres, monkeypatch: pytest.MonkeyPatch) -> str:
    """Nothing of the tables is read: that they are declared is for the check of their age."""
    database.run("DROP SCHEMA IF EXISTS small CASCADE", "CREATE SCHEMA small")
    for name in TABLES:
        database.load(name, table(brand, name))
        database.run(f"ALTER TABLE {name} SET SCHEMA small")
    database.run(
        "ALTER TABLE small.customers ADD COLUMN language TEXT",
        "CREATE TABLE small.predictions (customer_id TEXT, predicted_on DATE, predicted_clv FLOAT)",
    )
    monkeypatch.setenv("BRAND_URI", f"{database.uri()}?options=-csearch_path%3Dsmall")
    shutil.copy(SQL, brand.folder)
    text = brand.config.read_text()
    brand.config.write_text(
        text.replace(
            "name: loyal", f"name: loyal\n      run_in: brand\n      attributes_sql: {SQL.name}"
        )
    )
    return "\n".join(f"{name}: {{connection: brand, relation: small.{name}}}" for name in TABLES)


def planned(brand: SmallBrand, monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    brand.enter(monkeypatch)
    assert materialize(brand, lambda name: name != "braze_send").success
    (snapshot,) = (brand.folder / "warehouse.snapshots").glob("*.parquet")
    with duckdb.connect() as con:
        return con.execute(f"SELECT __user_id, __object FROM '{snapshot}' ORDER BY ALL").fetchall()


@pytest.fixture
def places(
    database: Postgres, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Callable[[SmallBrand], str]]:
    return {
        "csv": files,
        "parquet": parquet,
        "s3": lambda brand: object_store(brand, bucket),
        "delta": delta,
        "iceberg": lambda brand: iceberg(brand, monkeypatch),
        "postgres": lambda brand: postgres(brand, database, monkeypatch),
        "run_in": lambda brand: run_in_postgres(brand, database, monkeypatch),
    }


def test_the_same_rows_give_the_same_plan_wherever_they_are(
    tmp_path: Path,
    places: dict[str, Callable[[SmallBrand], str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plans = {}
    for place, configure in places.items():
        brand = small_brand(tmp_path / place)
        sources = configure(brand)
        if sources:
            added = (
                "  connections:\n    shop: {type: postgres, uri_env: SHOP_URI}\n"
                "    brand: {type: postgres, uri_env: BRAND_URI}\n  sources:\n"
            )
            text = brand.config.read_text()
            brand.config.write_text(
                text.replace("  templates:", f"{added}{indent(sources, '    ')}\n  templates:")
            )
            # What is read must come from the place.
            for file in (brand.folder / "sources").iterdir():
                file.unlink()
        plans[place] = planned(brand, monkeypatch)
    assert len(plans["csv"]) == len(SmallBrand.users(brand))
    for place, plan in plans.items():
        assert plan == plans["csv"], place
