"""What a run that succeeded settles: the actions it closes, and what it still warns of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from braze_pipeline.alerts import Action, ActionStore, Incident
from braze_pipeline.alerts.action_classes import PARTIAL_SUCCESS, SLOW_RUN, SOURCE_STALE
from braze_pipeline.orchestration import metadata
from braze_pipeline.orchestration.checks import FRESH_SOURCES, IDENTIFIED
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.watch.diagnosis import missing_field
from braze_pipeline.orchestration.watch.runs import Done, RunFacts, number_of
from braze_pipeline.settings import TemplateSettings


def warnings_of(facts: RunFacts, t: TemplateSettings, *, at: datetime) -> list[Incident]:
    """What a run that succeeded still warns of.

    Raises:
        PipelineError: it does not report what must be known for that.
    """
    found = (
        partial_success(facts, t, at=at),
        warned(facts, t, FRESH_SOURCES, SOURCE_STALE, at=at),
        warned(facts, t, IDENTIFIED, missing_field(t), at=at),
    )
    return [one for one in found if one is not None]


def settle(
    store: ActionStore,
    facts: RunFacts,
    t: TemplateSettings,
    warnings: Sequence[Incident],
    *,
    at: datetime,
) -> list[Done]:
    """Close what a successful run resolved, and note what it warns of; what was done."""
    run_id = facts.run.run_id
    done = [
        Done(words=f"action {action.number} resolved", run_id=run_id)
        for action in store.open_actions(destination=t.destination.name)
        if resolves(facts, t, action, still={found.action for found in warnings}, at=at)
        and store.close(action.number, how=f"Run {run_id[:8]} went through.", at=at)
    ]
    noted = [store.record(found) for found in warnings]
    return done + [Done(words=one.words(), run_id=run_id) for one in noted if not one.known]


def resolves(
    facts: RunFacts, t: TemplateSettings, action: Action, *, still: Collection[str], at: datetime
) -> bool:
    """Whether a successful run proves that an action's cause is gone.

    ``still`` are the classes that the run itself warns of.

    It does when it reached what the failed run was to reach, for the same day or a newer one: a
    run that stopped short of the send proves nothing for it, and an older day does not make up
    for a newer one.
    """
    if action.template != t.name or action.action == SLOW_RUN:
        return False
    if action.action in still:
        return False
    keys = TemplateKeys.of(t)
    looks = {SOURCE_STALE: keys.attributes, missing_field(t): keys.profiles}.get(action.action)
    if looks is not None and looks not in facts.materialized:
        return False  # it did not look
    if action.last_seen > at.isoformat():
        return False  # it came after this run
    reached = {key.to_user_string() for key in facts.materialized}
    goal = action.goal or keys.send.to_user_string()
    if goal not in reached:
        return False
    return action.days is None or (facts.days is not None and facts.days[1] >= action.days[1])


def partial_success(facts: RunFacts, t: TemplateSettings, *, at: datetime) -> Incident | None:
    """A success in which more of the audience than is allowed did not get through."""
    limit = t.alerts.max_rejected_share
    keys = TemplateKeys.of(t)
    if limit is None:
        return None
    held_back = audience = refused = sent = 0
    # Of one day each: in a range, the metadata is of its newest day, as what is sent is.
    if (profiles := facts.materialized.get(keys.profiles)) is not None:
        held_back = number_of(profiles, metadata.REJECTED_ROWS)
        audience = held_back + number_of(profiles, metadata.ROWS)
    if (send := facts.materialized.get(keys.send)) is not None:
        refused = number_of(send, metadata.REJECTED_USERS)
        sent = refused + number_of(send, metadata.ACCEPTED_USERS)
    users = max(audience, sent)
    if users < t.alerts.min_users or (held_back + refused) <= limit * users:
        return None
    return _found(
        facts,
        t,
        PARTIAL_SUCCESS,
        f"{held_back:,} rows were held back by the contract and {refused:,} users refused by "
        f"Braze, of {users:,}; allowed is a share of {limit:.0%}.",
        fix="Everybody else was sent.",
        at=at,
    )


def warned(
    facts: RunFacts, t: TemplateSettings, check: str, action: str, *, at: datetime
) -> Incident | None:
    """A success of which a check that does not block warned."""
    for one in facts.warned:
        if one.check_name == check and one.asset_key in TemplateKeys.of(t).all:
            return _found(facts, t, action, one.description or "", at=at)
    return None


def _found(
    facts: RunFacts, t: TemplateSettings, action: str, what: str, *, at: datetime, fix: str = ""
) -> Incident:
    goal = facts.goal(t)
    return Incident(
        action=action,
        what=what,
        fix=fix,
        destination=t.destination.name,
        template=t.name,
        at=at,
        run_id=facts.run.run_id,
        days=facts.days,
        goal=goal.to_user_string() if goal else None,
        cause="",
    )
