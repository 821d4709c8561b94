"""The checks that need no Braze: disk, journal, time zones, Dagster's instance."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from braze_pipeline.alerts import ActionStore, Incident, Outbox
from braze_pipeline.operations.doctor.alerts import alerts
from braze_pipeline.operations.doctor.database import database
from braze_pipeline.operations.doctor.disk import disk, private_files
from braze_pipeline.operations.doctor.finding import State, exit_code
from braze_pipeline.operations.doctor.journal import journal
from braze_pipeline.operations.doctor.zones import zones
from braze_pipeline.orchestration.health import dagster
from braze_pipeline.storage.journal import Acknowledgement, Journal, Writer
from braze_pipeline.storage.lock import sending
from braze_pipeline.storage.warehouse import Warehouse


def test_a_file_in_place_of_the_folder_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    [found] = disk(Warehouse(tmp_path / "file" / "warehouse.duckdb"))
    assert (found.state, found.exit_code) == (State.FAIL, 2)


@pytest.mark.parametrize(("free", "state"), [(10**8, "fail"), (10**9, "warn"), (10**12, "ok")])
def test_a_nearly_full_disk_is_reported_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    [found] = disk(Warehouse(tmp_path / "warehouse.duckdb"))
    assert (found.state, found.exit_code) == (state, 4 if state == "fail" else 0)


def test_files_that_others_may_read_are_named_with_a_fix(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with warehouse.connect():
        pass
    Journal(warehouse.journal_path)
    (tmp_path / "orders.csv").write_text("the brand's own", encoding="utf-8")
    (tmp_path / "orders.csv").chmod(0o644)
    assert [found.state for found in private_files(warehouse)] == [State.OK]
    warehouse.journal_path.chmod(0o640)
    [found] = private_files(warehouse)
    assert (found.state, found.exit_code) == (State.WARN, 0)
    assert "warehouse.journal.sqlite." in found.saw
    assert "warehouse.duckdb" not in found.saw
    assert found.fix == f"chmod -R go-rwx {warehouse.journal_path}"


def sent(warehouse: Warehouse, *, applied: bool = False) -> Journal:
    """A send that had one answer and then was killed, or that is in the ledger."""
    book = Journal(warehouse.journal_path)
    send = book.start(destination="braze", template="t", plan_id="p1", run_id="r")
    writer = Writer(book, send)
    writer.put(Acknowledgement(request_no=0, first_index=0, count=75))
    writer.close()
    if applied:
        with sqlite3.connect(warehouse.journal_path) as con:
            con.execute("UPDATE sends SET status = 'done', ended_at = 'x', folded_at = 'x'")
        con.close()
    return book


def test_notifications_that_wait_because_an_attempt_failed_are_a_warning_with_the_problem(
    tmp_path: Path,
) -> None:
    warehouse = Warehouse(tmp_path / "w.duckdb")
    assert alerts(warehouse, "braze") == []
    store, now = ActionStore(warehouse.actions_path), datetime.now(UTC)
    store.record(
        Incident(action="usage", what="", fix="", destination="braze", template="t", at=now)
    )
    assert [found.state for found in alerts(warehouse, "braze")] == [State.OK, State.OK]
    outbox = Outbox(store, "braze")
    (message,) = outbox.due("mail", now=now)
    outbox.claim(message, "mail", now=now)
    outbox.failed(message, "mail", problem="The mail server answered 535.")
    _, found = alerts(warehouse, "braze")
    assert found.state is State.WARN
    assert found.saw.startswith("mail: 1 message has been waiting since ")
    assert found.saw.endswith(" UTC. The mail server answered 535.")
    assert [found.state for found in alerts(warehouse, "other")] == [State.OK, State.OK]
    outbox.delivered(message, "mail", now=now)
    assert alerts(warehouse, "braze")[1].state is State.OK


def test_a_send_that_is_not_in_the_ledger_is_a_warning(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "w.duckdb")
    sent(warehouse)
    warehouse.snapshots.mkdir()
    (warehouse.snapshots / "p1.parquet").touch()
    sends, age = journal(warehouse, "braze", max_age_hours=36)
    assert sends.state is State.WARN
    assert sends.saw == "1 send ended before the ledger was updated."
    assert "the next run updates the ledger first" in sends.fix
    assert age.state is State.OK


def test_a_send_whose_snapshot_is_missing_is_a_warning(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "w.duckdb")
    sent(warehouse)
    sends = journal(warehouse, "braze", max_age_hours=36)[0]
    assert sends.state is State.WARN
    assert "missing plan snapshots: 1" in sends.saw


def test_a_send_in_progress_is_not_a_warning(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "w.duckdb")
    sent(warehouse)
    with sending(warehouse.lock_path("braze"), "braze"):
        assert journal(warehouse, "braze", max_age_hours=36)[0].saw == "A send is in progress."
    assert "ended before" in journal(warehouse, "braze", max_age_hours=36)[0].saw


def test_checking_for_a_send_does_not_block_one(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "w.duckdb")
    sent(warehouse, applied=True)
    warehouse.lock_path("braze").touch()
    journal(warehouse, "braze", max_age_hours=None)
    file = os.open(warehouse.lock_path("braze"), os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(file)


@pytest.mark.parametrize(
    ("hours", "limit", "state"), [(1, 36, "ok"), (48, 36, "warn"), (48, None, "ok")]
)
def test_an_old_acknowledgement_is_a_warning_if_there_is_a_schedule(
    tmp_path: Path, hours: int, limit: float | None, state: str
) -> None:
    warehouse = Warehouse(tmp_path / "w.duckdb")
    sent(warehouse, applied=True)
    now = datetime.now(UTC) + timedelta(hours=hours)
    sends, age = journal(warehouse, "braze", max_age_hours=limit, now=now)
    assert sends.saw == "Every send is in the ledger."
    assert age.state == state


def test_another_destination_has_sends_of_its_own(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "w.duckdb")
    sent(warehouse)
    sends, age = journal(warehouse, "other", max_age_hours=36)
    assert sends.saw == "Every send is in the ledger."
    assert "has not acknowledged anything" in age.saw


def test_a_journal_without_tables_is_one_without_sends(tmp_path: Path) -> None:
    """A process was killed as it created the file."""
    warehouse = Warehouse(tmp_path / "w.duckdb")
    warehouse.journal_path.touch()
    found = [*database(warehouse), *journal(warehouse, "braze", max_age_hours=None)]
    assert exit_code(found) == 0
    assert {one.state for one in found} == {State.OK}


def test_a_damaged_or_newer_journal_ends_with_2(tmp_path: Path) -> None:
    damaged = Warehouse(tmp_path / "damaged.duckdb")
    damaged.journal_path.write_bytes(b"no journal" * 1000)
    newer = Warehouse(tmp_path / "newer.duckdb")
    with sqlite3.connect(newer.journal_path) as con:
        con.execute("PRAGMA user_version = 99")
    con.close()
    for warehouse, word in ((damaged, "cannot be read"), (newer, "newer version")):
        [found] = journal(warehouse, "braze", max_age_hours=None)
        assert (found.state, found.exit_code) == (State.FAIL, 2)
        assert word in found.saw


def test_time_zones_are_the_same_for_python_and_duckdb() -> None:
    found = zones(["Europe/London", "Asia/Kathmandu", "America/Sao_Paulo", "Europe/London"])
    assert [one.state for one in found] == [State.OK] * 3
    [unknown] = zones(["Europe/Atlantis"])
    assert (unknown.state, unknown.exit_code) == (State.FAIL, 2)


def test_an_instance_without_our_settings_gets_warnings_with_fixes(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    found = {one.name: one for one in dagster({"DAGSTER_HOME": str(tmp_path)})}
    assert found["DAGSTER_HOME"].state is State.OK
    for name in ("pools", "run monitoring", "run retries", "daemon"):
        assert found[name].state is State.WARN
        assert found[name].fix
    assert exit_code(found.values()) == 0


def test_an_instance_that_retries_everything_gets_a_warning(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("run_retries: {enabled: true, max_retries: 3}\n")
    found = {one.name: one for one in dagster({"DAGSTER_HOME": str(tmp_path)})}
    assert "Every failed run is tried again" in found["run retries"].saw


def test_an_instance_that_cannot_be_used_ends_with_2_and_shows_no_password(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(
        "storage:\n  postgres: {postgres_url: 'postgresql://u:hunter2@127.0.0.1:1/x'}\n"
    )
    [found] = dagster({"DAGSTER_HOME": str(tmp_path)})
    assert (found.state, found.exit_code) == (State.FAIL, 2)
    assert "hunter2" not in found.saw + found.fix


@pytest.mark.parametrize("home", ["relative/home", "/nowhere/at/all"])
def test_an_invalid_home_ends_with_2(home: str) -> None:
    [found] = dagster({"DAGSTER_HOME": home})
    assert (found.state, found.exit_code) == (State.FAIL, 2)
