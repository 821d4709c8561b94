"""A way to notify people, and the error that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from braze_pipeline.alerts.notify.text import Notification

TIMEOUT_SECONDS = 10.0


class ChannelProblem(Exception):
    """A message could not be delivered. The text names the cause, never an address or secret."""


@dataclass(frozen=True)
class Channel:
    """A way to notify people.

    Attributes:
        name: ``slack``, ``webhook`` or ``mail``.
        send: Delivers one message, and returns what went wrong if not everybody gets it; raises
            ChannelProblem if nobody does.
    """

    name: str
    send: Callable[[Notification], str | None]

    def __repr__(self) -> str:
        """The name alone: ``send`` contains the address."""
        return f"Channel({self.name})"
