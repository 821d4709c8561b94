"""Workflow actions: failures that need a person, with the steps that resolve them.

What belongs here: the store of actions, their classes with the steps, what a run sent and did not
send, runs that went well, and notifications. What does not: Dagster.
"""

from braze_pipeline.alerts.action_store import Action, ActionStore, Incident, RecordResult
from braze_pipeline.alerts.delivery_status import (
    NOTHING_SENT,
    DeliveryStatus,
    delivery_status_of,
    ever_acknowledged,
    plan_of_run,
)
from braze_pipeline.alerts.outbox import Message, Outbox
from braze_pipeline.alerts.resolutions import Resolution, resolution_of, resolutions
from braze_pipeline.alerts.success import Success, report_success

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
    "Success",
    "delivery_status_of",
    "ever_acknowledged",
    "plan_of_run",
    "report_success",
    "resolution_of",
    "resolutions",
]
