"""The send: what became of the planned users, how fast it went, how long Braze took to answer.

Twice: the outcome and the pace in a sketch that is seen at once, with reasons and latency in full
on a card behind a click.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from braze_pipeline.orchestration.pictures.card import EDGE, WIDTH, Card, Ink, length, share
from braze_pipeline.orchestration.pictures.sketch import (
    BLUE,
    GREY,
    ORANGE,
    SHOWN_IN_PLACE,
    Sketch,
    short,
)

MOST_REASONS: Final = 6
"""Reasons with a line of their own; the rest share one."""

_ROOM: Final = WIDTH - 2 * EDGE
_CHART: Final = 70
_SHORTEST: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is shown of a send.

    Attributes:
        accepted: Users whose object Braze took, over all sends of the plan.
        rejected: Users whose object Braze refused.
        not_attempted: Users who have no answer yet.
        reasons: Braze's sentence, without values, to the users it refused with it.
        timeline: Seconds since the send began, and users answered until then.
        seconds: How long the send took.
        p50, p95, p99: How long so large a share of requests took at the most, in seconds; zeros
            where there was no request.
        stopped: What ended it early, if something did.
    """

    accepted: int
    rejected: int
    not_attempted: int
    reasons: Mapping[str, int]
    timeline: Sequence[tuple[float, int]]
    seconds: float
    p50: float
    p95: float
    p99: float
    stopped: str = ""

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """The planned users by outcome."""
        return (
            ("accepted", self.accepted),
            ("rejected", self.rejected),
            ("not attempted", self.not_attempted),
        )

    @property
    def planned(self) -> int:
        """All planned users."""
        return self.accepted + self.rejected + self.not_attempted

    @property
    def pace(self) -> str:
        """Users answered, time and users a second, in words."""
        users = self.timeline[-1][1] if self.timeline else 0
        mean = users / max(self.seconds, _SHORTEST)
        return f"{users:,} users in {_duration(self.seconds)}, {_rate(mean)} users a second"


def send(f: Figures) -> str:
    """Outcomes, throughput and latency in short, as Markdown."""
    for points in (60, 40, 30, 20, 10):
        found = _sketch(f, points)
        if len(found) <= SHOWN_IN_PLACE:
            break
    return found


def _sketch(f: Figures, points: int) -> str:
    spans = rates(_thinned(f.timeline, points))
    drawn = f.p99 > 0 and len(spans) > 1
    sketch = Sketch("Send", (138 if drawn else 92) if f.p99 > 0 else 52)
    x = 12.0
    for (name, count), colour, left in zip(
        f.parts, (BLUE, ORANGE, GREY), (12, 140, 252), strict=True
    ):
        wide = min(length(count, f.planned, 376), 388 - x)
        sketch.bars([(x, 12, wide, 10), (left, 31, 8, 8)], colour)
        x += wide
        sketch.text(left + 12, 39, f"{short(count)} {name}")
    if drawn:
        end, peak = spans[-1][1], max(rate for _, _, rate in spans)
        steps = "".join(
            f"V{96 - rate / max(peak, _SHORTEST) * 42:.0f}H{12 + stop / end * 376:.0f}"
            for _, stop, rate in spans
        )
        sketch.path(f"M12 96{steps}V96z", BLUE)
    if not f.planned:
        sketch.text(12, 20, "Nothing to send.")
    if f.p99 > 0:
        line = 113 if drawn else 62
        sketch.text(12, line, f.pace)
        told = f"Answers: half in {_duration(f.p50)}, 99 % in {_duration(f.p99)}"
        sketch.text(12, line + 17, told)
    return sketch.markdown()


def _thinned(timeline: Sequence[tuple[float, int]], points: int) -> list[tuple[float, int]]:
    """At most so many points and the last one."""
    every = -(-len(timeline) // points)
    return [*timeline[every - 1 :: every], *timeline[-1:]] if timeline else []


def send_card(f: Figures, *, subject: str = "") -> str:
    """Outcomes by reason, throughput and latency, as Markdown.

    Args:
        f: The figures.
        subject: What it is about, such as the as-of date.
    """
    card = Card("Send in full")
    card.text(EDGE, 26, "Send", ink="strong", size=14)
    card.text(WIDTH - EDGE, 26, subject, ink="muted", anchor="end", room=380)
    bottom = _reasons(card, _outcomes(card, 44, f), f.reasons)
    if f.stopped:
        card.text(EDGE, bottom + 20, f"Stopped early: {f.stopped}", ink="orange", room=_ROOM)
        bottom += 24
    if f.p99 > 0:
        bottom = _throughput(card, bottom + 16, f)
        bottom = _latency(card, bottom + 18, f)
    else:
        card.text(EDGE, bottom + 16, "No request was made.", ink="muted")
        bottom += 22
    return card.markdown(bottom + EDGE - 4)


def _outcomes(card: Card, top: float, f: Figures) -> float:
    """One bar for all planned users, and a count for each part of it."""
    inks: tuple[Ink, ...] = ("blue", "orange", "grey")
    card.bar(EDGE, top, _ROOM, 14, "line")
    x: float = EDGE
    for column, ((name, count), ink) in enumerate(zip(f.parts, inks, strict=True)):
        wide = min(length(count, f.planned, _ROOM), EDGE + _ROOM - x)
        card.bar(x, top, wide, 14, ink)
        x += wide
        left = EDGE + column * _ROOM / 3
        card.bar(left, top + 25, 10, 10, ink)
        card.text(left + 15, top + 34, f"{count:,}", ink="strong" if count else "muted", size=13)
        told = f"{name}, {share(count, f.planned)}" if f.planned else name
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


def _throughput(card: Card, top: float, f: Figures) -> float:
    """Users answered a second, between each two points of the timeline."""
    spans = rates(f.timeline)
    card.text(EDGE, top + 12, "Throughput", ink="strong")
    card.text(WIDTH - EDGE, top + 12, f.pace, ink="muted", size=11, anchor="end")
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
        if moment - before >= _SHORTEST:
            spans.append((before, moment, max(0, users - answered) / (moment - before)))
            before, answered = moment, users
    return spans


def _latency(card: Card, top: float, f: Figures) -> float:
    card.text(EDGE, top + 12, "Braze's time to answer", ink="strong")
    top += 18
    for name, value in (
        ("half of requests", f.p50),
        ("95 of 100", f.p95),
        ("99 of 100", f.p99),
    ):
        card.text(EDGE, top + 13, f"{name} within", size=11)
        card.bar(EDGE + 144, top + 4, length(value, f.p99, 220), 10, "blue")
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
