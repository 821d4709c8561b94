"""What a reader gives for one raw value: its canonical text, or the code of what is wrong."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """Either a value or a problem.

    Attributes:
        value: The canonical value as text; None with a problem.
        problem: A code of ``reasons.yaml``; None with a value.
    """

    value: str | None
    problem: str | None


def good(value: str) -> Outcome:
    """The raw value could be read."""
    return Outcome(value, None)


def bad(problem: str) -> Outcome:
    """The raw value breaks the rule with this code."""
    return Outcome(None, problem)
