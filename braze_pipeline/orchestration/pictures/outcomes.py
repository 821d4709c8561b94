"""The send: what became of the planned users, how fast it went, how long Braze took to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from braze_pipeline.orchestration.pictures.card import EDGE, WIDTH, Card, Ink, length, share

MOST_REASONS: Final = 6
"""Reasons with a line of their own; the rest share one."""

_ROOM: Final = WIDTH - 2 * EDGE
_CHART: Final = 70
_SHORTEST: Final = 1e-9


@dataclass(frozen=True)
class Latencies:
    """How long so large a share of requests took at the most, in seconds."""

    p50: float
    p95: float
    p99: float


def outcomes_svg(
    *,
    accepted: int,
    rejected: int,
    not_attempted: int,
    reasons: Mapping[str, int],
    timeline: Sequence[tuple[float, int]],
    seconds: float,
    latencies: Latencies,
    stopped: str = "",
    subject: str = "",
) -> str:
    """Outcomes, throughput and latency on one card.

    Args:
        accepted: Users whose object Braze took, over all sends of the plan.
        rejected: Users whose object Braze refused.
        not_attempted: Users who have no answer yet.
        reasons: Braze's sentence, without values, to the users it refused with it.
        timeline: Seconds since the send began, and users answered until then.
        seconds: How long the send took.
        latencies: Of its requests; zeros where there were none.
        stopped: What ended it early, if something did.
        subject: What it is about, such as the as-of date.
    """
    card = Card("Send: outcomes, throughput and latency")
    card.text(EDGE, 26, "Send", ink="strong", size=14)
    card.text(WIDTH - EDGE, 26, subject, ink="muted", anchor="end", room=380)
    bottom = _outcomes(card, 44, accepted, rejected, not_attempted)
    bottom = _reasons(card, bottom, reasons)
    if stopped:
        card.text(EDGE, bottom + 20, f"Stopped early: {stopped}", ink="orange", room=_ROOM)
        bottom += 24
    if latencies.p99 > 0:
        bottom = _throughput(card, bottom + 16, timeline, seconds)
        bottom = _latency(card, bottom + 18, latencies)
    else:
        card.text(EDGE, bottom + 16, "No request was made.", ink="muted")
        bottom += 22
    return card.svg(bottom + EDGE - 4)


def _outcomes(card: Card, top: float, accepted: int, rejected: int, not_attempted: int) -> float:
    """One bar for all planned users, and a count for each part of it."""
    planned = accepted + rejected + not_attempted
    parts: tuple[tuple[str, int, Ink], ...] = (
        ("accepted", accepted, "blue"),
        ("rejected", rejected, "orange"),
        ("not attempted", not_attempted, "grey"),
    )
    card.bar(EDGE, top, _ROOM, 14, "line")
    x: float = EDGE
    for _, count, ink in parts:
        wide = min(length(count, planned, _ROOM), EDGE + _ROOM - x)
        card.bar(x, top, wide, 14, ink)
        x += wide
    for column, (name, count, ink) in enumerate(parts):
        left = EDGE + column * _ROOM / 3
        card.bar(left, top + 25, 10, 10, ink)
        card.text(left + 15, top + 34, f"{count:,}", ink="strong" if count else "muted", size=13)
        told = f"{name}, {share(count, planned)}" if planned else name
        card.text(left + 15, top + 50, told, ink="muted", size=11)
    return top + 56


def _reasons(card: Card, top: float, reasons: Mapping[str, int]) -> float:
    """Users by Braze's sentence, most frequent first."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) > MOST_REASONS:
        rest = ordered[MOST_REASONS - 1 :]
        other = (f"{len(rest):,} other reasons", sum(count for _, count in rest))
        ordered = [*ordered[: MOST_REASONS - 1], other]
    if not ordered:
        return top
    card.text(EDGE, top + 18, "Rejected because", ink="strong")
    top += 22
    for sentence, count in ordered:
        card.text(EDGE + 56, top + 14, f"{count:,}", ink="orange", size=11, anchor="end")
        card.text(EDGE + 64, top + 14, sentence, size=11, room=_ROOM - 64)
        top += 17
    return top


def _throughput(
    card: Card, top: float, timeline: Sequence[tuple[float, int]], seconds: float
) -> float:
    """Users answered a second, between each two points of the timeline."""
    spans = rates(timeline)
    users = timeline[-1][1] if timeline else 0
    mean = users / max(seconds, _SHORTEST)
    card.text(EDGE, top + 12, "Throughput", ink="strong")
    told = f"{users:,} users in {_duration(seconds)}, {_rate(mean)} users a second"
    card.text(WIDTH - EDGE, top + 12, told, ink="muted", size=11, anchor="end")
    if len(spans) < 2:
        return top + 16
    end, peak = max(end for _, end, _ in spans), max(rate for _, _, rate in spans)
    floor = top + 22 + _CHART
    outline: list[tuple[float, float]] = [(EDGE, floor)]
    for start, stop, rate in spans:
        height = floor - (rate / max(peak, _SHORTEST)) * _CHART
        outline += [(EDGE + moment / end * _ROOM, height) for moment in (start, stop)]
    card.shape([*outline, (EDGE + _ROOM, floor)], "blue")
    card.bar(EDGE, floor, _ROOM, 1, "line")
    card.text(EDGE, floor + 14, "0 s", ink="muted", size=11)
    highest = f"highest {_rate(peak)} users a second"
    card.text(WIDTH / 2, floor + 14, highest, ink="muted", size=11, anchor="middle")
    card.text(WIDTH - EDGE, floor + 14, _duration(end), ink="muted", size=11, anchor="end")
    return floor + 18


def rates(timeline: Sequence[tuple[float, int]]) -> list[tuple[float, float, float]]:
    """From, until and users a second of each stretch of a timeline, beginning at zero."""
    spans = []
    before, answered = 0.0, 0
    for moment, users in timeline:
        if moment > before:
            spans.append((before, moment, max(0, users - answered) / (moment - before)))
            before, answered = moment, users
    return spans


def _latency(card: Card, top: float, latencies: Latencies) -> float:
    card.text(EDGE, top + 12, "Braze's time to answer", ink="strong")
    top += 18
    for name, value in (
        ("half of requests", latencies.p50),
        ("95 of 100", latencies.p95),
        ("99 of 100", latencies.p99),
    ):
        card.text(EDGE, top + 13, f"{name} within", size=11)
        card.bar(EDGE + 144, top + 4, length(value, latencies.p99, 220), 10, "blue")
        told = _duration(value)
        card.text(WIDTH - EDGE, top + 13, told, ink="strong", size=11, anchor="end")
        top += 18
    return top


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{_digits(seconds * 1000)} ms"
    if seconds < 120:
        return f"{_digits(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _digits(value: float) -> str:
    """About three digits."""
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"
