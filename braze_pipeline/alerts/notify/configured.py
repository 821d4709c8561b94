"""The channels that the environment names."""

from __future__ import annotations

from collections.abc import Mapping

from braze_pipeline.alerts.notify import mail, web
from braze_pipeline.alerts.notify.channel import Channel


def channels_from(environ: Mapping[str, str]) -> tuple[Channel, ...]:
    """The channels that are configured; none is fine.

    A channel whose variables contradict each other is there too, and says so at each attempt:
    a mistake in a notification must not keep the code location from loading.
    """
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
