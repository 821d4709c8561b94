"""Only the owner can read what the pipeline writes, whatever the umask."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from braze_pipeline import private
from braze_pipeline.alerts.connection import writing
from braze_pipeline.sandbox.recorder import Recorder
from braze_pipeline.send import sending
from braze_pipeline.storage.journal import Journal
from braze_pipeline.storage.sql_text import literal
from braze_pipeline.storage.warehouse import Warehouse


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    assert os.umask(before) == 0o022, "the umask of the process is as it was"


def loose(folder: Path) -> dict[str, str]:
    """What others may do something with, with its mode."""
    found = {file: file.stat().st_mode & 0o777 for file in folder.rglob("*")}
    return {file.name: oct(mode) for file, mode in found.items() if mode & 0o077}


def test_the_database_its_wal_and_its_exports_are_private_while_they_are_written(
    tmp_path: Path,
) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with warehouse.connect() as con:
        con.execute("SET memory_limit = '60MB'")
        con.execute("CREATE TABLE t (i INTEGER)")
        # A checkpoint removes the WAL, and DuckDB makes it again.
        con.execute("INSERT INTO t VALUES (1)")
        con.execute("CHECKPOINT")
        con.execute("INSERT INTO t VALUES (1)")
        con.execute("CREATE TEMP TABLE s AS SELECT md5(i::VARCHAR) FROM range(2000000) AS r(i)")
        con.execute(f"COPY t TO {literal(str(tmp_path / 'out.parquet'))}")
        assert {"warehouse.duckdb.wal", "out.parquet"} <= {f.name for f in tmp_path.iterdir()}
        assert loose(tmp_path) == {}


def test_the_folders_above_a_new_private_folder_are_private_too(tmp_path: Path) -> None:
    private.folder(tmp_path / "warehouse.extracts" / "braze" / "run")
    assert loose(tmp_path) == {}


def test_journal_actions_lock_and_records_are_private(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "new" / "warehouse.duckdb")
    journal = Journal(warehouse.journal_path)
    journal.start(destination="d", template="t", plan_id="p", run_id="r")
    recorder = Recorder(tmp_path / "record.jsonl")
    with sending(warehouse.lock_path("d"), "d"), writing(warehouse.actions_path):
        names = {file.name for file in tmp_path.rglob("*")}
        assert {"warehouse.actions.sqlite-wal", "warehouse.d.lock", "record.jsonl"} <= names
        assert loose(tmp_path) == {}
    recorder.close()


def test_files_that_an_earlier_version_left_readable_become_private_when_opened(
    tmp_path: Path,
) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with warehouse.connect() as con:
        con.execute("CREATE TABLE t (i INTEGER)")
    Journal(warehouse.journal_path)
    lock = warehouse.lock_path("d")
    lock.touch()
    for file in tmp_path.iterdir():
        file.chmod(0o664)
    with warehouse.connect(), sending(lock, "d"):
        Journal(warehouse.journal_path)
        assert loose(tmp_path) == {}


def test_a_folder_of_the_brand_keeps_its_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Warehouse(tmp_path / "warehouse.duckdb").connect():
        assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_new_files_are_private_until_the_last_of_several_threads_is_done(tmp_path: Path) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with private.new_files():
            inside.set()
            leave.wait(30)

    with private.new_files():
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(30)
    (tmp_path / "still").touch()
    leave.set()
    thread.join()
    (tmp_path / "after").touch()
    assert loose(tmp_path) == {"after": "0o644"}
