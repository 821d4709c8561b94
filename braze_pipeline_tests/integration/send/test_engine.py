"""The send against a real HTTP server: each user ends with a known outcome."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from braze_pipeline.braze.redaction import Secret
from braze_pipeline.errors import (
    BrazeUnavailable,
    ConfigurationError,
    ContractBroken,
    DiskFull,
    InvalidCredentials,
    MissingPermission,
    SendBusy,
    SendInterrupted,
    WrongInstance,
)
from braze_pipeline.sandbox import Fault, FaultKind, FaultPlan, Limits, Sandbox
from braze_pipeline.send import SendProgress, SendResult, send_plan, sending
from braze_pipeline.settings import RateLimit
from braze_pipeline.storage import journal
from braze_pipeline.storage.journal import Journal
from braze_pipeline_tests.certificates import certificate
from braze_pipeline_tests.fake_http import FakeHttp, Reply, Request, reply, success
from braze_pipeline_tests.integration.send.plans import (
    SECRET,
    destination,
    job,
    outcome,
    users,
    write_snapshot,
)


def send(
    folder: Path,
    endpoint: str,
    ids: list[str],
    *,
    plan_id: str = "plan",
    secret: Secret = SECRET,
    stop: threading.Event | None = None,
    **changes: object,
) -> SendResult:
    snapshot = folder / f"{plan_id}.parquet"
    if not snapshot.exists():
        write_snapshot(snapshot, ids)
    return send_plan(
        job(snapshot, destination(endpoint, **changes)),
        secret=secret,
        journal=Journal(folder / "journal.sqlite"),
        stop=stop,
    )


def test_every_user_of_a_plan_is_accepted_once(tmp_path: Path) -> None:
    ids = users(1000)
    with Sandbox(users=ids) as sandbox:
        result = send(tmp_path, sandbox.endpoint, ids)
        assert outcome(result) == (1000, 0, 0)
        assert result.stopped_by is None
        assert result.requests == 14
        assert {sandbox.objects_sent(user) for user in ids} == {1}
        assert not sandbox.overlaps


def test_no_log_of_a_send_contains_the_key_even_if_braze_repeats_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    planted = "planted-key-of-letters-alone"
    with caplog.at_level(logging.DEBUG), Sandbox(api_key="another") as sandbox:
        result = send(tmp_path, sandbox.endpoint, users(100), secret=Secret(planted))
    assert isinstance(result.stopped_by, InvalidCredentials)
    assert "Invalid API key" in result.stopped_by.what
    assert any("/users/track" in record.getMessage() for record in caplog.records)
    for text in (caplog.text, str(result.stopped_by), repr(result)):
        assert planted not in text
        assert planted[:8] not in text


def test_a_finished_plan_is_not_sent_again(tmp_path: Path) -> None:
    ids = users(100)
    with Sandbox(users=ids) as sandbox:
        send(tmp_path, sandbox.endpoint, ids)
        again = send(tmp_path, sandbox.endpoint, ids)
        assert outcome(again) == (100, 0, 0)
        assert again.requests == 0
        assert len(sandbox.requests) == 2


def test_a_refused_user_is_named_and_the_others_go_through(tmp_path: Path) -> None:
    ids = users(150)
    with Sandbox(users=ids) as sandbox:
        sandbox.refuse(ids[80], "provided external_id is blacklisted and disallowed")
        result = send(tmp_path, sandbox.endpoint, ids)
        assert outcome(result) == (149, 1, 0)
        assert dict(result.refused) == {"provided external_id is blacklisted and disallowed": 1}
        assert sandbox.profile(ids[79]) is not None


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in FaultKind
        if kind not in {FaultKind.SLOW, FaultKind.UNAUTHORIZED, FaultKind.FORBIDDEN}
    ],
)
def test_no_unusual_answer_loses_or_miscounts_a_user(tmp_path: Path, kind: FaultKind) -> None:
    ids = users(150)
    with Sandbox(users=ids) as sandbox:
        sandbox.script([Fault(kind=kind, seconds=0.1), Fault(kind=kind, seconds=0.1)])
        result = send(tmp_path, sandbox.endpoint, ids)
        assert result.not_attempted_users == 0
        assert result.stopped_by is None
        written = sum(sandbox.profile(user) is not None for user in ids)
        assert written == 150
        have = sum("Visits" in (sandbox.profile(user) or {}) for user in ids)
        assert have == result.accepted_users
        assert not sandbox.overlaps


def test_an_invalid_key_stops_the_run_and_is_never_shown(tmp_path: Path) -> None:
    ids = users(1000)
    planted = "planted-key-of-letters-alone"
    with Sandbox(users=ids, api_key="another") as sandbox:
        result = send(tmp_path, sandbox.endpoint, ids, secret=Secret(planted))
    assert isinstance(result.stopped_by, InvalidCredentials)
    assert outcome(result) == (0, 0, 1000)
    shown = "".join(traceback.format_exception(result.stopped_by)) + repr(result)
    assert planted not in shown
    assert planted.encode() not in (tmp_path / "journal.sqlite").read_bytes()


def test_a_transient_401_is_retried_once(tmp_path: Path) -> None:
    ids = users(75)
    with Sandbox(users=ids) as sandbox:
        sandbox.script([FaultKind.UNAUTHORIZED])
        result = send(tmp_path, sandbox.endpoint, ids)
    assert outcome(result) == (75, 0, 0)
    assert result.retries["401"] == 1


def test_a_missing_permission_stops_the_run(tmp_path: Path) -> None:
    ids = users(300)
    with Sandbox(users=ids, api_key={SECRET.reveal(): ["users.export.ids"]}) as sandbox:
        result = send(tmp_path, sandbox.endpoint, ids)
    assert isinstance(result.stopped_by, MissingPermission)
    assert "users.track" in result.stopped_by.fix
    assert result.accepted_users == 0


def test_an_unreachable_endpoint_ends_the_run_soon(tmp_path: Path) -> None:
    result = send(
        tmp_path, "http://127.0.0.1:9", users(300), retry_budget_seconds=0.5, connect_timeout=0.5
    )
    assert isinstance(result.stopped_by, BrazeUnavailable)
    assert outcome(result) == (0, 0, 300)


def test_an_expired_certificate_ends_the_run_at_once_and_says_so_and_the_key_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, context = certificate(tmp_path, ends=-1)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    with FakeHttp(tls=context) as server:
        result = send(tmp_path, server.endpoint, users(3), max_in_flight=1)
        assert server.requests == []
    assert isinstance(result.stopped_by, WrongInstance)
    assert "certificate has expired" in result.stopped_by.what
    assert "REQUESTS_CA_BUNDLE" in result.stopped_by.fix
    assert not result.stopped_by.transient
    assert (result.requests, outcome(result)) == (1, (0, 0, 3))


@pytest.mark.parametrize("name", ["missing.pem", "empty.pem"])
def test_certificates_that_cannot_be_used_end_the_run_before_a_send_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "empty.pem").touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / name))
    with pytest.raises(ConfigurationError, match=r"rest\.example\.test") as caught:
        send(tmp_path, "https://rest.example.test", users(3))
    assert "REQUESTS_CA_BUNDLE" in caught.value.fix
    with sqlite3.connect(tmp_path / "journal.sqlite") as con:
        assert con.execute("SELECT count(*) FROM sends").fetchone() == (0,)


def once_under_way(sandbox: Sandbox, act: Callable[[], None]) -> threading.Thread:
    """Act when Braze has answered a few requests, whatever the machine's speed."""

    def wait() -> None:
        while sum(one.status == 201 for one in sandbox.requests) < 4:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_an_outage_of_braze_ends_the_send_cleanly_and_a_rerun_resumes(tmp_path: Path) -> None:
    ids = users(3000)
    sandbox = Sandbox(users=ids, latency=0.05)
    with sandbox:
        stopper = once_under_way(sandbox, sandbox.stop)
        first = send(tmp_path, sandbox.endpoint, ids, retry_budget_seconds=0.5, max_in_flight=2)
        stopper.join()
        assert isinstance(first.stopped_by, BrazeUnavailable)
        assert 0 < first.not_attempted_users < 3000
        sandbox.start()
        second = send(tmp_path, sandbox.endpoint, ids)
        assert outcome(second) == (3000, 0, 0)
        assert second.users_sent == first.not_attempted_users


def test_a_send_that_ends_records_which_requests_it_never_began(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        if "u00150" in request.users:  # of the third request of forty
            return reply(403, {"message": "no"})
        return success(request)

    with FakeHttp(answer=answer) as server:
        first = send(tmp_path, server.endpoint, users(3000), max_in_flight=1)
    assert outcome(first) == (150, 0, 2850)
    assert [no for no, _ in journal.begun(tmp_path / "journal.sqlite", "plan")] == [2]


def test_a_stop_drains_and_leaves_the_rest_for_a_rerun(tmp_path: Path) -> None:
    ids = users(3000)
    stop = threading.Event()
    with Sandbox(users=ids, latency=0.05) as sandbox:
        once_under_way(sandbox, stop.set)
        first = send(tmp_path, sandbox.endpoint, ids, stop=stop, max_in_flight=4)
        assert isinstance(first.stopped_by, SendInterrupted)
        assert 0 < first.accepted_users < 3000
        send(tmp_path, sandbox.endpoint, ids)
        assert {sandbox.objects_sent(user) for user in ids} == {1}


def test_the_rate_limit_is_kept_so_that_braze_does_not_throttle(tmp_path: Path) -> None:
    ids = users(1500)
    with Sandbox(users=ids, limits=Limits(requests=12, seconds=0.5)) as sandbox:
        result = send(
            tmp_path, sandbox.endpoint, ids, rate_limit=RateLimit(requests=6, seconds=0.5)
        )
    assert outcome(result) == (1500, 0, 0)
    assert result.retries.get("429", 0) == 0


def test_when_braze_throttles_all_requests_wait_and_none_fails(tmp_path: Path) -> None:
    ids = users(1500)
    with Sandbox(users=ids, limits=Limits(requests=5, seconds=0.5)) as sandbox:
        result = send(tmp_path, sandbox.endpoint, ids)
    assert outcome(result) == (1500, 0, 0)
    assert result.throttled_seconds > 0


def test_random_faults_lose_nobody(tmp_path: Path) -> None:
    ids = users(2000)
    kinds = (
        FaultKind.SERVER_ERROR,
        FaultKind.BAD_GATEWAY,
        FaultKind.UNAVAILABLE,
        FaultKind.RESET_BEFORE,
        FaultKind.RESET_AFTER,
        FaultKind.TRUNCATED,
    )
    plan = FaultPlan(seed=7, mix=dict.fromkeys(kinds, 0.05))
    with Sandbox(users=ids, fault_plan=plan) as sandbox:
        result = send(tmp_path, sandbox.endpoint, ids, retry_budget_seconds=60.0)
        assert outcome(result) == (2000, 0, 0)
        assert all((sandbox.profile(user) or {}).get("Visits") == 1 for user in ids)
        assert not sandbox.overlaps


def test_a_server_that_is_not_braze_is_reported_as_such(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        result = send(tmp_path, f"{sandbox.endpoint}/elsewhere", users(10))
    assert isinstance(result.stopped_by, WrongInstance)


def test_when_braze_refuses_everybody_the_run_stops(tmp_path: Path) -> None:
    ids = users(1500)
    with Sandbox(users=ids) as sandbox:
        for user in ids:
            sandbox.refuse(user)
        result = send(tmp_path, sandbox.endpoint, ids)
    assert isinstance(result.stopped_by, ContractBroken)
    assert result.accepted_users == 0
    assert result.not_attempted_users > 0


def test_an_answer_that_never_ends_counts_as_no_answer_and_is_retried(tmp_path: Path) -> None:
    def drip(answer: bytes) -> Iterator[bytes]:
        for byte in answer:
            time.sleep(0.05)
            yield bytes([byte])

    def answers(request: Request) -> Reply:
        whole = success(request)
        first = sum(one.body == request.body for one in server.requests) == 1
        return drip(whole + b" " * 100) if first else whole

    ids = users(150)
    with FakeHttp(answer=answers) as server:
        result = send(tmp_path, server.endpoint, ids, answer_timeout=1.0)
        assert outcome(result) == (150, 0, 0)
        assert dict(result.retries) == {"timeout": 2}

        server.answer = lambda request: drip(success(request))
        stuck = send(tmp_path, server.endpoint, ids, plan_id="stuck", answer_timeout=1.0)
        assert outcome(stuck) == (0, 0, 150)
        assert isinstance(stuck.stopped_by, BrazeUnavailable)


class _SmallDisk(Journal):
    """A journal that may grow by two pages: then SQLite says that the disk is full."""

    def _connect(self) -> sqlite3.Connection:
        con = super()._connect()
        if not hasattr(self, "room"):
            self.room = con.execute("PRAGMA page_count").fetchone()[0] + 2
        con.execute(f"PRAGMA max_page_count = {self.room}")
        return con


def test_a_full_disk_ends_the_send_and_a_rerun_resumes(tmp_path: Path) -> None:
    ids = users(900)
    snapshot = write_snapshot(tmp_path / "plan.parquet", ids, size=1)
    Journal(tmp_path / "journal.sqlite")
    with Sandbox(users=ids) as sandbox:

        def carry_out(journal: Journal) -> SendResult:
            return send_plan(
                job(snapshot, destination(sandbox.endpoint, max_in_flight=8)),
                secret=SECRET,
                journal=journal,
            )

        first = carry_out(_SmallDisk(tmp_path / "journal.sqlite"))
        assert isinstance(first.stopped_by, DiskFull)
        assert 0 < first.accepted_users < 900
        assert first.accepted_users + first.not_attempted_users == 900
        second = carry_out(Journal(tmp_path / "journal.sqlite"))
        assert outcome(second) == (900, 0, 0)
        assert {sandbox.objects_sent(user) for user in ids} <= {1, 2}
        assert len(sandbox.requests) <= 900 + 8


def test_a_second_send_to_a_destination_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "braze.lock"
    with (
        sending(lock, "braze"),
        pytest.raises(SendBusy, match="still running"),
        sending(lock, "braze", wait=0.1),
    ):
        pass


def test_progress_is_reported_and_ends_with_all_users(tmp_path: Path) -> None:
    ids = users(600)
    reports: list[SendProgress] = []
    with Sandbox(users=ids) as sandbox:
        send_plan(
            job(write_snapshot(tmp_path / "p.parquet", ids), destination(sandbox.endpoint)),
            secret=SECRET,
            journal=Journal(tmp_path / "journal.sqlite"),
            on_progress=reports.append,
            every=0.0,
        )
    assert reports[-1].done == reports[-1].total == 600
