"""The plan's cost by attribute: what goes out now, before what a full resend would be.

Twice: the dearest in a sketch that is seen at once, all of them on a card behind a click.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from braze_pipeline.orchestration.pictures.card import (
    EDGE,
    WIDTH,
    Card,
    Ink,
    fit,
    length,
    share,
)
from braze_pipeline.orchestration.pictures.sketch import BLUE, PALE, SHOWN_IN_PLACE, Sketch, short

MOST: Final = 24
"""Attributes with a line of their own; the rest share one, without a bar."""

_TOP: Final = 76
_ROW: Final = 20
_NAME: Final = 158
_BARS: Final = 182
_ROOM: Final = 134
_DEAREST: Final = 8


@dataclass(frozen=True)
class AttributeBar:
    """One attribute.

    Attributes:
        now: What the plan sends of it, in data points or in users.
        full: What a full resend would send.
    """

    name: str
    now: int
    full: int


def cost(bars: Sequence[AttributeBar], *, unit: str = "data points") -> str:
    """The dearest attributes, as many as are shown in place, as Markdown.

    Args:
        bars: The attributes, in any order.
        unit: What is counted: ``data points``, or ``users`` where the contract has none.
    """
    ordered = _ordered(bars)
    found = _sketch(ordered, 1, unit)
    for rows in range(2, min(_DEAREST, len(bars)) + 1):
        longer = _sketch(ordered, rows, unit)
        if len(longer) > SHOWN_IN_PLACE:
            break
        found = longer
    return found


def _sketch(ordered: Sequence[AttributeBar], rows: int, unit: str) -> str:
    shown = ordered[:rows]
    sketch = Sketch("Cost by attribute", 38 + 20 * len(shown))
    now, full = sum(bar.now for bar in ordered), sum(bar.full for bar in ordered)
    told = f"{now:,} {unit} ({share(now, full)} of a full resend)"
    if len(ordered) > rows:
        told += f", {len(ordered)} attributes:"
    sketch.text(12, 22, told)
    most = max((max(bar.now, bar.full) for bar in shown), default=0)
    tops = [33 + 20 * row for row in range(len(shown))]
    for bar, top in zip(shown, tops, strict=True):
        told = f"{short(bar.now)} of {short(bar.full)} {fit(bar.name, 170, 12)}"
        sketch.text(130, top + 11, told)
    pairs = list(zip(shown, tops, strict=True))
    sketch.bars([(12, top, length(bar.full, most, 108), 13) for bar, top in pairs], PALE)
    sketch.bars([(12, top + 3, length(bar.now, most, 108), 7) for bar, top in pairs], BLUE)
    return sketch.markdown()


def cost_card(bars: Sequence[AttributeBar], *, unit: str = "data points", subject: str = "") -> str:
    """Every attribute as a horizontal bar, dearest first.

    Args:
        bars: The attributes, in any order.
        unit: What is counted: ``data points``, or ``users`` where the contract has none.
        subject: What it is about, such as the as-of date.
    """
    now, full = sum(bar.now for bar in bars), sum(bar.full for bar in bars)
    card = Card("Cost by attribute")
    card.text(EDGE, 26, "Cost by attribute", ink="strong", size=14)
    card.text(WIDTH - EDGE, 26, subject, ink="muted", anchor="end", room=270)
    if not bars:
        card.text(EDGE, 54, "The template has no attributes.", ink="muted")
        return card.markdown(72)
    told = f"{now:,} {unit} now; {full:,} in a full resend"
    card.text(EDGE, 48, told + (f" ({share(now, full)})" if full else ""), ink="text")
    _legend(card)
    ordered = _ordered(bars)
    shown, rest = (ordered, []) if len(ordered) <= MOST else (ordered[:MOST], ordered[MOST:])
    most = max(max(bar.now, bar.full) for bar in bars)
    top: float = _TOP
    for bar in shown:
        _line(card, top, bar)
        card.bar(_BARS, top + 3, length(bar.full, most, _ROOM), 13, "pale")
        card.bar(_BARS, top + 6, length(bar.now, most, _ROOM), 7, "blue")
        top += _ROW
    if rest:
        # Many small ones together would be the longest bar, and shrink all the others.
        _line(card, top, _together(rest))
        top += _ROW
    return card.markdown(top + EDGE - 6)


def _legend(card: Card) -> None:
    card.bar(_BARS, 59, 10, 8, "blue")
    card.text(_BARS + 14, 67, "now", ink="muted", size=11)
    card.bar(_BARS + 46, 59, 10, 8, "pale")
    card.text(_BARS + 60, 67, "full resend", ink="muted", size=11)


def _line(card: Card, top: float, bar: AttributeBar) -> None:
    """An attribute's name at the left, its numbers at the right."""
    ink: Ink = "strong" if bar.now else "muted"
    card.text(EDGE, top + 13, bar.name, room=_NAME)
    told = f"{bar.now:,} / {bar.full:,}"
    card.text(WIDTH - EDGE, top + 13, told, ink=ink, size=11, anchor="end")


def _ordered(bars: Sequence[AttributeBar]) -> list[AttributeBar]:
    return sorted(bars, key=lambda bar: (-bar.now, -bar.full, bar.name))


def _together(bars: Sequence[AttributeBar]) -> AttributeBar:
    return AttributeBar(
        name=f"{len(bars):,} others",
        now=sum(bar.now for bar in bars),
        full=sum(bar.full for bar in bars),
    )
