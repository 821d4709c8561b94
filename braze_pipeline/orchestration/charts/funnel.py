"""The audience as a funnel: all customers, and how many are left after each rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from braze_pipeline.orchestration.charts.svg import BLUE, EDGE, Chart, length, number, share, short

_ROW: Final = 34
_BAR: Final = 22
_TOP: Final = 14
_MIDDLE: Final = 118
_WIDEST: Final = 68
_NUMBERS: Final = 160
_LARGE: Final = 100_000
"""From here on exact counts would not fit on a line; the metadata has them anyway."""


def funnel(*, customers: int, excluded: Mapping[str, int]) -> str:
    """The funnel, as Markdown.

    Args:
        customers: All customers of the day.
        excluded: By rule, the customers that it excluded first, in the order of the rules.
    """
    chart = Chart("Audience funnel", len(excluded) * _ROW + _BAR + 2 * _TOP)
    left = customers
    steps = [left]
    shown = "{:,}".format if customers < _LARGE else short
    _step(chart, 0, "Customers", f"{customers:,}")
    for row, (rule, count) in enumerate(excluded.items(), start=1):
        left -= count
        steps.append(left)
        numbers = f"{shown(left)} ({share(left, customers)}), excluded {shown(count)}"
        _step(chart, row, rule.replace("_", " ").capitalize(), numbers)
    if customers:
        chart.path(_silhouette([length(step, customers, _WIDEST) / 2 for step in steps]), BLUE)
    return chart.markdown()


def _step(chart: Chart, row: int, name: str, numbers: str) -> None:
    line = _TOP + row * _ROW + 15
    chart.text(EDGE, line, name)
    chart.text(_NUMBERS, line, numbers)


def _silhouette(halves: list[float]) -> str:
    """The outline of all bars and the slopes between them: down the right side, up the left."""
    tops = [_TOP + row * _ROW for row in range(len(halves))]
    right = "L".join(
        f"{number(_MIDDLE + half)} {top}v{_BAR}" for half, top in zip(halves, tops, strict=True)
    )
    left = "L".join(
        f"{number(_MIDDLE - half)} {top + _BAR}v-{_BAR}"
        for half, top in zip(reversed(halves), reversed(tops), strict=True)
    )
    return f"M{right}L{left}z"
