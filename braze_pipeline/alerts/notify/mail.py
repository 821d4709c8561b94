"""Notifications as e-mail, with smtplib."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate

from braze_pipeline.alerts.notify.channel import TIMEOUT_SECONDS, ChannelProblem, tls_context
from braze_pipeline.alerts.notify.text import Notification

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_PREFIX = "BRAZE_PIPELINE_SMTP_"


def send(notification: Notification, environ: Mapping[str, str]) -> str | None:
    """Send a message to the configured recipients.

    Returns:
        What is wrong if the server took the mail for some of them only.

    Raises:
        ChannelProblem: the variables contradict each other, or the server refused the message.
    """
    mail = _mail(notification, environ)
    user, password = _get(environ, "USER"), environ.get(f"{_PREFIX}PASSWORD", "")
    try:
        server = _connection(environ, secret=bool(user))
        try:
            if user:
                server.login(user, password)
            refused = len(server.send_message(mail))
        finally:
            # Whatever the server answers to this, it has taken the mail or not.
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()
    except smtplib.SMTPResponseException as error:
        # The server's text may repeat addresses; its code is enough.
        raise ChannelProblem(f"The mail server answered {error.smtp_code}.") from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        # smtplib reports a timeout as a lost connection.
        kind = type(error.__context__ if isinstance(error.__context__, TimeoutError) else error)
        raise ChannelProblem(f"The mail could not be sent ({kind.__name__}).") from None
    return f"recipients refused by the mail server: {refused}" if refused else None


def _connection(environ: Mapping[str, str], *, secret: bool) -> smtplib.SMTP:
    host = _get(environ, "HOST")
    security = _get(environ, "SECURITY").lower() or "starttls"
    if security not in _PORTS:
        raise ChannelProblem(f"{_PREFIX}SECURITY must be starttls, tls or none.")
    if security == "none" and secret:
        raise ChannelProblem(f"{_PREFIX}SECURITY is none: the password would be sent unencrypted.")
    port = _get(environ, "PORT") or str(_PORTS[security])
    if not port.isdigit():
        raise ChannelProblem(f"{_PREFIX}PORT is not a number.")
    if security == "tls":
        context = tls_context()
        return smtplib.SMTP_SSL(host, int(port), timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(host, int(port), timeout=TIMEOUT_SECONDS)
    if security == "starttls":
        try:
            server.starttls(context=tls_context())
        except smtplib.SMTPNotSupportedError:
            server.close()
            raise ChannelProblem(
                f"The mail server offers no STARTTLS on port {port}. Set {_PREFIX}SECURITY to tls, "
                "or, if it takes mail without encryption and password, to none; or correct "
                f"{_PREFIX}PORT."
            ) from None
        except BaseException:
            server.close()
            raise
    return server


def _mail(notification: Notification, environ: Mapping[str, str]) -> EmailMessage:
    recipients = [one.strip() for one in _get(environ, "TO").split(",") if one.strip()]
    if not recipients:
        raise ChannelProblem(f"{_PREFIX}TO names no recipient.")
    mail = EmailMessage()
    mail["Subject"] = notification.subject
    mail["From"] = _get(environ, "FROM") or recipients[0]
    mail["To"] = ", ".join(recipients)
    mail["Date"] = formatdate()
    # The same for each attempt: a mail program drops a second copy.
    mail["Message-ID"] = f"<{notification.identity}@braze-pipeline.invalid>"
    mail.set_content("\n".join(notification.lines))
    return mail


def _get(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"{_PREFIX}{name}", "").strip()
