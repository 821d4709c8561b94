"""A way to notify people, and the error that all of them share."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from braze_pipeline.alerts.notify.text import Notification
from braze_pipeline.braze.certificates import bundle

TIMEOUT_SECONDS = 10.0


class ChannelProblem(Exception):
    """A message could not be delivered. The text names the cause, never an address or secret."""


def tls_context() -> ssl.SSLContext:
    """Verifies; trusts what the system trusts, and what REQUESTS_CA_BUNDLE names, as for Braze.

    One that cannot be used stops the run: the message about that must get out.
    """
    context = ssl.create_default_context()
    if found := bundle():
        with suppress(OSError):
            context.load_verify_locations(**found)
    return context


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
