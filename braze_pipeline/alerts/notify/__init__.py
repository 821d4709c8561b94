"""Notifies people about workflow actions over Slack, a webhook and e-mail; each is optional.

What belongs here: what a message says, the channels, and delivering what the outbox holds. Every
address and password comes from the environment and appears in no log, error or database.

==================================  =============================================================
Variable                            Meaning
==================================  =============================================================
BRAZE_PIPELINE_SLACK_WEBHOOK        URL of a Slack incoming webhook (a secret)
BRAZE_PIPELINE_WEBHOOK              URL that gets each message as JSON by POST (may have a token)
BRAZE_PIPELINE_SMTP_HOST            mail server; e-mail is on when it is set
BRAZE_PIPELINE_SMTP_PORT            its port (default 587; 465 for ``tls``; 25 for ``none``)
BRAZE_PIPELINE_SMTP_SECURITY        ``starttls`` (default), ``tls``, or ``none``
BRAZE_PIPELINE_SMTP_USER            user name, if the server needs one
BRAZE_PIPELINE_SMTP_PASSWORD        its password (a secret)
BRAZE_PIPELINE_SMTP_FROM            sender (default: the first of SMTP_TO)
BRAZE_PIPELINE_SMTP_TO              recipients, separated by commas; needed
BRAZE_PIPELINE_UI_URL               address of Dagster's UI, for links to runs
==================================  =============================================================
"""

from braze_pipeline.alerts.notify.channel import Channel, ChannelProblem
from braze_pipeline.alerts.notify.configured import channels_from
from braze_pipeline.alerts.notify.outbox_delivery import deliver
from braze_pipeline.alerts.notify.text import Notification, compose

__all__ = ["Channel", "ChannelProblem", "Notification", "channels_from", "compose", "deliver"]
