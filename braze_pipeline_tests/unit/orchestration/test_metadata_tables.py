"""Small tables of the UI, which are Markdown."""

from __future__ import annotations

import pytest

from braze_pipeline.orchestration.metadata import table


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("*VIP*", r"\*VIP\*"),
        ("<script>", r"\<script>"),
        ("`{0}`", r"\`{0}\`"),
        ("~~old~~", r"\~\~old\~\~"),
        ("_tier_", r"\_tier\_"),
        ("__VIP__", r"\_\_VIP\_\_"),
        ("R&lt;D", r"R\&lt;D"),
        ("loyalty_tier", "loyalty_tier"),
    ],
)
def test_a_name_of_any_form_is_shown_as_it_is_in_header_and_cells(name: str, written: str) -> None:
    lines = (table(("user", name), [("1", name)]).value or "").splitlines()
    assert lines == [f"| user | {written} |", "| --- | --- |", f"| 1 | {written} |"]
