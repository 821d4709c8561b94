"""The plan's cost by attribute, the most expensive first, compared with a full resend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from braze_pipeline.orchestration.charts.svg import (
    BLUE,
    EDGE,
    WIDTH,
    Chart,
    first_that_fits,
    fit,
    length,
    share,
    short,
)

if TYPE_CHECKING:
    from braze_pipeline.plan.forecast import AttributeCost

_MAX_BARS: Final = 8
_ROW: Final = 20
_ROOM: Final = 90
_TEXT: Final = EDGE + _ROOM + 8

Bar = tuple[int, int, str]
"""What is sent now, what a full resend would be, and the attribute's name."""


def cost(costs: Sequence[AttributeCost], *, points: bool) -> str:
    """The most expensive attributes, as many as the UI shows without a click, as Markdown.

    Args:
        costs: The attributes, in any order.
        points: Whether to count data points; users, where the contract has no data points.
    """
    bars = [
        (c.data_points, c.full_data_points, c.name) if points else (c.users, c.full_users, c.name)
        for c in costs
    ]
    now, full = sum(bar[0] for bar in bars), sum(bar[1] for bar in bars)
    unit = "data points" if points else "users"
    headline = f"{now:,} {unit}, {share(now, full)} of a full resend"
    sent = sorted((bar for bar in bars if bar[0]), key=lambda bar: (-bar[0], -bar[1], bar[2]))
    return first_that_fits(
        _chart(headline, sent[:rows], more=len(sent) - rows)
        for rows in range(min(_MAX_BARS, len(sent)), -1, -1)
    )


def _chart(headline: str, bars: Sequence[Bar], *, more: int) -> str:
    chart = Chart("Cost by attribute", 38 + _ROW * (len(bars) + (more > 0)))
    chart.text(EDGE, 22, headline)
    most = max((max(now, full) for now, full, _ in bars), default=0)
    top = 33
    drawn = []
    for now, full, name in bars:
        drawn.append((EDGE, top, length(now, most, _ROOM), 13))
        chart.text(_TEXT, top + 11, fit(f"{short(now)} of {short(full)} {name}", WIDTH - _TEXT))
        top += _ROW
    chart.bars(drawn, BLUE)
    if more:
        chart.text(_TEXT, top + 11, f"and {more:,} more attributes")
    return chart.markdown()
