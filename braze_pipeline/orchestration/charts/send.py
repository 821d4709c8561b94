"""The send: its outcomes, how fast it was, and how long Braze took to answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from braze_pipeline.orchestration.charts.svg import (
    BLUE,
    EDGE,
    GREY,
    ORANGE,
    WIDTH,
    Chart,
    first_that_fits,
    length,
    short,
)
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.send import SendResult

_ROOM: Final = WIDTH - 2 * EDGE
_SHORTEST: Final = 1e-9


def send(result: SendResult) -> str:
    """Outcomes of all sends of the plan, throughput and latency of this one, as Markdown."""
    return first_that_fits(
        _chart(result, rates(_thinned(result.timeline, points))) for points in (60, 40, 30, 20, 10)
    )


def _chart(r: SendResult, spans: Sequence[tuple[float, float, float]]) -> str:
    drawn = r.requests > 0 and len(spans) > 1
    chart = Chart("Send", (138 if drawn else 92) if r.requests else 52)
    outcomes = (
        (r.accepted_users, "accepted", BLUE, 0),
        (r.rejected_users, "rejected", ORANGE, 110),
        (r.not_attempted_users, "not attempted", GREY, 204),
    )
    planned = sum(count for count, *_ in outcomes)
    x = float(EDGE)
    for count, name, colour, left in outcomes:
        wide = min(length(count, planned, _ROOM), EDGE + _ROOM - x)
        chart.bars([(x, 12, wide, 10), (EDGE + left, 31, 8, 8)], colour)
        x += wide
        chart.text(EDGE + left + 12, 39, f"{short(count)} {name}")
    if not planned:
        chart.text(EDGE, 20, "Nothing to send.")
    if drawn:
        end, peak = spans[-1][1], max(rate for _, _, rate in spans)
        steps = "".join(
            f"V{96 - rate / max(peak, _SHORTEST) * 42:.0f}H{EDGE + stop / end * _ROOM:.0f}"
            for _, stop, rate in spans
        )
        chart.path(f"M{EDGE} 96{steps}V96z", BLUE)
    if r.requests:
        line = 113 if drawn else 62
        pace = r.users_sent / max(r.seconds, _SHORTEST)
        speed = f"{pace:,.0f}" if pace >= 10 else f"{pace:.1f}"
        throughput = (
            f"{counted(r.users_sent, 'user')} in {_duration(r.seconds)}, {speed} users per second"
        )
        chart.text(EDGE, line, throughput)
        half, most = _duration(r.latency_p50), _duration(r.latency_p99)
        chart.text(EDGE, line + 17, f"Answers: half in {half}, 99 % in {most}")
    return chart.markdown()


def _thinned(timeline: Sequence[tuple[float, int]], points: int) -> list[tuple[float, int]]:
    """At most so many points, and the last one."""
    every = -(-len(timeline) // points)
    return [*timeline[every - 1 :: every], *timeline[-1:]] if timeline else []


def rates(timeline: Sequence[tuple[float, int]]) -> list[tuple[float, float, float]]:
    """Start, end and users per second of each stretch of a timeline that begins at zero."""
    spans = []
    before, answered = 0.0, 0
    for moment, users in timeline:
        if moment - before >= _SHORTEST:
            spans.append((before, moment, max(0, users - answered) / (moment - before)))
            before, answered = moment, users
    return spans


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{_digits(seconds * 1000)} ms"
    if seconds < 120:
        return f"{_digits(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s"


def _digits(value: float) -> str:
    """About three digits."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
