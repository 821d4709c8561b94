"""The text and data of a notification: the same facts for every channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from braze_pipeline.alerts import Action, Message

UI_VARIABLE = "BRAZE_PIPELINE_UI_URL"

_HEADLINES = {
    "opened": "needs attention",
    "persists": "persists",
    "recovered": "resolved",
}


@dataclass(frozen=True, kw_only=True)
class Notification:
    """A notification in words and as data.

    Attributes:
        subject: One line.
        lines: What follows it.
        data: The same for machines; JSON-ready.
    """

    subject: str
    lines: tuple[str, ...]
    data: dict[str, object]


def run_link(run_id: str | None, ui: str | None) -> str | None:
    """The address of a run in the UI; its short id if the UI's address is not known."""
    if run_id is None:
        return None
    return f"{ui.rstrip('/')}/runs/{run_id}" if ui else f"run {run_id[:8]}"


def days_text(days: tuple[str, str] | None) -> str | None:
    """As-of dates in words."""
    if days is None:
        return None
    return days[0] if days[0] == days[1] else f"{days[0]} to {days[1]}"


def compose(
    message: Message, *, facts: Mapping[str, str], ui: str | None, page: str = ""
) -> Notification:
    """The notification for a message.

    Args:
        message: The action, and what happened to it.
        facts: Values for placeholders in its steps: ``config``, ``sql``, ``api_key_env``.
        ui: The address of Dagster's UI, if known.
        page: The path of its page with the open actions.
    """
    action = message.action
    resolution = action.resolution
    steps = action.steps(facts)
    recovered = message.event == "recovered"
    where = f"{action.destination} / {action.template}"
    subject = (
        f"[{where}] Workflow action {action.number} {_HEADLINES[message.event]}: {resolution.title}"
    )
    link = run_link(action.run_id, ui)
    lines = [action.how or "The cause is gone."] if recovered else _failure_lines(action, steps)
    if link:
        lines.append(f"Run: {link}")
    open_actions = f"{ui.rstrip('/')}/{page}" if ui and page else None
    if open_actions:
        lines.append(f"Open actions: {open_actions}")
    return Notification(
        subject=subject,
        lines=tuple(lines),
        data={
            "id": f"{message.message}",
            "event": f"action.{message.event}",
            "created_at": message.created_at,
            "actions_url": open_actions,
            "action": as_data(action, steps=() if recovered else steps, ui=ui),
        },
    )


def as_data(action: Action, *, steps: tuple[str, ...], ui: str | None) -> dict[str, object]:
    """An action as data: the output of the webhook and of ``actions --json``."""
    sent = action.sent
    return {
        "number": action.number,
        "class": action.action,
        "title": action.resolution.title,
        "what": action.what,
        "fix": action.fix,
        "steps": list(steps),
        "destination": action.destination,
        "template": action.template,
        "days": list(action.days) if action.days else None,
        "sent": asdict(sent) | {"not_attempted": sent.not_attempted} if sent else None,
        "run_id": action.run_id,
        "run_url": run_link(action.run_id, ui) if ui else None,
        "count": action.count,
        "first_seen": action.first_seen,
        "last_seen": action.last_seen,
        "resolved_at": action.resolved_at,
        "how": action.how,
    }


def _failure_lines(action: Action, steps: tuple[str, ...]) -> list[str]:
    facts = {
        "What happened": action.what,
        "What to do": action.fix,
        "As of": days_text(action.days),
        "Sent": action.sent.sentence() if action.sent else None,
    }
    lines = [f"{name}: {text}" for name, text in facts.items() if text]
    return [*lines, "Steps:", *(f"{n}. {step}" for n, step in enumerate(steps, start=1))]
