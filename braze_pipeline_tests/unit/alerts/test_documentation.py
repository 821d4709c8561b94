from __future__ import annotations

from scripts.workflow_actions import PAGE, page


def test_the_page_lists_every_class_with_its_steps_as_they_are() -> None:
    # Where this fails: python -m scripts.workflow_actions
    assert PAGE.read_text(encoding="utf-8") == page()
