"""Overrides of one run as run tags, so that the command line and the UI's launchpad set the same.

What an override does is not here: guards and the plan decide that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from braze_pipeline.plan.overrides import Overrides, given_overrides

LET_THROUGH = "braze_pipeline/let_through"
REASON = "braze_pipeline/reason"
FORCE_STALE = "braze_pipeline/force_stale"
REFIT = "braze_pipeline/refit"
"""Makes the newest day's fit of predicted value again, after wrong orders were corrected."""


def tags_of(*, let_through: Sequence[str], reason: str | None, force_stale: bool) -> dict[str, str]:
    """The run tags for some overrides; none for none."""
    tags = {}
    if let_through:
        tags[LET_THROUGH] = ",".join(let_through)
    if force_stale:
        tags[FORCE_STALE] = "true"
    if reason and tags:
        tags[REASON] = reason
    return tags


def overrides_of(tags: Mapping[str, str]) -> Overrides:
    """The overrides in a run's tags.

    Raises:
        UsageError: one of them is not valid.
    """
    names = (name.strip() for name in tags.get(LET_THROUGH, "").split(","))
    return given_overrides(
        let_through=tuple(filter(None, names)),
        reason=tags.get(REASON),
        force_stale=tags.get(FORCE_STALE, "").lower() == "true",
    )
