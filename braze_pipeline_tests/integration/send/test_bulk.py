"""Sends in bulk, and sends that share a limit, against a real HTTP server."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from braze_pipeline.braze.rate_limiter import HOUR
from braze_pipeline.braze.redaction import Secret
from braze_pipeline.errors import (
    LedgerError,
    MissingPermission,
    SendInterrupted,
    WrongInstance,
)
from braze_pipeline.plan import snapshot
from braze_pipeline.plan.overrides import Overrides
from braze_pipeline.plan.step import plan_days
from braze_pipeline.sandbox import Limits, Sandbox
from braze_pipeline.sandbox.endpoints import PERMISSIONS
from braze_pipeline.send import SendResult, send_plan
from braze_pipeline.send.step import send_days
from braze_pipeline.settings import KnownUsers, RateLimit
from braze_pipeline.settings.destination import BulkOptions, BulkRateLimit
from braze_pipeline.storage.journal import Journal
from braze_pipeline_tests.fake_http import FakeHttp, Request, reply, success
from braze_pipeline_tests.integration.send.plans import (
    SECRET,
    destination,
    job,
    users,
    write_snapshot,
)
from braze_pipeline_tests.ledger_world import World, attribute, day, template

TRACK, BULK = "/users/track", "/users/track/bulk"
FAST = BulkOptions(rate_limit=BulkRateLimit(requests=1000, seconds=1.0))


def send(
    folder: Path,
    endpoint: str,
    ids: list[str],
    *,
    limits: Path | None = None,
    stop: threading.Event | None = None,
    **changes: object,
) -> SendResult:
    path = folder / "plan.parquet"
    if not path.exists():
        write_snapshot(path, ids, size=1000)
    logged: list[str] = []
    changes = {"sends_to": "bulk", "bulk": FAST, **changes}
    result = send_plan(
        job(path, destination(endpoint, **changes), endpoint="bulk", limits=limits),
        secret=SECRET,
        journal=Journal(folder / "journal.sqlite"),
        log=logged.append,
        stop=stop,
    )
    (folder / "log.txt").write_text("\n".join(logged))
    return result


def _path(request: Request) -> str:
    return request.line.split()[1]


def test_a_thousand_users_go_in_one_request(tmp_path: Path) -> None:
    ids = users(2500)
    with Sandbox(users=ids) as sandbox:
        result = send(tmp_path, sandbox.endpoint, ids)
        assert result.accepted_users == 2500
        assert Counter(one.path for one in sandbox.requests) == {BULK: 3}
        assert {sandbox.objects_sent(user) for user in ids} == {1}


def test_a_body_over_two_megabytes_is_split_until_braze_takes_it(tmp_path: Path) -> None:
    ids = users(40)
    text = "x" * 90_000
    objects = [json.dumps({"external_id": user, "Note": {"a": text}}) for user in ids]
    table = pa.table(
        {
            "__request": pa.array([0] * 40, pa.int32()),
            "__index": pa.array(range(40), pa.int32()),
            "__user_id": ids,
            "__object": objects,
        }
    )
    pq.write_table(table, tmp_path / "plan.parquet")
    with Sandbox(users=ids) as sandbox:
        result = send(tmp_path, sandbox.endpoint, ids)
        assert result.accepted_users == 40
        assert {sandbox.objects_sent(user) for user in ids} == {1}


def test_without_the_permission_auto_goes_on_with_track_and_says_so(tmp_path: Path) -> None:
    ids = users(2500)
    with Sandbox(api_key={SECRET.reveal(): {"users.track"}}, users=ids) as sandbox:
        result = send(tmp_path, sandbox.endpoint, ids, sends_to="auto")
        assert result.accepted_users == 2500
        assert {sandbox.objects_sent(user) for user in ids} == {1}
        taken = [one for one in sandbox.requests if one.status == 201]
        assert {one.path for one in taken} == {TRACK}
        # 1,000 users are thirteen requests of 75, and one of 25.
        assert len(taken) == 14 + 14 + 7
    assert (tmp_path / "log.txt").read_text() == (
        "Braze does not take /users/track/bulk (status 403): the rest is sent to /users/track."
    )


def test_what_bulk_refused_by_name_stays_refused_after_falling_back(tmp_path: Path) -> None:
    """The first request is answered in part, and is then no longer permitted."""
    ids = users(300)

    def answer(request: Request) -> bytes:
        if _path(request) == TRACK:
            return success(request)
        if answers.pop():
            named = {"index": 7, "input_array": "attributes", "type": "no such user"}
            return reply(400, {"message": "Valid data must be provided", "errors": [named]})
        return reply(403, {"message": "Access Denied"})

    answers = [False, True]
    with FakeHttp(answer) as braze:
        result = send(tmp_path, braze.endpoint, ids, sends_to="auto", max_in_flight=1)
    assert (result.accepted_users, result.rejected_users) == (299, 1)


@pytest.mark.parametrize(("status", "error"), [(403, MissingPermission), (404, WrongInstance)])
def test_where_bulk_was_asked_for_it_is_not_replaced_by_track(
    tmp_path: Path, status: int, error: type[Exception]
) -> None:
    def answer(_: Request) -> bytes:
        return reply(status, {"message": "Invalid URL"})

    with FakeHttp(answer) as braze:
        result = send(tmp_path, braze.endpoint, users(10))
        assert isinstance(result.stopped_by, error)
        assert {_path(request) for request in braze.requests} == {BULK}
    if status == 403:
        assert "users.track.bulk" in result.stopped_by.fix


def test_a_run_after_another_in_the_same_hour_keeps_the_hours_limit(tmp_path: Path) -> None:
    """The second run sends what is left of the hour, then waits for the next, without a 429."""
    while HOUR - time.time() % HOUR < 30:
        time.sleep(1)
    ids, limits = users(3), tmp_path / "w.limits.sqlite"
    limit = BulkRateLimit(requests=100, seconds=1.0, requests_per_hour=4)
    bulk = BulkOptions(objects_per_request=1, rate_limit=limit)
    stop = threading.Event()
    with Sandbox(users=ids, limits=Limits(bulk_requests_per_hour=4)) as sandbox:
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            write_snapshot(folder / "plan.parquet", ids, size=1)
            if number:
                threading.Thread(target=_set_after, args=(sandbox, 4, stop), daemon=True).start()
            result = send(folder, sandbox.endpoint, ids, limits=limits, bulk=bulk, stop=stop)
        assert (result.accepted_users, result.not_attempted_users) == (1, 2)
        assert isinstance(result.stopped_by, SendInterrupted)
        assert [one.status for one in sandbox.requests] == [201] * 4


def _set_after(sandbox: Sandbox, requests: int, stop: threading.Event) -> None:
    while len(sandbox.requests) < requests:
        time.sleep(0.01)
    time.sleep(0.5)  # in which a further request would arrive
    stop.set()


@pytest.mark.parametrize("reset", ["epoch", "seconds", "absent"])
def test_a_window_that_is_used_up_is_waited_for_however_braze_names_its_end(
    tmp_path: Path, reset: Literal["epoch", "seconds", "absent"]
) -> None:
    ids = users(6)
    # Without a moment to wait for, only our own pace keeps the window.
    pace = RateLimit(requests=3 if reset == "absent" else 100, seconds=2.0)
    with Sandbox(users=ids, limits=Limits(requests=4, seconds=2.0, reset=reset)) as sandbox:
        path = write_snapshot(tmp_path / "plan.parquet", ids, size=1)
        to = destination(sandbox.endpoint, rate_limit=pace, max_in_flight=1)
        journal = Journal(tmp_path / "journal.sqlite")
        result = send_plan(job(path, to), secret=SECRET, journal=journal)
        assert result.accepted_users == 6
        assert {request.status for request in sandbox.requests} == {201}
    assert bool(result.throttled_seconds) is (reset != "absent")


def test_two_workspaces_of_a_company_share_its_limit_and_braze_refuses_nobody(
    tmp_path: Path,
) -> None:
    ids, limits = users(60), tmp_path / "w.limits.sqlite"
    keys = {SECRET.reveal(): PERMISSIONS, "another-key-of-the-company": PERMISSIONS}
    results: list[SendResult] = []
    with Sandbox(api_key=keys, users=ids, limits=Limits(requests=24, seconds=1.0)) as sandbox:

        def one(key: str) -> None:
            path = write_snapshot(tmp_path / f"{len(key)}.parquet", ids, size=1)
            to = destination(
                sandbox.endpoint,
                contract="mau",
                rate_limit=RateLimit(requests=20, seconds=1.0, requests_per_hour=10_000),
                max_in_flight=4,
            )
            journal = Journal(tmp_path / f"{len(key)}.sqlite")
            results.append(
                send_plan(job(path, to, limits=limits), secret=Secret(key), journal=journal)
            )

        threads = [threading.Thread(target=one, args=(key,)) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [result.accepted_users for result in results] == [60, 60]
        assert {request.status for request in sandbox.requests} == {201}


def test_a_file_of_limits_that_cannot_be_used_stops_the_send_before_it_begins(
    tmp_path: Path,
) -> None:
    limits = tmp_path / "w.limits.sqlite"
    limits.write_bytes(b"not a database" * 100)
    with Sandbox(users=["u00000"]) as sandbox:
        with pytest.raises(LedgerError, match=r"w\.limits\.sqlite"):
            send(tmp_path, sandbox.endpoint, ["u00000"], limits=limits, company="acme")
        assert sandbox.requests == []
        # Nor was a send begun that nobody ends.
        with sqlite3.connect(tmp_path / "journal.sqlite") as con:
            assert con.execute("SELECT count(*) FROM sends").fetchone() == (0,)


def test_a_workspace_with_a_limit_of_its_own_needs_no_count_that_others_see(tmp_path: Path) -> None:
    limits = tmp_path / "w.limits.sqlite"
    with Sandbox(users=["u00000"]) as sandbox:
        assert send(tmp_path, sandbox.endpoint, ["u00000"], limits=limits).accepted_users == 1
    assert not limits.exists()


@pytest.mark.parametrize(("permitted", "path"), [(True, BULK), (False, TRACK)])
def test_a_large_plan_is_made_for_bulk_where_the_key_may_and_the_hour_is_scarce(
    tmp_path: Path, permitted: bool, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LARGE_PLAN", 200)
    ids = [f"u{n}" for n in range(300)]
    key = {SECRET.reveal(): {"users.track", *(["users.track.bulk"] if permitted else [])}}
    with Sandbox(api_key=key, users=ids) as sandbox:
        t = template(
            attribute("Tier"),
            destination=destination(
                sandbox.endpoint,
                known_users=KnownUsers(source="assume"),
                preflight="off",
                contract="mau",
                rate_limit=RateLimit(requests=100, seconds=1.0, requests_per_hour=5000),
                sends_to="auto",
            ),
        )
        world = World(tmp_path, t)
        world.profiles(day(1), {user: {"Tier": "gold"} for user in ids})
        world.close()
        logged: list[str] = []
        environ = {"BRAZE_API_KEY": SECRET.reveal()}
        plan = plan_days(
            world.warehouse, t, [day(1)], run_id="run", now=world.now.replace(tzinfo=None),
            environ=environ, overrides=Overrides(), log=logged.append,
        )  # fmt: skip
        assert plan.endpoint == ("bulk" if permitted else "track")
        assert plan.requests == (1 if permitted else 4)
        assert any("/users/track/bulk cannot be used" in line for line in logged) is not permitted
        asked = len(sandbox.requests)
        assert [one.path for one in sandbox.requests] == [BULK]
        assert sandbox.profiles() == {user: {} for user in ids}
        out = send_days(
            world.warehouse, t, [day(1)], run_id="run", environ=environ, log=logged.append
        )
        assert out.account.holds
        assert out.account.accepted == 300
        assert {one.path for one in sandbox.requests[asked:]} == {path}
        assert len(sandbox.requests) - asked == plan.requests
