"""The channels that the environment configures."""

from __future__ import annotations

from collections.abc import Mapping

from braze_pipeline.alerts.notify import mail, web
from braze_pipeline.alerts.notify.channel import Channel


def channels_from(environ: Mapping[str, str]) -> tuple[Channel, ...]:
    """The configured channels; there may be none.

    A channel with contradictory variables is included and fails at each attempt: a mistake in a
    notification must not prevent the code location from loading.
    """
    channels = []
    slack = environ.get("BRAZE_PIPELINE_SLACK_WEBHOOK", "").strip()
    if slack:
        channels.append(Channel("slack", lambda news: web.post(slack, web.slack_body(news))))
    hook = environ.get("BRAZE_PIPELINE_WEBHOOK", "").strip()
    if hook:
        channels.append(Channel("webhook", lambda news: web.post(hook, news.data)))
    if environ.get("BRAZE_PIPELINE_SMTP_HOST", "").strip():
        channels.append(Channel("mail", lambda news: mail.send(news, environ)))
    return tuple(channels)
