"""Delivers what is in the outbox; what fails stays there for the next tick."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from braze_pipeline.alerts import Message, Outbox
from braze_pipeline.alerts.notify.channel import TIMEOUT_SECONDS, Channel, ChannelProblem
from braze_pipeline.alerts.notify.text import Notification

MAX_PER_TICK = 5
"""Messages over one channel in one tick, so that a tick ends in time."""

TICK_SECONDS = 40.0
"""For all attempts of a tick; Dagster gives up on a sensor's tick after 60."""


@dataclass(frozen=True, kw_only=True)
class DeliveryRound:
    """The result of a round of deliveries.

    Attributes:
        delivered: Delivered messages, each with the name of the channel, and why not everybody
            got it.
        problems: One line for each failed channel, with its name, never its address.
    """

    delivered: tuple[tuple[Message, str], ...]
    problems: tuple[str, ...]


def deliver(
    outbox: Outbox,
    channels: Sequence[Channel],
    *,
    compose: Callable[[Message], Notification],
    now: Callable[[], datetime],
    timeout: float = TIMEOUT_SECONDS,
    budget: float = TICK_SECONDS,
) -> DeliveryRound:
    """Try what is due, channel by channel; a channel that fails waits until its next time.

    Channels that work come first. What does not fit into the budget waits for the next tick.

    Raises:
        sqlite3.Error: the store cannot be read or written. Failures of channels are not raised.
    """
    delivered = []
    problems = []
    last_start = time.monotonic() + budget - timeout
    for channel in sorted(channels, key=lambda one: outbox.is_failing(one.name)):
        for message in outbox.due(channel.name, now=now())[:MAX_PER_TICK]:
            notification = compose(message)
            if time.monotonic() > last_start or not outbox.claim(message, channel.name, now=now()):
                break
            late = partial(_delivered, outbox, message, channel, now)
            done, problem = _bounded(channel, notification, timeout, late)
            if not done:
                outbox.failed(message, channel.name, problem=problem or "")
                problems.append(f"{channel.name}: {problem}")
                break
            outbox.delivered(message, channel.name, now=now(), problem=problem)
            delivered.append((message, f"{channel.name}; {problem}" if problem else channel.name))
    outbox.finish([channel.name for channel in channels], now=now())
    return DeliveryRound(delivered=tuple(delivered), problems=tuple(problems))


def _bounded(
    channel: Channel,
    notification: Notification,
    timeout: float,
    late: Callable[[str | None], None],
) -> tuple[bool, str | None]:
    """An attempt with a limit in total: a socket's timeout starts again with each byte.

    One that succeeds after its time is recorded all the same, by ``late``, and not made again.
    """
    results: list[tuple[bool, str | None]] = []
    too_late = threading.Event()

    def attempt() -> None:
        done, problem = _attempt(channel, notification)
        results.append((done, problem))
        if done and too_late.is_set():
            late(problem)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout)
    too_late.set()
    return results[0] if results else (False, f"no complete answer within {timeout:g} s")


def _delivered(
    outbox: Outbox,
    message: Message,
    channel: Channel,
    now: Callable[[], datetime],
    problem: str | None,
) -> None:
    with suppress(sqlite3.Error):
        outbox.delivered(message, channel.name, now=now(), problem=problem)


def _attempt(channel: Channel, notification: Notification) -> tuple[bool, str | None]:
    """Whether it was delivered, and the problem, in words without an address."""
    try:
        return True, channel.send(notification)
    except ChannelProblem as problem:
        return False, str(problem)
    except Exception as error:  # noqa: BLE001 - no channel may stop the others, or the sensor
        return False, f"unexpected {type(error).__name__}"
