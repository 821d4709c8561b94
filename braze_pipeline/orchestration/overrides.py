"""Overrides of one run as run tags, so that the command line and the UI's launchpad set the same.

What an override does is not here: guards and the plan decide that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from braze_pipeline.errors import UsageError
from braze_pipeline.plan.overrides import Overrides, given_overrides
from braze_pipeline.user_input import did_you_mean

_PREFIX = "braze_pipeline/"
LET_THROUGH = "braze_pipeline/let_through"
REASON = "braze_pipeline/reason"
FORCE_STALE = "braze_pipeline/force_stale"
REFIT = "braze_pipeline/refit"
"""Makes the newest day's fit of predicted value again, after wrong orders were corrected."""
_TAGS = (LET_THROUGH, REASON, FORCE_STALE, REFIT)
"""Every tag of the prefix, which is ours alone: earlier versions had no other."""


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
        UsageError: one of them is not valid, or not known: it may be meant to prevent a send.
    """
    unknown = {tag for tag in tags if tag.startswith(_PREFIX)}.difference(_TAGS)
    for tag in sorted(unknown):
        raise UsageError(
            f"Unknown run tag {tag!r}."
            f"{did_you_mean(tag.removeprefix(_PREFIX), (t.removeprefix(_PREFIX) for t in _TAGS))}",
            fix=f"The run tags are: {', '.join(_TAGS)}. Start a new run with one of them, or "
            "without any. To plan without sending, leave braze_send out of the selection.",
        )
    is_true(tags, REFIT)
    names = (name.strip() for name in tags.get(LET_THROUGH, "").split(","))
    return given_overrides(
        let_through=tuple(filter(None, names)),
        reason=tags.get(REASON),
        force_stale=is_true(tags, FORCE_STALE),
    )


def is_true(tags: Mapping[str, str], tag: str) -> bool:
    """Whether a run tag is set; ``false`` is as good as none.

    Raises:
        UsageError: it has another value, which may be meant as either.
    """
    value = tags.get(tag, "false").strip().lower()
    if value not in ("true", "false"):
        raise UsageError(
            f"The run tag {tag!r} must be true or false, not {value!r}.",
            fix="Start a new run with the tag set to true, or without it.",
        )
    return value == "true"
