from __future__ import annotations

from pathlib import Path

from braze_pipeline.core.actions import RESOLUTIONS

PAGE = Path(__file__).parents[4] / "docs" / "workflow-actions.md"


def listed() -> str:
    """The last section of the page, as the table of classes has it."""
    parts = []
    for action, resolution in RESOLUTIONS.items():
        known = resolution.section
        known = f' Known as the workflow action "{known}".' if known else ""
        steps = [f"{number}. {step}" for number, step in enumerate(resolution.steps, start=1)]
        parts.append(
            "\n".join([f"### {resolution.title}", "", f"`{action}`. {resolution.meaning}{known}"])
        )
        parts.append("\n".join(steps))
    return "\n\n".join(parts) + "\n"


def test_the_page_lists_every_class_with_its_steps_as_the_code_has_them() -> None:
    # Where this fails, put the text of listed() under "## The classes".
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## The classes\n\n")
    assert section == listed()
