"""Channels that answer a byte at a time, and ticks that overlap."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from braze_pipeline.alerts import ActionStore, Incident, Message, Outbox
from braze_pipeline.alerts.notify import Channel, Notification, channels_from, deliver, mail
from braze_pipeline.alerts.notify.channel import ChannelProblem


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    store = ActionStore(tmp_path / "actions.sqlite")
    store.record(incident(what="what"))
    return Outbox(store, "braze")


def incident(*, what: str) -> Incident:
    return Incident(
        action="usage", what=what, fix="", destination="braze", template="t", at=now(), run_id=what
    )


@pytest.fixture
def dripping() -> Iterator[int]:
    """The port of a server that never completes its first line."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                while not ended.wait(0.05):
                    connection.sendall(b"2")

        thread = threading.Thread(target=drip)
        thread.start()
        yield server.getsockname()[1]
        ended.set()
        thread.join()


def compose(message: Message) -> Notification:
    return Notification(identity="1", subject=message.words(), lines=(), data={})


def now() -> datetime:
    return datetime.now(UTC)


def test_a_channel_that_answers_byte_by_byte_ends_in_time_and_the_others_are_served(
    outbox: Outbox, dripping: int
) -> None:
    got: list[str] = []
    (slow,) = channels_from({"BRAZE_PIPELINE_WEBHOOK": f"http://127.0.0.1:{dripping}/"})
    good = Channel("mail", lambda news: got.append(news.subject))
    result = deliver(outbox, [slow, good], compose=compose, now=now, timeout=0.5)
    assert result.problems == ("webhook: no complete answer within 0.5 s",)
    assert len(got) == 1
    assert outbox.due("webhook", now=now()) == []
    assert outbox.is_failing("webhook")
    assert not outbox.is_failing("mail")


def test_a_tick_beside_another_does_not_send_what_the_other_is_sending(outbox: Outbox) -> None:
    got: list[str] = []

    def send(news: Notification) -> None:
        got.append(news.subject)
        deliver(outbox, [channel], compose=compose, now=now)

    channel = Channel("mail", send)
    deliver(outbox, [channel], compose=compose, now=now)
    assert len(got) == 1


def test_a_tick_beside_the_first_attempt_for_an_old_message_does_not_give_it_up(
    outbox: Outbox,
) -> None:
    def later() -> datetime:
        return now() + timedelta(days=4)

    def send(_: Notification) -> None:
        deliver(outbox, [channel], compose=compose, now=later)
        raise ChannelProblem("Not now.")

    channel = Channel("mail", send)
    deliver(outbox, [channel], compose=compose, now=later)
    assert len(outbox.due("mail", now=later() + timedelta(hours=2))) == 1


def test_an_attempt_that_was_cut_off_is_shown_as_one_without_a_result(outbox: Outbox) -> None:
    (message,) = outbox.due("mail", now=now())
    outbox.claim(message, "mail", now=now())
    assert outbox.store.notified(1) == {
        "mail": "not yet: The result of the last attempt is not known."
    }


def test_a_message_behind_one_that_fails_is_shown_as_not_delivered_yet(outbox: Outbox) -> None:
    outbox.store.close(1, how="", at=now())
    outbox.store.record(incident(what="another"))

    def send(_: Notification) -> None:
        raise ChannelProblem("Not now.")

    good = Channel("mail", lambda _: None)
    deliver(outbox, [Channel("slack", send), good], compose=compose, now=now)
    assert outbox.store.notified(2) == {"mail": "delivered", "slack": "not yet"}
    (waiting,) = outbox.waiting()
    assert re.fullmatch(
        r"slack: 3 messages have been waiting since [-0-9]{10} [:0-9]{5} UTC. Not now.", waiting
    )
    assert Outbox(outbox.store, "other").waiting() == []


def test_a_message_that_arrives_after_the_time_of_its_attempt_is_not_sent_again(
    outbox: Outbox,
) -> None:
    slow, got = threading.Event(), threading.Event()

    def send(_: Notification) -> None:
        slow.wait(30)
        got.set()

    (message,) = outbox.due("mail", now=now())
    result = deliver(outbox, [Channel("mail", send)], compose=compose, now=now, timeout=0.1)
    assert result.problems
    slow.set()
    assert got.wait(30)
    later = now() + timedelta(days=1)
    for _ in range(300):
        if not outbox.is_failing("mail"):
            break
        time.sleep(0.1)
    assert not outbox.claim(message, "mail", now=later)


def test_what_does_not_fit_into_a_tick_waits_untried(outbox: Outbox) -> None:
    channel = Channel("mail", lambda _: None)
    assert deliver(outbox, [channel], compose=compose, now=now, budget=0).delivered == ()
    assert len(outbox.due("mail", now=now())) == 1


def test_a_mail_server_that_says_nothing_is_reported_as_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        environ = {
            "BRAZE_PIPELINE_SMTP_HOST": "127.0.0.1",
            "BRAZE_PIPELINE_SMTP_PORT": str(server.getsockname()[1]),
            "BRAZE_PIPELINE_SMTP_SECURITY": "none",
            "BRAZE_PIPELINE_SMTP_TO": "oncall@example.com",
        }
        with pytest.raises(ChannelProblem, match="TimeoutError"):
            mail.send(Notification(identity="1", subject="news", lines=(), data={}), environ)
