"""The numbers of a run as its tags: the list of runs shows them, and can be filtered by them.

They are plain digits, set when they are known. Dagster copies the tags of a run to the runs that
repeat it, so a run that begins again first clears those of its parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import dagster as dg

    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.send.step import SendOutcome
    from braze_pipeline.settings import TemplateSettings

_PREFIX: Final = "braze/"
_LONGEST: Final = 63
"""Characters that Dagster allows after the slash."""
NOT_KNOWN_YET: Final = "–"


def clear(context: dg.AssetExecutionContext) -> None:
    """What a parent run counted is not true of this run."""
    _write(context, {k: NOT_KNOWN_YET for k in context.run.tags if k.startswith(_PREFIX)})


def show_plan(context: dg.AssetExecutionContext, t: TemplateSettings, plan: PlanSummary) -> None:
    """Tag the run with what it planned."""
    _write(context, {tag(t, name): str(number) for name, number in _of_plan(plan).items()})


def show_send(context: dg.AssetExecutionContext, t: TemplateSettings, sent: SendOutcome) -> None:
    """Tag the run with Braze's answers, and with the plan that was sent: maybe a newer one."""
    account = sent.account
    numbers = _of_plan(sent.plan) | {
        "accepted_users": account.accepted,
        "rejected_users": account.rejected,
        "not_attempted_users": account.not_attempted,
    }
    tags = {tag(t, name): str(number) for name, number in numbers.items()}
    _write(context, tags | ({tag(t, "paused"): "yes"} if sent.paused else {}))


def tag(t: TemplateSettings, name: str) -> str:
    """The tag of a number; templates beside the first have it under their own prefix."""
    return _PREFIX + ".".join((*t.key_prefix, name))[-_LONGEST:]


def _of_plan(plan: PlanSummary) -> dict[str, int]:
    return {
        "planned_users": plan.planned_users,
        "unchanged_users": plan.unchanged_users,
        "planned_attributes": plan.planned_attributes,
        "data_points": plan.data_points,
    }


def _write(context: dg.AssetExecutionContext, tags: Mapping[str, str]) -> None:
    if tags:
        context.instance.add_run_tags(context.run.run_id, dict(tags))
