"""Workflow actions: what needs a person, with the steps that resolve it.

What belongs here: the store of actions and notifications, the classes with their steps, and what
a run did and did not send. What does not: Dagster, and the network.
"""

from braze_pipeline.alerts.action_classes import Resolution
from braze_pipeline.alerts.action_store import Action, ActionStore, Incident, RecordResult
from braze_pipeline.alerts.delivery_status import (
    NOTHING_SENT,
    DeliveryStatus,
    delivery_status_of,
    ever_acknowledged,
    plan_of_run,
)
from braze_pipeline.alerts.outbox import Message, Outbox
from braze_pipeline.alerts.resolutions import resolution_of, resolutions

__all__ = [
    "NOTHING_SENT",
    "Action",
    "ActionStore",
    "DeliveryStatus",
    "Incident",
    "Message",
    "Outbox",
    "RecordResult",
    "Resolution",
    "delivery_status_of",
    "ever_acknowledged",
    "plan_of_run",
    "resolution_of",
    "resolutions",
]
