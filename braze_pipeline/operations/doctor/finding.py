"""The result of a check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from braze_pipeline.errors import PipelineError


class State(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARN = "warn"
    """A run may succeed, but somebody should look at it."""
    FAIL = "fail"
    """A run cannot send."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: What was checked.
        state: How serious it is.
        saw: What the check saw; never a key or a customer's value.
        fix: What to do about it; empty if nothing needs to be done.
        exit_code: The exit code of a run that meets this problem; 0 unless it fails.
    """

    name: str
    state: State
    saw: str
    fix: str = ""
    exit_code: int = 0


def ok(name: str, saw: str) -> Finding:
    """A check that passed."""
    return Finding(name, State.OK, saw)


def warning(name: str, saw: str, fix: str) -> Finding:
    """A check that a run may pass, but that somebody should look at."""
    return Finding(name, State.WARN, saw, fix)


def failure(name: str, error: PipelineError) -> Finding:
    """A check that failed with the error that a run would fail with."""
    return Finding(name, State.FAIL, error.what, error.fix, error.exit_code)


def exit_code(findings: Iterable[Finding]) -> int:
    """The exit code for all findings together; 0 if none failed.

    If several failed, the lowest code counts: fix the configuration (2) before the credentials (3),
    and both before looking for trouble at Braze (4).
    """
    return min((found.exit_code for found in findings if found.exit_code), default=0)
