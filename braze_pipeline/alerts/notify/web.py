"""Notifications as HTTP POSTs: Slack's incoming webhooks, and webhooks in general.

With urllib and not requests: urllib3 logs the path of a request at DEBUG, and the path of a Slack
webhook is its secret.
"""

from __future__ import annotations

import html
import json
import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPException
from typing import IO
from urllib.parse import urlsplit

from braze_pipeline.alerts.notify.channel import TIMEOUT_SECONDS, ChannelProblem, tls_context
from braze_pipeline.alerts.notify.text import Notification
from braze_pipeline.braze.instances import is_unencrypted

_OK = range(200, 300)
_SLACK_LIMIT = 3000


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the message to an address that nobody configured."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        """Follow none."""


def post(url: str, body: object) -> None:
    """POST a body as JSON. TLS is verified; proxies come from the usual variables.

    Raises:
        ChannelProblem: the address is not usable, cannot be reached, or did not answer with 2xx.
    """
    _check(url)
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        url,
        data=json.dumps(body, ensure_ascii=False).encode("utf-8"),
        headers={"Content-Type": "application/json; charset=utf-8"},
        method="POST",
    )
    try:
        secure = urllib.request.HTTPSHandler(context=tls_context())
        opener = urllib.request.build_opener(_NoRedirects, secure)
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        error.close()
        status = error.code
    except (OSError, HTTPException, ValueError) as error:
        # Its text may contain the address, which is a secret; its type is enough.
        reason = getattr(error, "reason", None)
        kind = type(reason if isinstance(reason, BaseException) else error).__name__
        raise ChannelProblem(f"It could not be reached ({kind}).") from None
    if status not in _OK:
        raise ChannelProblem(f"It answered with status {status}.")


def slack_body(notification: Notification) -> dict[str, object]:
    """A message in Slack's format (Slack docs, "Sending messages using incoming webhooks")."""
    text = "\n".join((f"*{notification.subject}*", *notification.lines))
    return {"text": html.escape(text[:_SLACK_LIMIT], quote=False)}


def _check(url: str) -> None:
    try:
        split = urlsplit(url)
        host = split.hostname
    except ValueError:
        raise ChannelProblem("Its address is not a URL.") from None
    if split.scheme not in {"http", "https"} or not host:
        raise ChannelProblem("Its address is not an https URL.")
    if is_unencrypted(url):
        raise ChannelProblem("Its address uses plain http; use https.")
