"""Tables of databases, object stores and lakehouses become the private files of a run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv
import pytest

from braze_pipeline.errors import (
    ConfigurationError,
    DatabaseLocked,
    SourceChanged,
    SourceDenied,
    SourceError,
    SourceMissing,
    SourceUnavailable,
)
from braze_pipeline.settings import SourceSettings
from braze_pipeline.settings.places import Connection, Database, Delta, Files, Iceberg, Place
from braze_pipeline.sources import attach_sources
from braze_pipeline.sources.remote.extract import Extract, extracted, forget_extracts
from braze_pipeline_tests.object_store import Bucket
from braze_pipeline_tests.postgres import Postgres

SHOP = Connection(name="shop", type="postgres", uri_env="SHOP_URI")
ROWS = pa.table(
    {
        "order_id": ["A", "B", None],
        "quantity": pa.array([1, None, 3], pa.int32()),
        "note": ['a "quote", a comma', "", None],
    }
)


def read(
    tmp_path: Path,
    places: Mapping[str, Place],
    *,
    environ: Mapping[str, str] | None = None,
    run: str = "run-1",
    log: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Path], dict[str, Extract]]:
    sources = [SourceSettings(name=name, place=place) for name, place in places.items()]
    folder = tmp_path / "warehouse.extracts" / run
    with extracted(sources, folder, environ=environ or os.environ, log=log) as (local, done):
        return {one.name: one.path for one in local if one.path is not None}, done


def rows_of(file: Path) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        return con.execute(f"FROM '{file}'").fetchall()


def types_of(file: Path) -> dict[str, str]:
    with duckdb.connect() as con:
        return {row[0]: row[1] for row in con.execute(f"DESCRIBE FROM '{file}'").fetchall()}


def test_every_type_of_postgres_arrives_as_the_type_that_it_has_there(
    tmp_path: Path, database: Postgres
) -> None:
    database.run(
        "DROP TABLE IF EXISTS typed",
        "CREATE TABLE typed AS SELECT 1::int AS i, 2::bigint AS b, 1.25::numeric(12, 2) AS price, "
        "0.1::numeric AS ratio, 1.5::float8 AS f, 'x'::varchar(5) AS v, true AS flag, "
        "date '2011-12-09' AS d, timestamp '2011-12-09 10:00' AS t, "
        "timestamptz '2011-12-09 10:00+02' AS tz, ARRAY['a', 'b'] AS tags, "
        "'{\"a\": 1}'::jsonb AS j, '6dbd3c9e-7d4c-4a5b-9c8b-000000000001'::uuid AS u",
    )
    files, done = read(
        tmp_path,
        {"typed": Database(connection=SHOP, relation="public.typed")},
        environ={"SHOP_URI": database.uri()},
    )
    assert types_of(files["typed"]) == {
        "i": "INTEGER", "b": "BIGINT", "price": "DECIMAL(12,2)", "ratio": "DOUBLE", "f": "DOUBLE",
        "v": "VARCHAR", "flag": "BOOLEAN", "d": "DATE", "t": "TIMESTAMP",
        "tz": "TIMESTAMP WITH TIME ZONE", "tags": "VARCHAR[]", "j": "JSON", "u": "UUID",
    }  # fmt: skip
    (row,) = rows_of(files["typed"])
    assert str(row[2]) == "1.25"
    assert row[3] == 0.1
    assert done["typed"].rows == 1
    assert done["typed"].bytes > 0


def test_all_tables_of_a_run_are_of_one_moment(tmp_path: Path, database: Postgres) -> None:
    database.run(
        "DROP TABLE IF EXISTS one", "CREATE TABLE one (n int)",
        "DROP TABLE IF EXISTS two", "CREATE TABLE two (n int)",
    )  # fmt: skip

    def between(line: str) -> None:
        if line.startswith("one:"):
            database.run("INSERT INTO two VALUES (1)")

    files, _ = read(
        tmp_path,
        {name: Database(connection=SHOP, relation=name) for name in ("one", "two")},
        environ={"SHOP_URI": database.uri()},
        log=between,
    )
    assert rows_of(files["two"]) == []


def test_a_rerun_of_the_run_reads_what_it_read_before_and_another_run_reads_again(
    tmp_path: Path, database: Postgres
) -> None:
    database.run("DROP TABLE IF EXISTS growing", "CREATE TABLE growing AS SELECT 1 AS n")
    place = {"growing": Database(connection=SHOP, query="SELECT n FROM growing ORDER BY n")}
    environ = {"SHOP_URI": database.uri()}
    read(tmp_path, place, environ=environ)
    database.run("INSERT INTO growing VALUES (2)")
    files, _ = read(tmp_path, place, environ=environ)
    assert rows_of(files["growing"]) == [(1,)]
    files, _ = read(tmp_path, place, environ=environ, run="run-2")
    assert rows_of(files["growing"]) == [(1,), (2,)]
    changed = {"growing": Database(connection=SHOP, query="SELECT n + 1 AS n FROM growing")}
    files, _ = read(tmp_path, changed, environ=environ, run="run-2")
    assert rows_of(files["growing"]) == [(2,), (3,)]


def test_a_step_that_needs_some_of_what_an_earlier_step_read_reads_nothing_again(
    tmp_path: Path, database: Postgres
) -> None:
    database.run(
        "DROP TABLE IF EXISTS growing, other",
        "CREATE TABLE growing AS SELECT 1 AS n",
        "CREATE TABLE other AS SELECT 5 AS n",
    )
    both = {name: Database(connection=SHOP, relation=name) for name in ("growing", "other")}
    environ = {"SHOP_URI": database.uri()}
    read(tmp_path, both, environ=environ)
    database.run("INSERT INTO growing VALUES (2)", "INSERT INTO other VALUES (6)")
    files, _ = read(tmp_path, {"growing": both["growing"]}, environ=environ)
    assert rows_of(files["growing"]) == [(1,)]
    # One that needs more reads all of it, as of one time.
    read(tmp_path, {"growing": both["growing"]}, environ=environ, run="run-2")
    files, _ = read(tmp_path, both, environ=environ, run="run-2")
    assert [rows_of(files[name]) for name in both] == [[(1,), (2,)], [(5,), (6,)]]


def test_extracts_are_private_and_old_ones_are_removed_unless_somebody_reads_them(
    tmp_path: Path, database: Postgres
) -> None:
    place: dict[str, Place] = {"t": Database(connection=SHOP, query="SELECT 1 AS n")}
    environ = {"SHOP_URI": database.uri()}
    extracts = tmp_path / "warehouse.extracts"
    sources = [SourceSettings(name="t", place=place["t"])]
    with extracted(sources, extracts / "in-use", environ=environ):
        for run in ("run-1", "run-2", "run-3"):
            os.utime(extracts / "in-use", (1, 1))
            read(tmp_path, place, environ=environ, run=run)
        assert sorted(one.name for one in extracts.iterdir()) == ["in-use", "run-2", "run-3"]
    read(tmp_path, place, environ=environ, run="run-4")
    assert sorted(one.name for one in extracts.iterdir()) == ["run-3", "run-4"]
    assert {one.stat().st_mode & 0o077 for one in (extracts, *extracts.rglob("*"))} == {0}


@pytest.mark.parametrize(
    ("relation", "expected", "shown"),
    [
        ("nothing", SourceMissing, 'relation "nothing" does not exist'),
        ("secret", SourceDenied, "permission denied for table secret"),
    ],
)
def test_a_table_that_is_missing_or_not_granted_is_named(
    tmp_path: Path, database: Postgres, relation: str, expected: type[SourceError], shown: str
) -> None:
    database.run(
        "DROP TABLE IF EXISTS secret", "CREATE TABLE secret (n int)", "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN PASSWORD 'reader'",
    )  # fmt: skip
    environ = {"SHOP_URI": database.uri(user="reader", password="reader")}
    with pytest.raises(expected, match="source table t ") as raised:
        read(tmp_path, {"t": Database(connection=SHOP, relation=relation)}, environ=environ)
    assert shown in raised.value.what
    assert not list((tmp_path / "warehouse.extracts").glob("run-*"))


def test_a_column_that_is_gone_is_named(tmp_path: Path, database: Postgres) -> None:
    place = Database(connection=SHOP, query="SELECT gone FROM (SELECT 1 AS n) AS t")
    with pytest.raises(SourceMissing, match='column "gone" does not exist'):
        read(tmp_path, {"t": place}, environ={"SHOP_URI": database.uri()})


def test_a_value_that_stops_the_query_is_not_shown(tmp_path: Path, database: Postgres) -> None:
    place = Database(connection=SHOP, query="SELECT 'ada@example.com'::text::int AS n")
    with pytest.raises(SourceChanged, match="SQLSTATE 22P02") as raised:
        read(tmp_path, {"t": place}, environ={"SHOP_URI": database.uri()})
    assert "ada@example.com" not in f"{raised.value.what} {raised.value.fix}"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"password": "wr0ng"}, SourceDenied),
        ({"database": "nothing"}, SourceMissing),
        ({"port": 1}, SourceUnavailable),
    ],
)
def test_a_connection_that_does_not_open_says_why_and_never_the_password(
    tmp_path: Path,
    database: Postgres,
    changes: dict[str, object],
    expected: type[SourceError],
) -> None:
    server = Postgres(int(str(changes.pop("port", database.port))), database.password)
    uri = server.uri(**changes)  # type: ignore[arg-type]
    with pytest.raises(expected, match="The connection shop") as raised:
        read(tmp_path, {"t": Database(connection=SHOP, relation="t")}, environ={"SHOP_URI": uri})
    assert raised.value.__cause__ is None
    for secret in ("wr0ng", database.password):
        assert secret not in f"{raised.value.what} {raised.value.fix}"


def test_an_address_that_is_not_set_and_a_driver_that_is_not_there_say_what_to_do(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigurationError, match="SHOP_URI"):
        read(tmp_path, {"t": Database(connection=SHOP, relation="t")}, environ={"X": ""})
    lake = Connection(name="lake", type="databricks", uri_env="LAKE_URI")
    with pytest.raises(ConfigurationError, match="driver is not installed") as raised:
        read(tmp_path, {"t": Database(connection=lake, relation="t")}, environ={"LAKE_URI": "x"})
    assert "braze-pipeline[databricks]" in raised.value.fix


def test_a_connection_lost_in_the_middle_leaves_nothing_behind(
    tmp_path: Path, database: Postgres
) -> None:
    # Rows go out before the second half waits, and then the server ends the session.
    query = (
        "SELECT n, CASE WHEN n = 400000 THEN pg_sleep(30)::text ELSE repeat('x', 100) END AS text "
        "FROM generate_series(1, 800000) AS n"
    )

    def cut() -> None:
        while not ended.wait(0.1):
            database.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE query LIKE '%pg_sleep(30)%' AND wait_event = 'PgSleep'"
            )

    ended = threading.Event()
    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    try:
        with pytest.raises(SourceUnavailable, match="connection was lost"):
            read(
                tmp_path,
                {"t": Database(connection=SHOP, query=query)},
                environ={"SHOP_URI": database.uri()},
            )
    finally:
        ended.set()
        thread.join()
    assert not list((tmp_path / "warehouse.extracts").glob("run-*"))


@pytest.mark.parametrize("path", ["orders.csv", "orders/*.csv", "orders/**", "orders"])
def test_csv_of_an_object_store_is_the_same_bytes_here(
    tmp_path: Path, bucket: Bucket, path: str
) -> None:
    content = b'order_id,note\nA,"a, b"\nB,\n'
    bucket.put("orders.csv", content)
    bucket.put("orders/part.csv", content)
    bucket.put("orders/_SUCCESS", b"")
    files, done = read(tmp_path, {"orders": Files(url=f"s3://brand/{path}")})
    found = files["orders"]
    file = found if found.is_file() else found / "part.csv"
    assert file.read_bytes() == content
    assert done["orders"].bytes == len(content)


def test_partitioned_parquet_of_an_object_store_keeps_its_folders(
    tmp_path: Path, bucket: Bucket
) -> None:
    bucket.put_parquet("lake/orders/year=2010/a.parquet", ROWS)
    bucket.put_parquet("lake/orders/year=2011/b.parquet", ROWS)
    files, _ = read(tmp_path, {"orders": Files(url="s3://brand/lake/orders/*/*.parquet")})
    found = sorted(
        one.relative_to(files["orders"]).as_posix() for one in files["orders"].rglob("*.parquet")
    )
    assert found == ["year=2010/a.parquet", "year=2011/b.parquet"]


@pytest.mark.parametrize("url", ["s3://brand/nothing.parquet", "s3://nobody/orders.parquet"])
def test_a_missing_object_or_bucket_is_named(tmp_path: Path, bucket: Bucket, url: str) -> None:
    with pytest.raises(SourceMissing) as raised:
        read(tmp_path, {"orders": Files(url=url)})
    assert url in raised.value.what


def test_an_optional_table_may_be_missing_in_a_store_and_a_rerun_knows_it(
    tmp_path: Path, bucket: Bucket
) -> None:
    bucket.put("shop/customers.csv", b"customer_id\n1\n")
    sources = [
        SourceSettings(name="customers", place=Files(url="s3://brand/shop/customers.csv")),
        SourceSettings(name="predictions", place=Files(url="s3://brand/ml/"), optional=True),
    ]
    for _ in range(2):
        with (
            duckdb.connect() as con,
            extracted(sources, tmp_path / "x" / "run", environ=os.environ) as (local, _),
        ):
            (found,) = attach_sources(con, local[1:], time_zone="UTC")
            assert (found.name, found.rows) == ("predictions", 0)
            bucket.put("ml/late.csv", b"customer_id,predicted_on,predicted_clv\n1,2026-01-01,2\n")


def test_a_store_that_is_away_is_named_without_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-of-s3")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SourceUnavailable) as raised:
        read(tmp_path, {"orders": Files(url="s3://brand/orders.csv")})
    assert "s3cret" not in f"{raised.value.what} {raised.value.fix}"


def test_a_delta_table_gives_its_newest_rows_and_no_deleted_ones(
    tmp_path: Path, bucket: Bucket
) -> None:
    import deltalake

    for url in (str(tmp_path / "delta"), "s3://brand/delta"):
        deltalake.write_deltalake(url, ROWS)
        deltalake.DeltaTable(url).delete("order_id = 'A'")
        files, done = read(tmp_path, {"orders": Delta(url=url)}, run=url.rpartition("/")[0][-5:])
        assert sorted(rows_of(files["orders"]), key=str) == [("B", None, ""), (None, 3, None)]
        assert done["orders"].rows == 2
        with pytest.raises(SourceMissing):
            read(tmp_path, {"orders": Delta(url=url + "-gone")}, run="other")


def test_an_iceberg_table_gives_its_newest_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyiceberg.catalog
    from pyiceberg.catalog import load_catalog
    from pyiceberg.utils.config import Config

    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__TYPE", "sql")
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__URI", f"sqlite:///{tmp_path}/catalog.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__WAREHOUSE", f"file://{tmp_path}/lake")
    # The library reads the environment once, when it is imported.
    monkeypatch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())
    catalog = load_catalog("lake")
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.orders", ROWS.schema)
    table.append(ROWS)
    table.delete("order_id = 'A'")
    for number, name in enumerate(("lake.shop.orders", table.metadata_location)):
        files, _ = read(tmp_path, {"orders": Iceberg(table=name)}, run=f"iceberg-{number}")
        assert sorted(rows_of(files["orders"]), key=str) == [("B", None, ""), (None, 3, None)]
    with pytest.raises(SourceMissing):
        read(tmp_path, {"orders": Iceberg(table="lake.shop.gone")}, run="other")


def test_extracts_go_when_the_sources_are_no_longer_elsewhere(
    tmp_path: Path, database: Postgres
) -> None:
    place: dict[str, Place] = {"t": Database(connection=SHOP, query="SELECT 1 AS n")}
    read(tmp_path, place, environ={"SHOP_URI": database.uri()})
    folder = tmp_path / "warehouse.extracts"
    with extracted([SourceSettings(name="t")], folder / "run-2", environ={}):
        pass
    assert list(folder.iterdir()) == []


def test_forgetting_removes_every_extract_and_none_while_one_is_read(
    tmp_path: Path, database: Postgres
) -> None:
    extracts = tmp_path / "warehouse.extracts"
    environ = {"SHOP_URI": database.uri()}
    place = Database(connection=SHOP, query="SELECT 'ada@example.com' AS email")
    sources = [SourceSettings(name="t", place=place)]
    for template in ("braze", "braze__second"):
        with extracted(sources, extracts / template / "run-1", environ=environ):
            pass
    with (
        extracted(sources, extracts / "braze" / "run-1", environ=environ),
        pytest.raises(DatabaseLocked, match="A run reads"),
    ):
        forget_extracts(extracts)
    assert len(list(extracts.rglob("*.parquet"))) == 2
    (extracts / "braze" / ".run-0.part").mkdir()  # of a run that was killed since
    assert forget_extracts(extracts) == 3
    assert [one for one in extracts.rglob("*") if one.is_file()] == []
    with extracted(sources, extracts / "braze" / "run-1", environ=environ) as (local, _):
        assert local[0].path is not None
        assert rows_of(local[0].path) == [("ada@example.com",)]
