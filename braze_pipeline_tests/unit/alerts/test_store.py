"""The store of workflow actions and its outbox."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braze_pipeline.alerts import ActionStore, DeliveryStatus, Incident, Outbox
from braze_pipeline.alerts.connection import reading
from braze_pipeline.alerts.outbox import LONGEST_WAIT
from braze_pipeline.errors import LedgerError

START = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> ActionStore:
    return ActionStore(tmp_path / "deep" / "warehouse.actions.sqlite")


def incident(**more: Any) -> Incident:
    values: dict[str, Any] = {
        "action": "database_locked",
        "what": "Another process keeps it open; waited 60 s.",
        "fix": "End it.",
        "destination": "braze",
        "template": "loyal",
        "at": START,
        "run_id": "run-1",
        **more,
    }
    return Incident(**values)


def test_an_incident_is_stored_completely(store: ActionStore) -> None:
    store.record(
        incident(
            days=("2026-02-01", "2026-02-28"),
            goal="braze_send",
            guard="audience_size",
            sent=DeliveryStatus(planned=10, accepted=6, rejected=1),
        )
    )
    action = store.get(1)
    assert action is not None
    assert action.days == ("2026-02-01", "2026-02-28")
    assert (action.goal, action.guard, action.count) == ("braze_send", "audience_size", 1)
    assert action.sent == DeliveryStatus(planned=10, accepted=6, rejected=1)
    assert action.sent.not_attempted == 3
    assert action.first_seen == action.last_seen == START.isoformat()
    assert (action.resolved_at, action.how) == (None, None)
    assert store.get(2) is None


def test_the_same_run_counts_once_and_another_run_counts_as_a_repeat(store: ActionStore) -> None:
    first = store.record(incident())
    assert (first.number, first.new) == (1, True)
    assert not store.record(incident()).new
    later = incident(run_id="run-2", at=START + timedelta(days=1), what="…; waited 61 s.")
    assert store.record(incident(run_id="run-2", at=START + timedelta(days=1))).number == 1
    assert later.key != incident().key
    action = store.get(1)
    assert action is not None
    assert (action.count, action.run_id) == (2, "run-2")
    assert action.first_seen < action.last_seen


@pytest.mark.parametrize(
    "other",
    [
        {"action": "disk_full"},
        {"destination": "second"},
        {"template": "vip"},
        {"what": "Something else keeps it open; waited 60 s."},
    ],
)
def test_another_class_destination_template_or_text_is_an_action_of_its_own(
    store: ActionStore, other: dict[str, str]
) -> None:
    store.record(incident())
    assert store.record(incident(run_id="run-2", **other)).number == 2


@given(
    first=st.integers(0, 10**9),
    second=st.floats(0, 1e6, allow_nan=False).map(lambda number: f"{number:,.2f}"),
)
def test_repeats_may_have_other_numbers_in_the_text(first: int, second: str) -> None:
    text = "{} users acknowledged after {} s."
    assert (
        incident(what=text.format(first, second)).key
        == incident(what=text.format("1,234", "5")).key
    )


def test_a_closed_action_keeps_its_number_and_a_new_one_gets_its_own(store: ActionStore) -> None:
    store.record(incident())
    assert store.close(1, how="by hand", at=START)
    assert not store.close(1, how="again", at=START)
    assert store.record(incident(run_id="run-2")).number == 2
    assert [action.number for action in store.open_actions()] == [2]
    (closed,) = store.closed_actions(limit=5)
    assert (closed.number, closed.how) == (1, "by hand")


def test_a_recorded_run_does_not_reopen_its_action(store: ActionStore) -> None:
    store.record(incident())
    store.close(1, how="by hand", at=START)
    assert store.record(incident()).number == 1
    assert store.open_actions() == []


def test_open_actions_can_be_listed_by_destination(store: ActionStore) -> None:
    store.record(incident())
    store.record(incident(destination="second"))
    assert [action.number for action in store.open_actions(destination="second")] == [2]


def test_concurrent_writers_share_one_action(store: ActionStore) -> None:
    threads = [
        threading.Thread(target=store.record, args=(incident(run_id=f"run-{number}"),))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    action = store.get(1)
    assert action is not None
    assert action.count == 8
    assert len(store.open_actions()) == 1


def test_a_failure_in_between_leaves_neither_action_nor_message(
    store: ActionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **more: object) -> None:
        raise sqlite3.OperationalError

    with monkeypatch.context() as patch:
        patch.setattr("braze_pipeline.alerts.action_store.add_message", broken)
        with pytest.raises(sqlite3.OperationalError):
            store.record(incident())
    assert store.open_actions() == []
    assert store.record(incident()).new


def test_a_file_of_a_newer_version_is_refused(store: ActionStore) -> None:
    store.record(incident())
    con = sqlite3.connect(store.path)
    con.execute("PRAGMA user_version = 99")
    con.close()
    with pytest.raises(LedgerError, match="newer version"):
        store.record(incident(run_id="run-2"))


def test_the_outbox_waits_longer_after_each_failure_up_to_a_limit(
    store: ActionStore,
) -> None:
    store.record(incident())
    outbox = Outbox(store, "braze")
    now = START
    waits = []
    for _ in range(30):
        (message,) = outbox.due("slack", now=now)
        assert outbox.claim(message, "slack", now=now)
        assert not outbox.claim(message, "slack", now=now), "another tick leaves it alone"
        outbox.failed(message, "slack", problem="down")
        with reading(store.path) as con:
            (next_at,) = con.execute("SELECT next_at FROM deliveries").fetchone()
        waits.append(datetime.fromisoformat(next_at) - now)
        assert outbox.due("slack", now=now) == []
        now = datetime.fromisoformat(next_at)
    assert waits[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT


def test_a_message_is_done_when_every_channel_has_delivered_it(store: ActionStore) -> None:
    store.record(incident())
    outbox = Outbox(store, "braze")
    (message,) = outbox.due("slack", now=START)
    outbox.claim(message, "slack", now=START)
    outbox.delivered(message, "slack", now=START)
    outbox.finish(["slack", "mail"], now=START)
    assert outbox.due("slack", now=START) == []
    assert outbox.due("mail", now=START) == [message]
    outbox.claim(message, "mail", now=START)
    outbox.delivered(message, "mail", now=START)
    outbox.finish(["slack", "mail"], now=START)
    assert outbox.due("pigeon", now=START) == []


def test_the_outbox_of_one_destination_leaves_the_others_alone(store: ActionStore) -> None:
    store.record(incident(destination="second"))
    ours, theirs = Outbox(store, "braze"), Outbox(store, "second")
    assert ours.due("slack", now=START) == []
    ours.finish([], now=START)
    assert len(theirs.due("slack", now=START)) == 1
