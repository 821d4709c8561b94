"""The audience as a funnel: customers, and who is left after each rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from braze_pipeline.orchestration.pictures.card import EDGE, WIDTH, Card, length, share

_TOP: Final = 52
_ROW: Final = 58
_BAR: Final = 34
_MIDDLE: Final = 266
_WIDEST: Final = 146


def funnel_svg(*, customers: int, left_out: Mapping[str, int], subject: str = "") -> str:
    """The funnel.

    Args:
        customers: All customers of the day.
        left_out: Rule to the customers it excluded first, in the order in which rules are asked.
        subject: What it is about, such as the as-of date.
    """
    left = customers
    card = Card("Audience funnel")
    card.text(EDGE, 26, "Audience", ink="strong", size=14)
    card.text(WIDTH - EDGE, 26, subject, ink="muted", anchor="end", room=300)
    _step(card, 0, "Customers", "", customers, customers)
    for row, (rule, count) in enumerate(left_out.items(), start=1):
        _neck(card, row, left, left - count, customers)
        left -= count
        lost = f"left out {count:,} ({share(count, customers)})"
        _step(card, row, _named(rule), lost, left, customers)
    return card.svg(_TOP + (len(left_out) + 1) * _ROW - (_ROW - _BAR) + EDGE)


def _step(card: Card, row: int, name: str, lost: str, count: int, customers: int) -> None:
    """One bar, with its name and what the rule cost at the left, and its count at the right."""
    top = _TOP + row * _ROW
    wide = length(count, customers, _WIDEST)
    card.bar(_MIDDLE - wide / 2, top, wide, _BAR, "blue")
    first = top + (15 if lost else 22)
    card.text(EDGE, first, name, ink="strong", size=13, room=166)
    card.text(EDGE, first + 16, lost, ink="muted", size=11, room=174)
    right = WIDTH - EDGE
    card.text(right, top + 15, f"{count:,}", ink="strong", size=13, anchor="end")
    if row:
        told = f"{share(count, customers)} of customers"
        card.text(right, top + 31, told, ink="muted", size=11, anchor="end")


def _neck(card: Card, row: int, before: int, after: int, customers: int) -> None:
    """The slope from one bar to the next."""
    top, bottom = _TOP + (row - 1) * _ROW + _BAR, _TOP + row * _ROW
    wide, narrow = (length(count, customers, _WIDEST) / 2 for count in (before, after))
    if wide:
        card.shape(
            [
                (_MIDDLE - wide, top),
                (_MIDDLE + wide, top),
                (_MIDDLE + narrow, bottom),
                (_MIDDLE - narrow, bottom),
            ],
            "pale",
        )


def _named(rule: str) -> str:
    words = rule.replace("_", " ")
    return words[:1].upper() + words[1:]
