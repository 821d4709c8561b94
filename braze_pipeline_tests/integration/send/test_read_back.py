"""After a send, a sample of users is read and compared: attributes are named, values are not."""

from __future__ import annotations

from pathlib import Path

from braze_pipeline.braze.client import BrazeClient
from braze_pipeline.sandbox import DataType, Sandbox
from braze_pipeline.send import send_plan
from braze_pipeline.send.read_back import ReadBack, read_back, same
from braze_pipeline.storage.journal import Journal
from braze_pipeline_tests.integration.send.plans import (
    SECRET,
    destination,
    job,
    users,
    write_snapshot,
)


def sent_and_read(folder: Path, sandbox: Sandbox, ids: list[str]) -> ReadBack:
    snapshot = write_snapshot(folder / "plan.parquet", ids)
    settings = destination(sandbox.endpoint)
    journal = Journal(folder / "journal.sqlite")
    send_plan(job(snapshot, settings), secret=SECRET, journal=journal)
    client = BrazeClient(settings, SECRET, pool=1)
    try:
        return read_back(
            client,
            journal.path,
            snapshot=snapshot,
            plan_id="plan",
            identifier="external_id",
            users=50,
        )
    finally:
        client.close()


def test_what_braze_accepted_agrees(tmp_path: Path) -> None:
    ids = users(100)
    with Sandbox(users=ids) as sandbox:
        found = sent_and_read(tmp_path, sandbox, ids)
    assert found.agrees
    assert found.compared == 50


def test_attributes_that_braze_silently_dropped_are_named(tmp_path: Path) -> None:
    ids = users(10)
    with Sandbox(users=ids) as sandbox:
        sandbox.define_attribute("Visits", DataType.STRING, blocklisted=True)
        found = sent_and_read(tmp_path, sandbox, ids)
    assert found.differences == {"Visits": 10}
    assert "Visits (10)" in found.sentence()


def test_refused_and_unknown_users_are_not_compared(tmp_path: Path) -> None:
    ids = users(10)
    with Sandbox(users=ids[:8]) as sandbox:
        sandbox.refuse(ids[0], "blocked")
        found = sent_and_read(tmp_path, sandbox, ids)
    assert found.agrees
    assert found.compared == 7


def test_a_time_is_equal_in_every_form() -> None:
    assert same("2011-11-01", "2011-11-01T00:00:00.000Z")
    assert same("2011-11-01T10:00:00Z", "2011-11-01T11:00:00+01:00")
    assert not same("2011-11-01", "2011-11-02T00:00:00.000Z")
    assert not same("a", None)
    assert same(None, None)
