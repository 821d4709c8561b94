"""The view of all rejections, and that a day of it costs one day."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import braze_pipeline

IN_ALL_OF_HISTORY = re.compile(
    r"(\{profiles\}|records\.rejections)\s[^;]{0,200}?(as_of IN \((SELECT|FROM)|list_contains)"
)


@pytest.mark.parametrize("suffix", [".py", ".sql"])
def test_days_of_a_view_are_named_so_that_duckdb_reads_no_others(suffix: str) -> None:
    found = [
        (file.name, match[0])
        for file in Path(braze_pipeline.__file__).parent.rglob(f"*{suffix}")
        for match in IN_ALL_OF_HISTORY.finditer(file.read_text(encoding="utf-8"))
    ]
    assert not found
