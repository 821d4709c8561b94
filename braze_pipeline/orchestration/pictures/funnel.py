"""The audience as a funnel: customers, and who is left after each rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from braze_pipeline.orchestration.pictures.card import length, number, share
from braze_pipeline.orchestration.pictures.sketch import BLUE, Sketch, short

_ROW: Final = 34
_BAR: Final = 22
_TOP: Final = 14
_MIDDLE: Final = 142
_WIDEST: Final = 100
_TOLD: Final = 204
_LARGE: Final = 10_000_000
"""From here on exact counts would not fit on a line; they stand beside the picture anyway."""


def funnel(*, customers: int, left_out: Mapping[str, int]) -> str:
    """The funnel, as Markdown.

    Args:
        customers: All customers of the day.
        left_out: Rule to the customers it excluded first, in the order in which rules are asked.
    """
    sketch = Sketch("Audience funnel", len(left_out) * _ROW + _BAR + 2 * _TOP)
    left = customers
    steps = [left]
    shown = "{:,}".format if customers < _LARGE else short
    _step(sketch, 0, "Customers", f"{customers:,}")
    for row, (rule, count) in enumerate(left_out.items(), start=1):
        left -= count
        steps.append(left)
        told = f"{shown(left)} · {share(left, customers)} · left out {shown(count)}"
        _step(sketch, row, _named(rule), told)
    if customers:
        sketch.path(_silhouette([length(step, customers, _WIDEST) / 2 for step in steps]), BLUE)
    return sketch.markdown()


def _step(sketch: Sketch, row: int, name: str, told: str) -> None:
    line = _TOP + row * _ROW + 15
    sketch.text(12, line, name)
    sketch.text(_TOLD, line, told)


def _silhouette(halves: list[float]) -> str:
    """All bars and the slopes between them, down the right side and up the left."""
    tops = [_TOP + row * _ROW for row in range(len(halves))]
    right = "L".join(
        f"{number(_MIDDLE + half)} {top}v{_BAR}" for half, top in zip(halves, tops, strict=True)
    )
    left = "L".join(
        f"{number(_MIDDLE - half)} {top + _BAR}v-{_BAR}"
        for half, top in zip(reversed(halves), reversed(tops), strict=True)
    )
    return f"M{right}L{left}z"


def _named(rule: str) -> str:
    words = rule.replace("_", " ")
    return words[:1].upper() + words[1:]
