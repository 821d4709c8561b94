"""Whatever goes wrong on the way: one clear error, no secret in it, nothing half-read, a rerun."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from braze_pipeline.errors import (
    ConfigurationError,
    DiskFull,
    PipelineError,
    SourceChanged,
    SourceDenied,
    SourceMissing,
    SourceUnavailable,
)
from braze_pipeline.settings import SourceSettings
from braze_pipeline.settings.places import Connection, Database, Delta, Files, Iceberg, Place
from braze_pipeline.sources import attach_sources
from braze_pipeline.sources.remote import extract
from braze_pipeline_tests.object_store import Bucket
from braze_pipeline_tests.postgres import Postgres, postgres

SHOP = Connection(name="shop", type="postgres", uri_env="SHOP_URI")
MIDDLE = 400_000
"""A row far behind those that arrive first."""


def query(sql: str) -> Database:
    return Database(connection=SHOP, query=sql)


def attached(
    tmp_path: Path, place: Place, *, name: str = "lines", environ: Mapping[str, str] = os.environ
) -> list[tuple[Any, ...]]:
    """The rows of a source table, as a run and its reruns read them."""
    sources = [SourceSettings(name=name, place=place)]
    folder = tmp_path / "warehouse.extracts" / "run"
    with (
        extract.extracted(sources, folder, environ=environ) as (local, _),
        duckdb.connect() as con,
    ):
        attach_sources(con, local, time_zone="UTC")
        return con.execute(f"FROM {name}").fetchall()


@contextmanager
def fails(
    tmp_path: Path, expected: type[PipelineError], match: str, *secrets: str
) -> Iterator[None]:
    """The block raises this error alone, with what to do, and leaves no file behind."""
    with pytest.raises(expected, match=match) as raised:
        yield
    assert type(raised.value) is expected
    assert raised.value.fix
    for secret in ("s3cret", *secrets):
        assert secret not in f"{raised.value.what} {raised.value.fix}"
    assert list((tmp_path / "warehouse.extracts").glob("*")) == []


def test_the_drivers_of_all_places_are_asked_for_by_the_name_of_their_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql.dbapi", None)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    monkeypatch.setitem(sys.modules, "pyiceberg.catalog", None)
    for place, extra in (
        (query("SELECT 1"), "postgres"),
        (Delta(url=str(tmp_path)), "delta"),
        (Iceberg(table="lake.shop.orders"), "iceberg"),
    ):
        with fails(tmp_path, ConfigurationError, rf"braze-pipeline\[{extra}\]"):
            attached(tmp_path, place, environ={"SHOP_URI": "postgresql://x:s3cret@127.0.0.1:1/x"})


def test_a_password_may_have_any_characters_and_is_never_shown(
    tmp_path: Path, database: Postgres
) -> None:
    secrets = (database.password, quote(database.password, safe=""))
    assert set("@/%:") <= set(database.password)
    assert attached(tmp_path, query("SELECT 1"), environ={"SHOP_URI": database.uri()}) == [(1,)]
    for uri in (
        database.uri().replace(f":{database.port}", ":1"),
        database.uri().replace(secrets[1], secrets[0]),
        f"mysql://brand:{secrets[1]}@127.0.0.1/brand",
        database.uri(user="nobody"),
    ):
        (tmp_path / "other").mkdir(exist_ok=True)
        with pytest.raises(PipelineError, match="connection shop") as raised:
            attached(tmp_path / "other", query("SELECT 1"), environ={"SHOP_URI": uri})
        assert raised.value.__cause__ is None
        for secret in (*secrets, "s3cret"):
            assert secret not in str(raised.value)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1::money AS price", "column price .* is of the type money"),
        ("SELECT", "it has no columns"),
        ("SELECT 1 AS n, 2 AS n", "several columns named n"),
    ],
)
def test_a_result_without_usable_columns_is_refused(
    tmp_path: Path, database: Postgres, sql: str, said: str
) -> None:
    with fails(tmp_path, SourceChanged, said):
        attached(tmp_path, query(sql), environ={"SHOP_URI": database.uri()})


@pytest.mark.parametrize(
    ("gone_wrong", "expected", "said"),
    [
        ("('ada' || n)::int::text", SourceChanged, "database stopped the query"),
        ("pg_sleep(60)::text", SourceChanged, "database stopped the query"),
        ("pg_terminate_backend(pg_backend_pid())::text", SourceUnavailable, "connection was lost"),
    ],
    ids=["value", "time limit", "session ended"],
)
def test_what_stops_a_table_in_the_middle_is_reported_as_what_it_is_and_a_rerun_succeeds(
    tmp_path: Path,
    database: Postgres,
    gone_wrong: str,
    expected: type[PipelineError],
    said: str,
) -> None:
    database.run(
        "DROP ROLE IF EXISTS slow",
        "CREATE ROLE slow SUPERUSER LOGIN PASSWORD 's3cret'",
        "ALTER ROLE slow SET statement_timeout = '6s'",
    )
    limited = {"SHOP_URI": database.uri(user="slow", password="s3cret")}
    environ = limited if "sleep" in gone_wrong else {"SHOP_URI": database.uri()}
    rows = "FROM generate_series(1, 500000) AS n"
    broken = f"SELECT repeat('x', 200) AS text, CASE WHEN n = {MIDDLE} THEN {gone_wrong} END {rows}"
    with fails(tmp_path, expected, said, "ada"):
        attached(tmp_path, query(broken), environ=environ)
    found = attached(tmp_path, query(f"SELECT count(*) {rows}"), environ=environ)
    assert found == [(500_000,)]


def test_a_server_that_stops_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    with postgres() as server:
        server.run("CREATE TABLE place AS SELECT pg_read_file('postmaster.pid') AS pid")
        (row,) = attached(
            tmp_path / "pid", query("SELECT pid FROM place"), environ={"SHOP_URI": server.uri()}
        )
        rows = (
            f"SELECT CASE WHEN n = {MIDDLE} THEN pg_sleep(60)::text ELSE repeat('x', 200) END AS t "
            "FROM generate_series(1, 500000) AS n"
        )
        stop = threading.Timer(2, os.kill, (int(str(row[0]).splitlines()[0]), signal.SIGQUIT))
        stop.start()
        try:
            with fails(tmp_path, SourceUnavailable, "connection was lost"):
                attached(tmp_path, query(rows), environ={"SHOP_URI": server.uri()})
        finally:
            stop.join()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP COLUMN ordered_at", "no column 'ordered_at'"),
        ("ALTER COLUMN ordered_at TYPE boolean USING true", "'ordered_at' as BOOLEAN"),
    ],
)
def test_a_changed_table_is_read_again_by_a_rerun_once_it_is_as_before(
    tmp_path: Path, database: Postgres, change: str, said: str
) -> None:
    create = (
        "CREATE TABLE orders AS SELECT 'o1' AS order_id, 'c1' AS customer_id, "
        "timestamp '2024-02-01' AS ordered_at, 'p' AS product_id, 'P' AS product_name, "
        "1 AS quantity, 2.5::numeric(12, 2) AS unit_price"
    )
    database.run("DROP TABLE IF EXISTS orders", create, f"ALTER TABLE orders {change}")
    environ = {"SHOP_URI": database.uri()}
    place = Database(connection=SHOP, relation="orders")
    with fails(tmp_path, SourceChanged, said):
        attached(tmp_path, place, name="orders", environ=environ)
    database.run("DROP TABLE orders", create)
    (row,) = attached(tmp_path, place, name="orders", environ=environ)
    assert row[-1] == 2.5


@contextmanager
def answering(status: int, code: str) -> Iterator[int]:
    """A store that refuses whatever it is asked; its port."""

    class Refuse(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_HEAD = do_GET  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", SourceDenied),
        (403, "SignatureDoesNotMatch", SourceDenied),
        # The name of the file below has 403 in it.
        (500, "InternalError", SourceUnavailable),
    ],
)
def test_a_store_that_refuses_is_told_from_one_that_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    expected: type[PipelineError],
) -> None:
    with answering(status, code) as port:
        for name, value in Bucket(port).environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with fails(tmp_path, expected, "s3://brand/20240403.csv"):
            attached(tmp_path, Files(url="s3://brand/20240403.csv"))


def test_a_glob_that_matches_nothing_is_missing(tmp_path: Path, bucket: Bucket) -> None:
    bucket.put("orders/a.json", b"{}")
    bucket.put("orders/_SUCCESS", b"")
    with fails(tmp_path, SourceMissing, "has no Parquet or CSV file"):
        attached(tmp_path, Files(url="s3://brand/orders/*.parquet"))


def test_a_cut_off_file_is_refused_and_a_rerun_reads_its_replacement(
    tmp_path: Path, bucket: Bucket
) -> None:
    bucket.put_parquet("lines.parquet", pa.table({"n": list(range(10_000))}))
    with bucket.store.open_input_stream("brand/lines.parquet") as opened:
        whole = opened.read()
    bucket.put("lines.parquet", whole[: len(whole) // 2])
    with fails(tmp_path, SourceChanged, "empty, damaged"):
        attached(tmp_path, Files(url="s3://brand/lines.parquet"))
    bucket.put("lines.parquet", whole)
    assert len(attached(tmp_path, Files(url="s3://brand/lines.parquet"))) == 10_000


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (pa.table({"m": [1]}), "no column 'n' in"),
        (pa.table({"n": ["x"]}), "column 'n' with different types"),
        # DuckDB would read it as 2.
        (pa.table({"n": [1.5]}), "column 'n' with different types"),
    ],
    ids=["columns", "types", "numbers"],
)
def test_files_of_one_folder_that_do_not_fit_together_are_refused(
    tmp_path: Path, bucket: Bucket, other: pa.Table, said: str
) -> None:
    bucket.put_parquet("lines/a.parquet", pa.table({"n": [1]}))
    bucket.put_parquet("lines/b.parquet", pa.table({"n": pa.array([2], pa.int32())}))
    assert sorted(attached(tmp_path, Files(url="s3://brand/lines"))) == [(1,), (2,)]
    shutil.rmtree(tmp_path / "warehouse.extracts" / "run")
    bucket.put_parquet("lines/b.parquet", other)
    with fails(tmp_path, SourceChanged, said):
        attached(tmp_path, Files(url="s3://brand/lines"))


@pytest.mark.parametrize("changed", ["lines/a.csv", "lines/b.csv"], ids=["replaced", "added"])
def test_files_that_change_while_they_are_copied_are_not_used(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    monkeypatch.setattr(extract, "_LOG_EVERY", 0)
    bucket.put("lines/a.csv", b"n\n1\n")
    sources = [SourceSettings(name="lines", place=Files(url="s3://brand/lines"))]
    folder = tmp_path / "warehouse.extracts" / "run"

    def change(line: str) -> None:
        if "read so far" in line:
            bucket.put(changed, b"n\n1\n2\n")

    with (
        fails(tmp_path, SourceChanged, "changed while it was read"),
        extract.extracted(sources, folder, environ=os.environ, log=change),
    ):
        pass
    assert len(attached(tmp_path, sources[0].place or Files(url=""))) >= 2


def test_a_delta_table_with_deletion_vectors_is_refused_as_deleted_rows_would_come_back(
    tmp_path: Path,
) -> None:
    url = str(tmp_path / "delta")
    deltalake.write_deltalake(url, pa.table({"n": [1, 2, 3]}))
    (first,) = Path(url, "_delta_log").glob("*.json")
    (added,) = (
        entry["add"] for entry in map(json.loads, first.read_text().splitlines()) if "add" in entry
    )
    features = {"minReaderVersion": 3, "minWriterVersion": 7}
    features |= {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}  # type: ignore[dict-item]
    vector = {"storageType": "u", "pathOrInlineDv": "vBn[lx{q8@P<9BNH/isA", "offset": 1}
    vector |= {"sizeInBytes": 36, "cardinality": 1}
    entries: list[dict[str, Any]] = [
        {"protocol": features},
        {"remove": {"path": added["path"], "dataChange": True, "deletionTimestamp": 0}},
        {"add": added | {"deletionVector": vector}},
    ]
    text = "\n".join(map(json.dumps, entries))
    Path(url, "_delta_log", f"{1:020}.json").write_text(text)
    with fails(tmp_path, SourceChanged, "deletion vectors"):
        attached(tmp_path, Delta(url=url))


def test_a_delta_table_with_a_new_column_has_it_in_the_next_run_and_gone_files_are_named(
    tmp_path: Path,
) -> None:
    url = str(tmp_path / "delta")
    deltalake.write_deltalake(url, pa.table({"n": [1]}))
    deltalake.write_deltalake(
        url, pa.table({"n": [2], "m": ["x"]}), mode="append", schema_mode="merge"
    )
    assert sorted(attached(tmp_path, Delta(url=url))) == [(1, None), (2, "x")]
    for file in Path(url).glob("*.parquet"):
        file.unlink()
    (tmp_path / "other").mkdir()
    with fails(tmp_path / "other", SourceMissing, "Delta table"):
        attached(tmp_path / "other", Delta(url=url))


def test_an_iceberg_table_without_its_metadata_is_missing(tmp_path: Path) -> None:
    with fails(tmp_path, SourceMissing, "Iceberg table"):
        attached(tmp_path, Iceberg(table=str(tmp_path / "gone.metadata.json")))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    call = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)]
    if os.getuid() != 0 or subprocess.run(call, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_reported_and_free_again_afterwards(
    small_disk: Path, database: Postgres, bucket: Bucket
) -> None:
    environ = {"SHOP_URI": database.uri()}
    many = "SELECT md5(n::text) AS t FROM generate_series(1, 500000) AS n"
    with fails(small_disk, DiskFull, "is full"):
        attached(small_disk, query(many), environ=environ)
    bucket.put("lines.csv", b"n\n" + b"1234567890\n" * 500_000)
    with fails(small_disk, DiskFull, "is full"):
        attached(small_disk, Files(url="s3://brand/lines.csv"))
    assert attached(small_disk, query("SELECT 1 AS n"), environ=environ) == [(1,)]


def test_the_order_of_a_query_is_kept_and_small_batches_become_few_row_groups(
    tmp_path: Path, database: Postgres
) -> None:
    place = query("SELECT n FROM generate_series(1, 300000) AS n ORDER BY n DESC")
    found = attached(tmp_path, place, environ={"SHOP_URI": database.uri()})
    assert found == [(n,) for n in range(300_000, 0, -1)]
    file = tmp_path / "warehouse.extracts" / "run" / "lines" / "lines.parquet"
    assert pq.ParquetFile(file).num_row_groups <= 3
