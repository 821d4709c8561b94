"""``doctor`` on the places of the source tables: what is in order, and what to do if it is not."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from braze_pipeline.cli.context import Session
from braze_pipeline.cli.doctor import doctor
from braze_pipeline.operations.doctor.finding import Finding, State, exit_code
from braze_pipeline.operations.doctor.sources import sources
from braze_pipeline.settings import SourceSettings, TemplateSettings, replace
from braze_pipeline.settings.places import Connection, Database, Delta, Files, Iceberg, Place
from braze_pipeline_tests.object_store import Bucket
from braze_pipeline_tests.postgres import Postgres
from braze_pipeline_tests.shop import template
from braze_pipeline_tests.small_brand import small_brand

SHOP = Connection(name="shop", type="postgres", uri_env="SHOP_URI")
DRIVER = "adbc_driver_postgresql.dbapi"


def reading(tmp_path: Path, **places: Place) -> TemplateSettings:
    """A template whose SQL reads these places."""
    sql = tmp_path / "customer_attributes.sql"
    sql.write_text("SELECT * FROM " + ", ".join(places))
    read = tuple(SourceSettings(name=name, place=place) for name, place in places.items())
    return replace(template(sql), sources=read)


def check(t: TemplateSettings, environ: Mapping[str, str] | None = None) -> dict[str, Finding]:
    found = list(sources([t], os.environ if environ is None else environ))
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


@pytest.fixture
def tables(database: Postgres) -> Postgres:
    database.run(
        "DROP TABLE IF EXISTS open_to_all", "CREATE TABLE open_to_all AS SELECT 1 AS a, 2 AS b",
        "DROP TABLE IF EXISTS closed", "CREATE TABLE closed (n int)", "DROP ROLE IF EXISTS visitor",
        "CREATE ROLE visitor LOGIN PASSWORD 'visitor'",
    )  # fmt: skip
    database.run("GRANT SELECT ON open_to_all TO visitor")
    return database


def test_the_connection_that_only_runs_the_sql_is_checked(tmp_path: Path, tables: Postgres) -> None:
    t = replace(reading(tmp_path), run_in=SHOP)
    found = check(t, {"SHOP_URI": tables.uri()})["connection shop"]
    assert found.state is State.OK
    wrong = check(t, {"SHOP_URI": tables.uri(password="wrong")})["connection shop"]
    assert wrong.state is not State.OK


def test_each_connection_and_each_place_is_checked_once(
    tmp_path: Path, tables: Postgres, bucket: Bucket
) -> None:
    from deltalake import write_deltalake

    rows = pa.table({"a": [1], "b": [2], "c": [3]})
    bucket.put_parquet("orders/1.parquet", rows)
    bucket.put_parquet("orders/2.parquet", rows)
    write_deltalake(str(tmp_path / "delta"), rows)
    t = reading(
        tmp_path,
        one=Database(connection=SHOP, relation="open_to_all"),
        two=Database(connection=SHOP, query="SELECT a -- a comment\nFROM open_to_all"),
        three=Files(url="s3://brand/orders"),
        four=Delta(url=str(tmp_path / "delta")),
    )
    environ = {"SHOP_URI": tables.uri()}
    found = {one.name: one.saw for one in sources([t, replace(t, name="second")], environ)}
    assert found == {
        "connection shop": "The postgres database in SHOP_URI opens.",
        "source one": "open_to_all in the connection shop can be read: 2 columns.",
        "source two": "a query in the connection shop can be read: 1 column.",
        "source three": "s3://brand/orders can be read: 2 files.",
        "source four": f"Delta table {tmp_path / 'delta'} can be read: 3 columns.",
    }


@pytest.mark.parametrize(
    ("changes", "saw", "fix"),
    [
        ({"password": "wr0ng"}, "user or the credential is wrong", "Correct the address in SHOP"),
        ({"database": "nothing"}, "names a database that does not exist", "Correct the address"),
        ({"port": 1}, "cannot be opened", "Check that the database is up"),
        (None, "SHOP_URI, which holds the address", "Set SHOP_URI"),
    ],
)
def test_a_connection_that_does_not_open_is_one_finding_without_address_or_password(
    tmp_path: Path, tables: Postgres, changes: dict[str, str] | None, saw: str, fix: str
) -> None:
    environ = {}
    if changes is not None:
        server = Postgres(int(changes.pop("port", tables.port)), tables.password)
        environ = {"SHOP_URI": server.uri(**changes)}
    place = Database(connection=SHOP, relation="open_to_all")
    t = reading(tmp_path, one=place, two=place)
    (found,) = check(t, environ).values()
    assert (found.name, found.state, found.exit_code) == ("connection shop", State.FAIL, 2)
    assert saw in found.saw
    assert fix in found.fix
    for secret in ("wr0ng", tables.password, "127.0.0.1", "postgresql://"):
        assert secret not in f"{found.saw} {found.fix}"


def test_a_column_that_no_run_can_read_is_a_failure(tmp_path: Path, tables: Postgres) -> None:
    t = reading(tmp_path, one=Database(connection=SHOP, query="SELECT 1 AS n, row(1, 2)"))
    found = check(t, {"SHOP_URI": tables.uri()})["source one"]
    assert (found.state, found.exit_code) == (State.FAIL, 2)
    assert "the column row is of the type record" in found.saw


def test_a_table_that_is_missing_or_not_granted_is_named_and_the_others_are_checked(
    tmp_path: Path, tables: Postgres
) -> None:
    t = reading(
        tmp_path,
        gone=Database(connection=SHOP, relation="gone_table"),
        closed=Database(connection=SHOP, relation="closed"),
        there=Database(connection=SHOP, relation="open_to_all"),
    )
    found = check(t, {"SHOP_URI": tables.uri(user="visitor", password="visitor")})
    assert {name: one.state.value for name, one in found.items()} == {
        "connection shop": "ok", "source gone": "fail", "source closed": "fail",
        "source there": "ok",
    }  # fmt: skip
    assert 'relation "gone_table" does not exist' in found["source gone"].saw
    assert "Correct `relation:`" in found["source gone"].fix
    assert "permission denied for table closed" in found["source closed"].saw
    assert "Grant SELECT" in found["source closed"].fix
    assert exit_code(found.values()) == 2


def test_a_driver_or_library_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (DRIVER, "deltalake", "pyiceberg.catalog"):
        monkeypatch.setitem(sys.modules, module, None)
    t = reading(
        tmp_path,
        one=Database(connection=SHOP, relation="t"),
        two=Delta(url=str(tmp_path)),
        three=Iceberg(table="main.shop.orders"),
    )
    found = check(t, {"SHOP_URI": "postgresql://nowhere"})
    assert {name: one.fix for name, one in found.items()} == {
        "connection shop": "Install it: pip install 'braze-pipeline[postgres]'.",
        "source two": "Install it: pip install 'braze-pipeline[delta]'.",
        "source three": "Install it: pip install 'braze-pipeline[iceberg]'.",
    }
    assert exit_code(found.values()) == 2


def test_an_object_store_without_the_bucket_or_the_files_or_that_is_down_is_a_failure(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = reading(tmp_path, one=Files(url="s3://other/orders"), two=Files(url="s3://brand/orders"))
    found = check(t)
    for name, url in (("source one", "s3://other/orders"), ("source two", "s3://brand/orders")):
        assert f"{url} has no Parquet or CSV file" in found[name].saw
        assert "path:` in defs.yaml" in found[name].fix
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    down = check(t)["source two"]
    assert (down.state, down.exit_code) == (State.FAIL, 2)
    assert "cannot be reached" in down.saw


def test_what_the_sql_does_not_read_and_local_files_are_not_checked(tmp_path: Path) -> None:
    t = reading(tmp_path, one=Database(connection=SHOP, relation="t"))
    t.attributes_sql.write_text("SELECT * FROM customers")
    assert check(replace(t, sources=(*t.sources, SourceSettings(name="customers")))) == {}


def test_the_command_reports_them_like_its_other_checks(tmp_path: Path, tables: Postgres) -> None:
    brand = small_brand(tmp_path / "brand")
    text = brand.config.read_text()
    more = (
        "  connections: {shop: {type: postgres, uri_env: SHOP_URI}}\n"
        "  sources: {orders: {connection: shop, relation: gone_table}}\n  templates:"
    )
    brand.config.write_text(text.replace("  templates:", more))
    environ = brand.environ("http://127.0.0.1:1", "key") | {"SHOP_URI": tables.uri()}
    session = Session(config_file=brand.config, template_name=None, environ=environ)
    result = CliRunner().invoke(doctor, ["--json"], obj=session)
    found = {one["name"]: one for one in json.loads(result.stdout)}
    assert result.exit_code == 2
    assert found["source orders"].keys() == found["connection shop"].keys() == {
        "name", "state", "saw", "fix", "exit_code",
    }  # fmt: skip
    assert found["connection shop"]["state"] == "ok"
    assert found["source orders"]["state"] == "fail"
    assert tables.password not in result.output
    assert tables.uri() not in result.output
