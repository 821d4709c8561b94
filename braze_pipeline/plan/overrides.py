"""What somebody decided for one run. What it does is decided by the guards and the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from braze_pipeline.errors import UsageError
from braze_pipeline.plan import guards
from braze_pipeline.user_input import did_you_mean


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


def given_overrides(
    *, let_through: Sequence[str], reason: str | None, force_stale: bool
) -> Overrides:
    """The overrides that somebody gave a run, by options or run tags.

    Raises:
        UsageError: there is no guard of a name, or no reason.
    """
    for name in let_through:
        if name not in guards.NAMES:
            raise UsageError(
                f"There is no guard {name!r} to let through.{did_you_mean(name, guards.NAMES)}",
                fix=f"The guards are: {', '.join(guards.NAMES)}.",
            )
    reason = (reason or "").strip() or None
    if (let_through or force_stale) and reason is None:
        raise UsageError(
            "A guard, or the rule against older values, is overridden without a reason.",
            fix="Say why in a few words, with --reason or the run tag braze_pipeline/reason; it is "
            "recorded with the run.",
        )
    return Overrides(
        let_through=tuple(let_through), reason=reason, force_stale=reason if force_stale else None
    )
