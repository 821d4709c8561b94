"""What a check gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from braze_pipeline.errors import PipelineError


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """A run may go through; somebody should know."""
    FAIL = "fail"
    """A run cannot send."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        state: How it is.
        saw: What was seen; never a key, never a customer's value.
        mend: What to do about it; empty where nothing is to be done.
        exit_code: What a run that meets this would end with; 0 unless it fails.
    """

    name: str
    state: State
    saw: str
    mend: str = ""
    exit_code: int = 0


def ok(name: str, saw: str) -> Finding:
    """All is well."""
    return Finding(name, State.OK, saw)


def warning(name: str, saw: str, mend: str) -> Finding:
    """Somebody should know."""
    return Finding(name, State.WARN, saw, mend)


def failure(name: str, error: PipelineError) -> Finding:
    """What a run would fail with."""
    return Finding(name, State.FAIL, error.what, error.fix, error.exit_code)


def exit_code(findings: Iterable[Finding]) -> int:
    """The exit code over all findings; 0 where none fails.

    Of several the lowest: configuration (2) is mended before credentials (3), these before
    anything can be said of Braze itself (4).
    """
    return min((found.exit_code for found in findings if found.exit_code), default=0)
