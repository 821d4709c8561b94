"""A lack of memory or disk becomes an error that says what to do."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import duckdb
import pytest

from braze_pipeline.errors import ConfigurationError, LedgerError, OutOfMemory
from braze_pipeline.operations.doctor.database import database
from braze_pipeline.operations.doctor.finding import State
from braze_pipeline.storage.lock import sending
from braze_pipeline.storage.warehouse import Warehouse, disk_full

# A list by group cannot be moved to disk while it grows.
_GREEDY = (
    "SELECT i % 7, list(i::VARCHAR ORDER BY hash(i)) FROM range(3_000_000) AS r(i) GROUP BY ALL"
)


def test_out_of_memory_says_how_much_there_was(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")

    def greedy() -> None:
        with warehouse.connect() as con:
            con.execute("SET memory_limit = '40MB'")
            con.execute(f"CREATE TABLE lists AS {_GREEDY}")

    with pytest.raises(OutOfMemory, match=r"MiB/38\.\d MiB") as found:
        greedy()
    assert found.value.exit_code == 4
    with warehouse.connect() as con:  # the file is closed, and as it was
        names = con.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        assert ("lists",) not in names


def test_what_a_killed_process_spilt_is_removed_when_the_database_is_opened(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    spilt = tmp_path / "warehouse.duckdb.tmp"
    script = (
        "import os, sys; from pathlib import Path\n"
        "from braze_pipeline.storage.warehouse import Warehouse\n"
        "with Warehouse(Path(sys.argv[1])).connect() as con:\n"
        "    con.execute(\"SET memory_limit = '60MB'\")\n"
        "    con.execute('CREATE TEMP TABLE s AS SELECT md5(i::VARCHAR) FROM range(2000000) r(i)'"
        "    )\n"
        "    os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(warehouse.path)], check=True, timeout=60)
    assert any(spilt.iterdir())
    with warehouse.connect() as con:
        assert not any(spilt.iterdir())
        con.execute("SET memory_limit = '60MB'")
        con.execute("CREATE TEMP TABLE s AS SELECT md5(i::VARCHAR) m FROM range(2000000) AS r(i)")
        with warehouse.connect():  # leaves what the first connection spilt
            assert con.execute("SELECT count(DISTINCT m) FROM s").fetchone() == (2_000_000,)


def test_a_folder_or_a_lock_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    below = Warehouse(tmp_path / "file" / "warehouse.duckdb")
    for opened in (below.scratch, below.connect, partial(sending, below.lock_path("d"), "d")):
        with pytest.raises(LedgerError, match=r"/file\b.* cannot be used"), opened():
            pass
    lock = Warehouse(tmp_path / "warehouse.duckdb").lock_path("d")
    lock.mkdir()
    with pytest.raises(LedgerError, match=r"warehouse\.d\.lock cannot be used"), sending(lock, "d"):
        pass


def test_temporary_files_at_their_limit_count_as_a_full_disk(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        con.execute("SET memory_limit = '40MB'; SET max_temp_directory_size = '1MB'")
        with pytest.raises(duckdb.Error) as found:
            con.execute("CREATE TABLE rows AS SELECT hash(i)::VARCHAR AS h, i FROM "
                        "range(9_000_000) AS r(i) ORDER BY h")  # fmt: skip
    full = disk_full(found.value, tmp_path / "warehouse.duckdb")
    assert full is not None
    assert "warehouse.duckdb" in full.what


def test_a_file_that_is_not_a_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    file.write_text("customer_id,email\n1,a@example.com\n" * 99, encoding="utf-8")
    with pytest.raises(LedgerError, match=r"warehouse\.duckdb"), Warehouse(file).connect():
        pass


def test_a_database_opens_again_after_its_rows_were_not_read_to_the_end(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from braze_pipeline.storage.warehouse import Warehouse, arrow_batches\n"
        "warehouse = Warehouse(Path(sys.argv[1]))\n"
        "try:\n"
        "    with warehouse.connect() as con:\n"
        "        con.execute('CREATE TABLE numbers AS FROM range(1_000_000)')\n"
        "        with arrow_batches(con, 'FROM numbers', rows=1_000) as rows:\n"
        "            rows.read_next_batch()\n"
        "            raise OSError('disk full')\n"
        "except OSError as error:\n"
        "    kept = error\n"
        "with warehouse.connect() as con:\n"
        "    print(con.execute('SELECT count(*) FROM numbers').fetchone()[0])\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "warehouse.duckdb")]
    # It waited for ever, so the timeout is the failure.
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "1000000\n"


def test_no_database_is_created_that_would_share_the_journal_of_another(tmp_path: Path) -> None:
    first, second = Warehouse(tmp_path / "shop.prod"), Warehouse(tmp_path / "shop.test")
    (tmp_path / "shop.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with first.connect(), first.connect():
        pass
    assert first.journal_path == second.journal_path
    with (
        pytest.raises(ConfigurationError, match=r"journal.*shop\.prod"),
        second.connect(),
    ):
        pass
    assert not second.path.exists()
    with Warehouse(tmp_path / "shop-test.duckdb").connect(), first.connect():
        pass


def test_databases_that_already_share_a_journal_still_open_and_doctor_names_them(
    tmp_path: Path,
) -> None:
    first, second = Warehouse(tmp_path / "w.duckdb"), Warehouse(tmp_path / "w.db")
    with first.connect():
        pass
    second.path.write_bytes(first.path.read_bytes())
    with second.connect():
        pass
    [warned] = [one for one in database(second) if one.state is State.WARN]
    assert "w.duckdb differs from w.db in the suffix alone" in warned.saw
    second.path.unlink()
    assert all(one.state is State.OK for one in database(first))
