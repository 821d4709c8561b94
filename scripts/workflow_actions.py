"""Writes the last section of docs/workflow-actions.md: ``python -m scripts.workflow_actions``.

The classes and their steps are in ``braze_pipeline/alerts/resolutions.yaml``. The part of the page
before them is written by hand.
"""

from __future__ import annotations

from pathlib import Path

from braze_pipeline.alerts import resolutions

PAGE = Path(__file__).parents[1] / "docs" / "workflow-actions.md"
HEADING = "## The classes\n"


def page() -> str:
    """The page as it should be."""
    by_hand, _, _ = PAGE.read_text(encoding="utf-8").partition(HEADING)
    parts = [by_hand + HEADING]
    for action, resolution in resolutions().items():
        known = resolution.section
        section = f' Known as the workflow action "{known}".' if known else ""
        steps = [f"{number}. {step}" for number, step in enumerate(resolution.steps, start=1)]
        parts += [
            f"### {resolution.title}\n",
            f"`{action}`. {resolution.meaning}{section}\n",
            "\n".join(steps) + "\n",
        ]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
