"""Notifications, received by real HTTP and SMTP servers.

What holds for e-mail alone is in ``test_mail``.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from braze_pipeline import errors
from braze_pipeline.alerts import Incident
from braze_pipeline.alerts.notify import Channel, ChannelProblem, channels_from, web
from braze_pipeline_tests.certificates import certificate
from braze_pipeline_tests.fake_http import FakeHttp, reply
from braze_pipeline_tests.receivers import HttpReceiver, MailReceiver
from braze_pipeline_tests.watched_world import World

UNAVAILABLE = errors.BrazeUnavailable("Braze failed for 300 s.", fix="Wait, then run again.")
SLACK_SECRET = "/services/T000/B000/planted-secret"
HOOK_SECRET = "/hook?token=planted-token"
PASSWORD = "planted-password"

MakeWorld = Callable[..., World]


def everywhere(http: HttpReceiver, smtp: MailReceiver) -> dict[str, str]:
    return {
        "BRAZE_PIPELINE_SLACK_WEBHOOK": http.url + SLACK_SECRET,
        "BRAZE_PIPELINE_WEBHOOK": http.url + HOOK_SECRET,
        **smtp.environ,
        "BRAZE_PIPELINE_UI_URL": "http://127.0.0.1:3000/",
    }


def fail(world: World, **more: Any) -> dg.ExecuteInProcessResult:
    world.raises["braze_send"] = UNAVAILABLE
    return world.run(**more)


def test_each_channel_gets_one_notification_of_a_failed_run_and_one_of_its_recovery(
    make_world: MakeWorld,
    persistent_instance: dg.DagsterInstance,
    http: HttpReceiver,
    smtp: MailReceiver,
) -> None:
    world = make_world(instance=persistent_instance, environ=everywhere(http, smtp))
    run = fail(world)
    for _ in range(3):
        world.tick()
    fail(world)  # a repeat
    world.tick()

    (slack,) = http.bodies(SLACK_SECRET)
    (hook,) = http.bodies(HOOK_SECRET)
    (mail,) = smtp.mails
    link = f"http://127.0.0.1:3000/runs/{run.run_id}"
    subject = "[braze / loyal] Workflow action 1 needs attention: Braze unavailable"
    assert slack["text"].startswith(f"*{subject}*")
    assert link in slack["text"]
    assert mail["Subject"] == subject
    assert mail["From"] == "pipeline@example.com"
    assert smtp.receivers == [["oncall@example.com", "crm@example.com"]]
    assert link in mail.get_content()
    assert "actions resolve 1" in mail.get_content()
    assert hook["event"] == "action.opened"
    assert hook["action"]["class"] == "braze_unavailable"
    assert hook["action"]["run_url"] == link
    assert hook["action"]["sent"] == {
        "planned": 1000, "accepted": 0, "rejected": 0, "not_attempted": 1000,
    }  # fmt: skip
    assert len(hook["action"]["steps"]) > 1

    world.raises.clear()
    world.run()
    world.tick()
    world.tick()
    assert [body["event"] for body in http.bodies(HOOK_SECRET)] == [
        "action.opened", "action.recovered",
    ]  # fmt: skip
    assert http.bodies(HOOK_SECRET)[1]["action"]["count"] == 2
    assert len(http.bodies(SLACK_SECRET)) == len(smtp.mails) == 2
    assert "resolved" in str(smtp.mails[1]["Subject"])


@pytest.mark.parametrize("status", [500, 0, 302])
def test_a_notification_that_fails_is_retried_and_the_action_stays_open_meanwhile(
    make_world: MakeWorld, http: HttpReceiver, smtp: MailReceiver, status: int
) -> None:
    world = make_world(environ=everywhere(http, smtp))
    http.status, http.headers, smtp.refuse = status, {"Location": http.url + "/elsewhere"}, "@"
    fail(world)
    output = world.tick()
    assert "notification waits (slack:" in output
    assert world.one().action == "braze_unavailable"
    assert set(world.store.notified(1)) == {"slack", "webhook", "mail"}
    assert http.bodies("/elsewhere") == []

    http.status, smtp.refuse = 200, None
    http.requests.clear()
    world.tick()
    assert http.requests == [], "it waits a little between attempts"
    world.minutes = 2
    world.tick()
    world.tick()
    assert len(http.bodies(SLACK_SECRET)) == len(http.bodies(HOOK_SECRET)) == 1
    assert len(smtp.mails) == 1
    assert set(world.store.notified(1).values()) == {"delivered"}


def test_one_broken_channel_does_not_silence_the_others(
    make_world: MakeWorld, http: HttpReceiver, smtp: MailReceiver
) -> None:
    world = make_world(
        environ={**everywhere(http, smtp), "BRAZE_PIPELINE_WEBHOOK": "https://[broken"}
    )
    fail(world)
    world.tick()
    assert len(http.bodies(SLACK_SECRET)) == len(smtp.mails) == 1
    assert world.store.notified(1)["webhook"] == "not yet: Its address is not a URL."


def test_without_any_channel_nothing_waits_and_a_channel_added_later_gets_no_old_news(
    make_world: MakeWorld, http: HttpReceiver, smtp: MailReceiver
) -> None:
    world = make_world()
    fail(world)
    world.tick()
    world.environ.update(everywhere(http, smtp))
    world.tick()
    assert http.requests == []
    assert smtp.mails == []
    assert world.one().count == 1


def test_messages_of_a_channel_go_out_in_order(make_world: MakeWorld, http: HttpReceiver) -> None:
    world = make_world(environ={"BRAZE_PIPELINE_WEBHOOK": http.url})
    http.status = 503
    fail(world)
    world.tick()
    world.raises.clear()
    world.run()
    world.tick()
    http.status = 200
    http.requests.clear()
    world.minutes = 120
    world.tick()
    assert [body["event"] for _, body in http.requests] == ["action.opened", "action.recovered"]


def test_what_cannot_be_delivered_for_days_is_given_up_but_not_the_action(
    make_world: MakeWorld, http: HttpReceiver
) -> None:
    world = make_world(environ={"BRAZE_PIPELINE_WEBHOOK": http.url})
    http.status = 503
    fail(world)
    for hours in (0, 1, 2, 3, 4, 5, 71, 73, 74, 75):
        world.minutes = 60 * hours
        world.tick()
    assert len(http.requests) == 8
    assert world.store.notified(1) == {"webhook": "given up: It answered with status 503."}
    assert world.one().number == 1


def failures(world: World, *, days_ago: int) -> list[str]:
    """More failures than one tick notifies of: what happened, in order."""
    causes = [f"No {name}." for name in "abcdefghijkl"]
    for what in causes:
        world.store.record(
            Incident(
                action="source_missing",
                what=what,
                fix="",
                destination="braze",
                template="loyal",
                at=world.now() - timedelta(days=days_ago),
            )
        )
    return causes


@pytest.mark.parametrize(
    ("days_ago", "ticks"), [(4, (0, 1, 2)), (0, (0, 4 * 24 * 60, 4 * 24 * 60 + 1))]
)
def test_whatever_the_daemons_absence_every_failure_is_notified(
    make_world: MakeWorld, http: HttpReceiver, days_ago: int, ticks: tuple[int, ...]
) -> None:
    world = make_world(environ={"BRAZE_PIPELINE_WEBHOOK": http.url})
    causes = failures(world, days_ago=days_ago)
    for world.minutes in ticks:
        world.tick()
    assert [body["action"]["what"] for _, body in http.requests] == causes


def test_a_failed_notification_of_an_old_failure_is_retried(
    make_world: MakeWorld, http: HttpReceiver
) -> None:
    world = make_world(environ={"BRAZE_PIPELINE_WEBHOOK": http.url})
    causes = failures(world, days_ago=4)
    http.status = 503
    world.tick()
    http.status = 200
    http.requests.clear()
    for world.minutes in (5, 6, 7):
        world.tick()
    assert [body["action"]["what"] for _, body in http.requests] == causes


def test_a_message_from_before_the_daemons_absence_has_more_than_one_attempt(
    make_world: MakeWorld, http: HttpReceiver
) -> None:
    world = make_world(environ={"BRAZE_PIPELINE_WEBHOOK": http.url})
    causes = failures(world, days_ago=0)[:1]
    http.status = 503
    world.minutes = 4 * 24 * 60
    world.tick()
    http.status = 200
    http.requests.clear()
    world.minutes += 5
    world.tick()
    assert [body["action"]["what"] for _, body in http.requests[:1]] == causes


def test_a_401_that_persists_is_notified_once_more(
    make_world: MakeWorld, http: HttpReceiver
) -> None:
    world = make_world(environ={"BRAZE_PIPELINE_WEBHOOK": http.url})
    world.run()
    world.raises["braze_send"] = errors.InvalidCredentials("401.", fix="")
    for _ in range(4):
        world.run()
        world.tick()
    assert [body["event"] for _, body in http.requests] == ["action.opened", "action.persists"]


def test_neither_address_nor_password_appears_anywhere(
    make_world: MakeWorld,
    http: HttpReceiver,
    smtp: MailReceiver,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    environ = {
        **everywhere(http, smtp),
        "BRAZE_PIPELINE_SMTP_USER": "user",
        "BRAZE_PIPELINE_SMTP_PASSWORD": PASSWORD,
    }
    world = make_world(environ=environ)
    http.status = 500
    fail(world)
    output = world.tick()
    channels = repr(channels_from(environ))
    with sqlite3.connect(world.warehouse.actions_path) as con:
        stored = "\n".join(con.iterdump())
    con.close()
    out, err = capfd.readouterr()
    everything = "\n".join((output, channels, stored, out, err, caplog.text))
    for secret in ("planted", http.url, PASSWORD):
        assert secret not in everything
    assert "password would be sent unencrypted" in world.store.notified(1)["mail"]


def test_the_certificate_of_a_proxy_that_inspects_tls_holds_for_notifications_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, context = certificate(tmp_path)
    with FakeHttp(tls=context, answer=lambda _: reply(200, b"{}")) as server:
        with pytest.raises(ChannelProblem, match="SSLCertVerificationError"):
            web.post(server.endpoint, {})
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
        web.post(server.endpoint, {})
        assert len(server.requests) == 1


def test_certificates_that_cannot_be_used_do_not_silence_the_message_about_them(
    monkeypatch: pytest.MonkeyPatch, http: HttpReceiver
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    web.post(http.url, {"text": "the run failed"})
    assert [body for _, body in http.requests] == [{"text": "the run failed"}]


def test_characters_with_a_meaning_in_slack_are_escaped(
    make_world: MakeWorld, http: HttpReceiver
) -> None:
    world = make_world(environ={"BRAZE_PIPELINE_SLACK_WEBHOOK": http.url})
    world.raises["customer_attributes"] = errors.SourceChanged("<!channel> a & b", fix="")
    world.run()
    world.tick()
    ((_, body),) = http.requests
    assert "&lt;!channel&gt; a &amp; b" in body["text"]


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://example.com/x", "plain http"),
        ("file:///etc/passwd", "not an https URL"),
        ("http://127.0.0.1:1/", "could not be reached"),
    ],
)
def test_a_webhook_with_a_wrong_address_reports_the_problem(
    make_world: MakeWorld, http: HttpReceiver, smtp: MailReceiver, address: str, problem: str
) -> None:
    world = make_world(environ={**everywhere(http, smtp), "BRAZE_PIPELINE_WEBHOOK": address})
    fail(world)
    assert problem in world.tick()
    assert world.one().count == 1


def test_a_channel_that_breaks_unexpectedly_does_not_fail_the_tick(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(shown: object) -> None:
        raise ZeroDivisionError

    world = make_world()
    monkeypatch.setattr(
        "braze_pipeline.orchestration.sensors.channels_from",
        lambda environ: (Channel("pigeon", broken),),
    )
    fail(world)
    assert "pigeon: unexpected ZeroDivisionError" in world.tick()


def test_a_webhook_gets_json_that_another_program_can_read(
    make_world: MakeWorld, http: HttpReceiver
) -> None:
    world = make_world(environ={"BRAZE_PIPELINE_WEBHOOK": http.url})
    fail(world)
    world.tick()
    ((_, body),) = http.requests
    names = {"id", "event", "created_at", "action", "actions_url"}
    assert set(json.loads(json.dumps(body))) == names
    assert body["actions_url"] is None
    assert body["action"]["run_url"] is None, "without the UI's address there is no link"
