"""Words for numbers in messages."""

from __future__ import annotations


def counted(number: float, one: str, many: str = "") -> str:
    """A number with its noun: ``1 value``, ``2,000 values``.

    Args:
        number: How many.
        one: The noun for one.
        many: The noun for any other number, if it is not the same with an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
