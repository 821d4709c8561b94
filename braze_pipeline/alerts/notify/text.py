"""The text and data of a notification: the same facts for every channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from braze_pipeline.alerts import Action, Message, Success
from braze_pipeline.wording import counted

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
        identity: Of all attempts to deliver it, and of no other notification, also of other stores.
        subject: One line.
        lines: What follows it.
        data: The same for machines; JSON-ready.
    """

    identity: str
    subject: str
    lines: tuple[str, ...]
    data: dict[str, object]


def ui_address(environ: Mapping[str, str]) -> str | None:
    """The address of Dagster's UI, without a slash at its end; None if it is not known."""
    return environ.get(UI_VARIABLE, "").strip().rstrip("/") or None


def run_link(run_id: str | None, ui: str | None) -> str | None:
    """The address of a run in the UI; its short id if the UI's address is not known."""
    if run_id is None:
        return None
    return f"{ui}/runs/{run_id}" if ui else f"run {run_id[:8]}"


def _url(run_id: str | None, ui: str | None) -> str | None:
    return run_link(run_id, ui) if ui else None


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
        message: The action and what happened to it, or the run that went well.
        facts: Values for placeholders in its steps: ``config``, ``sql``, ``api_key_env``.
        ui: The address of Dagster's UI, if known.
        page: The path of its page with the open actions.
    """
    about = message.about
    open_actions = f"{ui}/{page}" if ui and page else None
    if isinstance(about, Success):
        kind, headline, lines = "run", _succeeded(about), _success_lines(about)
        data: dict[str, object] = {**asdict(about), "run_url": _url(about.run_id, ui)}
    else:
        kind, steps = "action", about.steps(facts)
        headline = (
            f"Workflow action {about.number} {_HEADLINES[message.event]}: {about.resolution.title}"
        )
        if message.event == "recovered":
            steps, lines = (), [about.how or "The cause is gone."]
        else:
            lines = _failure_lines(about, steps)
        data = as_data(about, steps=steps, ui=ui)
    links = {"Run": run_link(about.run_id, ui), "Open actions": open_actions}
    return Notification(
        identity=f"{message.message}.{message.created_at.replace(':', '')}",
        subject=f"[{about.destination} / {about.template}] {headline}",
        lines=(*lines, *(f"{name}: {link}" for name, link in links.items() if link)),
        data={
            "id": f"{message.message}",
            "event": f"{kind}.{message.event}",
            "created_at": message.created_at,
            "actions_url": open_actions,
            kind: data,
        },
    )


def _succeeded(run: Success) -> str:
    days = days_text((run.first_day, run.last_day))
    return f"Run as of {days} succeeded: {counted(run.accepted, 'user')} accepted"


def _success_lines(run: Success) -> list[str]:
    lines = [
        f"Users: {run.accepted:,} accepted, {run.rejected:,} rejected, {run.unchanged:,} unchanged",
        f"Attributes accepted: {run.attributes:,}",
        f"Data points of the plan: {run.data_points:,}",
    ]
    if run.warnings:
        lines.append(f"Checks with a warning: {run.warnings}")
    if run.open_actions:
        lines.append(f"Workflow actions that are still open: {run.open_actions:,}")
    return lines


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
        "run_url": _url(action.run_id, ui),
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
