"""`alerts: {success: …}`: messages that all went well, received by real HTTP and SMTP servers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from braze_pipeline import errors
from braze_pipeline.alerts import ActionStore, Outbox
from braze_pipeline.settings import AlertSettings
from braze_pipeline.storage.migrations.runner import sql
from braze_pipeline_tests.receivers import HttpReceiver, MailReceiver
from braze_pipeline_tests.watched_world import DAY, NEXT_DAY, World, template

UNAVAILABLE = errors.BrazeUnavailable("Braze failed for 300 s.", fix="Wait, then run again.")
ONLY_FAILURES = ["action.opened", "action.recovered"]

MakeWorld = Callable[..., World]


@pytest.fixture
def make(make_world: MakeWorld, http: HttpReceiver) -> MakeWorld:
    """A world whose webhook is the receiver, with a kind of success messages."""

    def of(success: str, **more: Any) -> World:
        t = template(alerts=AlertSettings(success=success))  # type: ignore[arg-type]  # a literal
        more.setdefault("environ", {"BRAZE_PIPELINE_WEBHOOK": http.url})
        return make_world(templates=(t,), **more)

    return of


def events(http: HttpReceiver) -> list[str]:
    return [body["event"] for _, body in http.requests]


def failing(world: World, **more: Any) -> None:
    world.raises["braze_send"] = UNAVAILABLE
    world.run(**more)
    world.tick()
    world.raises.clear()


def test_each_channel_gets_the_numbers_of_a_run_and_a_link_to_it(
    make: MakeWorld, http: HttpReceiver, smtp: MailReceiver
) -> None:
    environ = {
        "BRAZE_PIPELINE_SLACK_WEBHOOK": f"{http.url}/slack",
        "BRAZE_PIPELINE_WEBHOOK": f"{http.url}/hook",
        **smtp.environ,
        "BRAZE_PIPELINE_UI_URL": "http://127.0.0.1:3000",
    }
    world = make("daily", environ=environ, refused=7)
    run = world.run()
    assert f"notified: run as of {DAY} succeeded (mail)" in world.tick()
    subject = f"[braze / loyal] Run as of {DAY} succeeded: 993 users accepted"
    lines = [
        "Users: 993 accepted, 7 rejected, 4,000 unchanged",
        "Attributes accepted: 1,500",
        "Data points of the plan: 1,600",
        f"Run: http://127.0.0.1:3000/runs/{run.run_id}",
        "Open actions: http://127.0.0.1:3000/assets/workflow_actions",
    ]
    (slack,), (hook,), (mail,) = http.bodies("/slack"), http.bodies("/hook"), smtp.mails
    assert slack["text"].splitlines() == [f"*{subject}*", *lines]
    assert mail["Subject"] == subject
    assert mail.get_content().splitlines() == lines
    assert hook["event"] == "run.succeeded"
    assert hook["run"] == {
        "destination": "braze", "template": "loyal", "first_day": DAY, "last_day": DAY,
        "run_id": run.run_id, "run_url": f"http://127.0.0.1:3000/runs/{run.run_id}",
        "accepted": 993, "rejected": 7, "unchanged": 4000, "attributes": 1500,
        "data_points": 1600, "warnings": "", "open_actions": 0,
    }  # fmt: skip


def test_by_default_a_run_that_goes_well_is_not_reported(
    make: MakeWorld, http: HttpReceiver
) -> None:
    assert AlertSettings().success == "never"
    world = make("never")
    world.run()
    failing(world)
    world.run()
    world.tick()
    assert events(http) == ONLY_FAILURES


def test_daily_is_once_for_each_day_also_after_a_rerun_and_a_restart_of_the_daemon(
    make: MakeWorld, http: HttpReceiver
) -> None:
    world = make("daily")
    for day in (DAY, DAY, NEXT_DAY):
        world.run(day=day)
        world.tick()
    world.run(only=["braze_send"])
    restarted = make("daily")
    for _ in range(2):
        restarted.tick()  # without a cursor it looks at all of these runs again
    assert [(body["event"], body["run"]["last_day"]) for _, body in http.requests] == [
        ("run.succeeded", DAY),
        ("run.succeeded", NEXT_DAY),
    ]


def test_after_a_failure_only_the_first_success_is_reported(
    make: MakeWorld, http: HttpReceiver
) -> None:
    world = make("after_failure")
    world.run()
    world.tick()
    assert events(http) == []
    for _ in range(2):
        failing(world)
    first = world.run()
    world.run()
    world.tick()
    make("after_failure").tick()
    assert events(http) == [*ONLY_FAILURES, "run.succeeded"]
    assert http.requests[-1][1]["run"]["run_id"] == first.run_id


def test_a_second_failure_of_a_day_that_recovers_is_reported_again(
    make: MakeWorld, http: HttpReceiver
) -> None:
    world = make("after_failure")
    for _ in range(2):
        failing(world)
        world.run()
        world.tick()
    assert events(http) == 2 * [*ONLY_FAILURES, "run.succeeded"]


def test_a_success_message_that_cannot_be_delivered_is_retried_once(
    make: MakeWorld, http: HttpReceiver
) -> None:
    world = make("daily")
    http.status = 503
    world.run()
    assert "notification waits (webhook:" in world.tick()
    http.status = 200
    http.requests.clear()
    world.tick()
    assert http.requests == [], "it waits a little between attempts"
    world.minutes = 2
    for _ in range(3):
        world.tick()
    assert events(http) == ["run.succeeded"]


def test_a_run_that_sent_nothing_or_opens_an_action_itself_did_not_go_well(
    make: MakeWorld, http: HttpReceiver
) -> None:
    world = make("daily")
    world.run(only=["customer_attributes", "braze_audience", "braze_profiles", "braze_plan"])
    world.tick()
    world.refused = 300
    world.run()
    world.tick()
    assert events(http) == ["action.opened"]
    world.refused = 0
    world.run()
    world.tick()
    assert events(http) == ["action.opened", "action.recovered", "run.succeeded"]


def test_a_success_says_which_actions_are_still_open(make: MakeWorld, http: HttpReceiver) -> None:
    world = make("daily")
    failing(world, day=NEXT_DAY)
    world.run(day=DAY)
    world.tick()
    assert events(http) == ["action.opened", "run.succeeded"]
    assert http.requests[-1][1]["run"]["open_actions"] == 1


def test_a_run_that_does_not_report_its_numbers_is_an_action_and_no_success(
    make: MakeWorld, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("braze_pipeline.orchestration.metadata.DATA_POINTS", "points")
    world = make("daily")
    world.run()
    monkeypatch.undo()
    world.tick()
    assert events(http) == ["action.opened"]
    assert "'data points of the plan'" in world.one().what


def test_messages_from_before_success_messages_are_still_delivered_after_the_upgrade(
    tmp_path: Path, make: MakeWorld, http: HttpReceiver
) -> None:
    path = tmp_path / "warehouse.actions.sqlite"
    with closing(sqlite3.connect(path)) as con, con:
        for number in (1, 2):
            sql(f"actions_{number}.sql")(con)
        con.execute("PRAGMA user_version = 2")
        con.execute(
            "INSERT INTO actions (number, key, action, what, fix, destination, template, count, "
            "first_seen, last_seen) "
            "VALUES (4, 'k', 'unknown', 'w', 'f', 'braze', 'loyal', 1, 'a', 'b')"
        )
        at = World.now(make("daily")).isoformat()
        con.executemany(
            "INSERT INTO messages VALUES (?, 4, ?, ?, ?)",
            [(7, "opened", at, None), (8, "persists", at, None)],
        )
        con.execute("INSERT INTO deliveries VALUES (7, 'webhook', 2, '', 'then', NULL)")
    world = make("daily")
    assert ActionStore(path).notified(4) == {"webhook": "not yet"}
    (waiting,) = Outbox(world.store, "braze").due("webhook", now=world.now())
    assert (waiting.message, waiting.event, waiting.words()) == (8, "persists", "action 4 persists")
    world.run()
    world.tick()
    assert events(http)[0] == "action.persists"
    assert [body["id"] for _, body in http.requests][-1] > "8"


def test_templates_of_one_run_are_reported_each(make_world: MakeWorld, http: HttpReceiver) -> None:
    alerts = AlertSettings(success="daily")
    world = make_world(
        templates=(template(alerts=alerts), template("new", prefix=("new",), alerts=alerts)),
        environ={"BRAZE_PIPELINE_WEBHOOK": http.url},
    )
    for t in world.templates:
        world.run(t=t)
    world.tick()
    assert [body["run"]["template"] for _, body in http.requests] == ["loyal", "new"]
