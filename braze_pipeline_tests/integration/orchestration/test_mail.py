"""Notifications as e-mail, received by a real SMTP server."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from braze_pipeline import errors
from braze_pipeline_tests.receivers import MailReceiver
from braze_pipeline_tests.watched_world import World

MakeWorld = Callable[..., World]


def fail(world: World) -> None:
    world.raises["braze_send"] = errors.BrazeUnavailable("Braze failed for 300 s.", fix="Wait.")
    world.run()


@pytest.mark.parametrize("goodbye", ["250 ok", "421 closing"])
def test_a_mail_that_the_server_took_is_delivered_however_the_server_says_goodbye(
    make_world: MakeWorld, smtp: MailReceiver, goodbye: str
) -> None:
    world = make_world(environ=smtp.environ)
    smtp.goodbye = goodbye
    fail(world)
    for world.minutes in (0, 5):
        world.tick()
    assert len(smtp.mails) == 1
    assert world.store.notified(1)["mail"] == "delivered"


def test_a_mail_that_not_all_recipients_get_is_sent_once_and_says_so(
    make_world: MakeWorld, smtp: MailReceiver
) -> None:
    world = make_world(environ=smtp.environ)
    smtp.refuse = "crm@"
    fail(world)
    output = world.tick()
    world.minutes = 5
    world.tick()
    assert smtp.receivers == [["oncall@example.com"]]
    assert "(mail; recipients refused by the mail server: 1)" in output
    assert world.store.notified(1)["mail"] == (
        "delivered: recipients refused by the mail server: 1"
    )


def test_each_attempt_to_deliver_a_mail_has_the_same_message_id_and_each_message_another(
    make_world: MakeWorld, smtp: MailReceiver
) -> None:
    world = make_world(environ=smtp.environ)
    smtp.answer = "451 try again"
    fail(world)
    for world.minutes in (0, 5):
        world.tick()
    smtp.answer = "250 taken"
    world.minutes = 10
    world.tick()
    world.raises.clear()
    world.run()
    world.tick()
    first, again, last, recovered = (mail["Message-ID"] for mail in smtp.mails)
    assert first == again == last != recovered
    assert re.fullmatch(r"<[\w.+-]+@[\w.-]+>", first)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"BRAZE_PIPELINE_SMTP_SECURITY": "ssl"}, "must be starttls, tls or none"),
        ({"BRAZE_PIPELINE_SMTP_PORT": "smtp"}, "not a number"),
        ({"BRAZE_PIPELINE_SMTP_TO": " , "}, "names no recipient"),
        (
            {"BRAZE_PIPELINE_SMTP_SECURITY": "starttls"},
            "offers no STARTTLS on port {port}. Set BRAZE_PIPELINE_SMTP_SECURITY to tls, or,",
        ),
    ],
)
def test_wrong_settings_of_the_mail_server_are_reported_with_what_to_set(
    make_world: MakeWorld, smtp: MailReceiver, more: dict[str, str], problem: str
) -> None:
    world = make_world(environ={**smtp.environ, **more})
    fail(world)
    assert problem.format(port=smtp.port) in world.tick()
    assert world.one().count == 1
