"""The backtest of a fit: customers in ten tenths by predicted value, and what each tenth spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from braze_pipeline.orchestration.charts.svg import (
    BLUE,
    EDGE,
    GREY,
    WIDTH,
    Chart,
    first_that_fits,
    share,
    short,
)

Tenths = Sequence[tuple[float, float]]
"""Mean predicted and mean actual value of each tenth, the highest predicted first."""

_TOP: Final = 44
_HIGH: Final = 84
_BASE: Final = _TOP + _HIGH


def lift(tenths: Tenths) -> str:
    """What each tenth spent, as a multiple of the mean, as Markdown."""
    mean = sum(actual for _, actual in tenths) / len(tenths)
    times = [actual / mean if mean else 0.0 for _, actual in tenths]
    chart = Chart("Lift by tenth", _BASE + 22)
    top = share(tenths[0][1], sum(actual for _, actual in tenths))
    chart.text(EDGE, 20, f"The top tenth by prediction spent {top} of all")
    scale = _HIGH / max(1.0, *times)
    room = (WIDTH - 2 * EDGE) / len(times)
    chart.bars(
        [
            (EDGE + k * room, _BASE - max(0.0, one) * scale, room * 0.7, max(0.0, one) * scale)
            for k, one in enumerate(times)
        ],
        BLUE,
    )
    # Customers chosen at random spend the mean.
    chart.bars([(EDGE, _BASE - scale, WIDTH - 2 * EDGE, 1)], GREY)
    chart.text(EDGE, _TOP - 8, f"{times[0]:.1f} times the mean")
    chart.text(EDGE, _BASE + 15, "highest prediction")
    chart.text(WIDTH - EDGE - 92, _BASE + 15, "lowest prediction")
    return chart.markdown()


def calibration(tenths: Tenths) -> str:
    """What was predicted for each tenth beside what it spent, as Markdown."""
    return first_that_fits(_calibration(tenths[:count]) for count in (10, 8, 6, 5))


def _calibration(tenths: Tenths) -> str:
    chart = Chart("Calibration by tenth", 42 + 18 * len(tenths))
    chart.text(EDGE + 12, 20, "predicted")
    chart.text(EDGE + 92, 20, "spent, on average")
    most = max(1e-9, *(max(pair) for pair in tenths))
    room = WIDTH - 2 * EDGE - 90
    for of, colour, mark in ((0, GREY, EDGE), (1, BLUE, EDGE + 80)):
        bars = [
            (EDGE, 32 + 18 * k + 7 * of, max(0.0, pair[of]) / most * room, 6)
            for k, pair in enumerate(tenths)
        ]
        chart.bars([(mark, 12, 8, 8), *bars], colour)
    predicted, actual = (short(round(value)) for value in tenths[0])
    chart.text(WIDTH - EDGE - 82, 40, f"{predicted}, {actual}")
    return chart.markdown()
