"""The channels that the environment names, and the one error they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from braze_pipeline.alerts.notify.text import Told

TIMEOUT_SECONDS = 10.0


class ChannelProblem(Exception):
    """A message could not be delivered. The text names the cause, never an address or secret."""


@dataclass(frozen=True)
class Channel:
    """One way to tell people.

    Attributes:
        name: ``slack``, ``webhook`` or ``mail``.
        send: Delivers one message; raises ChannelProblem when it could not.
    """

    name: str
    send: Callable[[Told], None]

    def __repr__(self) -> str:
        """The name alone: ``send`` holds the address."""
        return f"Channel({self.name})"


def channels_from(environ: Mapping[str, str]) -> tuple[Channel, ...]:
    """The channels that are configured; none is fine.

    A channel whose variables contradict each other is there too, and says so at each attempt:
    a mistake in a notification must not keep the code location from loading.
    """
    from braze_pipeline.alerts.notify import mail, web

    found = []
    slack = environ.get("BRAZE_PIPELINE_SLACK_WEBHOOK", "").strip()
    if slack:
        found.append(Channel("slack", lambda told: web.post(slack, web.slack_body(told))))
    hook = environ.get("BRAZE_PIPELINE_WEBHOOK", "").strip()
    if hook:
        found.append(Channel("webhook", lambda told: web.post(hook, told.data)))
    if environ.get("BRAZE_PIPELINE_SMTP_HOST", "").strip():
        found.append(Channel("mail", lambda told: mail.send(told, environ)))
    return tuple(found)
