"""What somebody decided for one run. What it does is decided by the guards and the plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What somebody decided for one run, with a reason that is recorded.

    Attributes:
        let_through: Names of guards this run may pass.
        reason: Why.
        force_stale: Why older values may overwrite newer ones; None: they may not.
    """

    let_through: tuple[str, ...] = ()
    reason: str | None = None
    force_stale: str | None = None


NO_OVERRIDES = Overrides()
