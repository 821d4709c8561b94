"""Overrides of one run as run tags: the same from the command line and from the UI's launchpad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from braze_pipeline.plan.step import Overrides

LET_THROUGH = "braze_pipeline/let_through"
REASON = "braze_pipeline/reason"
FORCE_STALE = "braze_pipeline/force_stale"


def tags_of(*, let_through: Sequence[str], reason: str | None, force_stale: bool) -> dict[str, str]:
    """The tags that say it."""
    tags = {}
    if let_through:
        tags[LET_THROUGH] = ",".join(let_through)
    if force_stale:
        tags[FORCE_STALE] = "true"
    if reason and tags:
        tags[REASON] = reason
    return tags


def overrides_of(tags: Mapping[str, str]) -> Overrides:
    """What a run's tags say."""
    reason = tags.get(REASON)
    forced = tags.get(FORCE_STALE, "").lower() == "true"
    names = tuple(name.strip() for name in tags.get(LET_THROUGH, "").split(",") if name.strip())
    return Overrides(
        let_through=names,
        reason=reason,
        force_stale=(reason or "no reason given") if forced else None,
    )
