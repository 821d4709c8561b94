"""The open workflow actions as an asset of their own, so that the UI shows them.

Its latest materialization is what is open now. The sensor reports a new one when that changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from braze_pipeline.alerts import Action
from braze_pipeline.alerts.notify.text import days_text
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.metadata import table
from braze_pipeline.settings import TemplateSettings

_SHOWN = 20
"""Actions in the UI, the newest first; `braze-pipeline actions` shows all."""


def actions_spec(templates: Sequence[TemplateSettings]) -> dg.AssetSpec:
    """The asset of a destination's actions."""
    t = templates[0]
    return dg.AssetSpec(
        TemplateKeys.of(t).actions,
        group_name=t.destination.name,
        owners=list(t.owners),
        kinds={"sqlite"},
        description=(
            "What needs a person now: the cause, what was sent, and the steps that resolve it. "
            "Also shown by `braze-pipeline actions`."
        ),
    )


def fingerprint(actions: Sequence[Action]) -> str:
    """Equal for the same open actions, each met as often as before."""
    return ",".join(f"{one.number}x{one.count}" for one in actions)


def report_actions(
    instance: dg.DagsterInstance,
    templates: Sequence[TemplateSettings],
    actions: Sequence[Action],
    *,
    facts: Mapping[str, Mapping[str, str]],
    ui: str | None,
) -> None:
    """Materialize the asset with the open actions.

    Args:
        instance: Dagster's.
        templates: Of the destination.
        actions: Its open actions, oldest first.
        facts: By template, what the steps of an action mention.
        ui: The address of the UI, if known.
    """
    newest = list(reversed(actions))[:_SHOWN]
    metadata: dict[str, Any] = {
        "open actions": len(actions),
        "actions": table(
            ("number", "class", "template", "as of", "times", "last run"),
            [
                (
                    one.number,
                    one.resolution.title,
                    one.template,
                    days_text(one.days),
                    one.count,
                    _run(one, ui),
                )
                for one in newest
            ],
        ),
    }
    for one in newest:
        metadata[f"action {one.number}"] = dg.MetadataValue.md(
            _resolution(one, facts.get(one.template, {}), ui)
        )
    key = TemplateKeys.of(templates[0]).actions
    number = f"{len(actions):,}" if actions else "No"
    open_now = f"{number} open workflow action{'' if len(actions) == 1 else 's'}."
    instance.report_runless_asset_event(
        dg.AssetMaterialization(key, description=open_now, metadata=metadata)
    )


def _resolution(action: Action, facts: Mapping[str, str], ui: str | None) -> str:
    """Cause, run and steps, as Markdown."""
    lines = [f"**{action.resolution.title}**: {action.what} {action.fix}".strip()]
    if action.sent:
        lines.append(action.sent.sentence())
    lines.append("\n".join(f"{n}. {step}" for n, step in enumerate(action.steps(facts), start=1)))
    return "\n\n".join([*lines, f"Run: {_run(action, ui)}"])


def _run(action: Action, ui: str | None) -> str:
    """A link to the run; without the UI's address, from the page it is shown on."""
    if action.run_id is None:
        return "none"
    return f"[{action.run_id[:8]}]({ui or ''}/runs/{action.run_id})"
