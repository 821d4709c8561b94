"""A brand whose tables are in a Spark cluster, and the same brand with files here."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from braze_pipeline.attributes.build import build_attributes
from braze_pipeline.attributes.result import AttributesBuild
from braze_pipeline.settings import (
    AudienceRules,
    SourceSettings,
    TemplateSettings,
    replace,
)
from braze_pipeline.settings.places import Connection
from braze_pipeline.sources.remote import spark
from braze_pipeline.storage.warehouse import Warehouse
from braze_pipeline_tests import shop
from braze_pipeline_tests.spark import Cluster

SPARK_SQL = shop.SQL_FILE.with_suffix(".spark.sql")
DAYS = (date(2010, 12, 31), date(2011, 12, 9))
EVERYBODY = AudienceRules(rules=())
TABLES = ("customers", "orders", "consents", "predictions")


def connection(lake: Cluster, **more: Any) -> Connection:
    given = {"remote": lake.remote, "location": str(lake.location), "connect_seconds": 120}
    return Connection(name="lake", type="spark", **{**given, **more})


def tables(lake: Cluster, folder: Path, schema: str) -> None:
    """Make the Parquet files of a folder tables of the cluster."""
    with spark.session(connection(lake), {}) as session:
        session.handle.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for file in sorted(folder.glob("*.parquet")):
            session.handle.sql(f"DROP TABLE IF EXISTS {schema}.{file.stem}")
            session.handle.sql(
                f"CREATE TABLE {schema}.{file.stem} USING parquet LOCATION 'file://{file}'"
            )


def brands_sql(folder: Path, schema: str) -> Path:
    """The SQL that is shipped, over the tables of a schema."""
    text = SPARK_SQL.read_text()
    for name in TABLES:
        assert f"FROM {name}\n" in text
        text = text.replace(f"FROM {name}\n", f"FROM {schema}.{name}\n")
    file = folder / "attributes.spark.sql"
    file.write_text(text)
    return file


def there(lake: Cluster, sql: Path, **more: Any) -> TemplateSettings:
    t = shop.template(sql, **{"audience": EVERYBODY, **more})
    return replace(t, run_in=connection(lake), sources=(), time_zone="Europe/London")


def given(lake: Cluster, folder: Path, sql: str, **more: Any) -> TemplateSettings:
    folder.mkdir(exist_ok=True)
    file = folder / "attributes.sql"
    file.write_text(sql)
    return there(lake, file, **more)


def here(folder: Path, **more: Any) -> TemplateSettings:
    t = shop.template(**{"audience": EVERYBODY, **more})
    sources = tuple(SourceSettings(name=s.name, path=folder, shared=True) for s in t.sources)
    return replace(t, sources=sources, time_zone="Europe/London")


def build(
    folder: Path, t: TemplateSettings, *, run: str = "run", days: Any = DAYS[1:], **more: Any
) -> tuple[Warehouse, AttributesBuild]:
    warehouse = Warehouse(folder / "warehouse.duckdb")
    more.setdefault("environ", {})
    return warehouse, build_attributes(warehouse, t, days, run_id=run, **more)


def rows(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    with warehouse.connect(read_only=True) as con:
        query = "SELECT * FROM braze.customer_attributes ORDER BY __as_of, customer_id"
        return con.execute(query).fetchall()
