"""What a successful run means for workflow actions: those it closes, and those it opens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from braze_pipeline.alerts import Action, ActionStore, Incident, Success, report_success
from braze_pipeline.alerts.action_classes import PARTIAL_SUCCESS, SLOW_RUN, SOURCE_STALE
from braze_pipeline.orchestration import metadata
from braze_pipeline.orchestration.checks import FRESH_SOURCES, IDENTIFIED
from braze_pipeline.orchestration.keys import TemplateKeys
from braze_pipeline.orchestration.watch.diagnosis import missing_field
from braze_pipeline.orchestration.watch.runs import RunFacts, TickEvent, newly_recorded, number_of
from braze_pipeline.settings import TemplateSettings


def warnings_of(facts: RunFacts, t: TemplateSettings, *, at: datetime) -> list[Incident]:
    """What still needs a person after a run that succeeded.

    Args:
        facts: The run, with the earlier attempts that it resumes.
        t: The template.
        at: When the run ended.

    Raises:
        PipelineError: the run does not report a count that decides it.
    """
    found = (
        partial_success(facts, t, at=at),
        check_warning(facts, t, FRESH_SOURCES, SOURCE_STALE, at=at),
        check_warning(facts, t, IDENTIFIED, missing_field(t), at=at),
    )
    return [one for one in found if one is not None]


def update_actions(
    store: ActionStore,
    facts: RunFacts,
    t: TemplateSettings,
    warnings: Sequence[Incident],
    *,
    at: datetime,
) -> list[TickEvent]:
    """Close the actions that a run resolved, and record what it warns of."""
    run_id = facts.run.run_id
    how = f"Run {run_id[:8]} went through{'' if facts.run.is_success else ' for this template'}."
    still_open = {warning.action for warning in warnings}
    closed = [
        TickEvent(text=f"action {action.number} resolved", run_id=run_id)
        for action in store.open_actions(destination=t.destination.name)
        if resolves(facts, t, action, still_open=still_open, at=at)
        and store.close(action.number, how=how, at=at)
    ]
    return closed + newly_recorded([store.record(warning) for warning in warnings], run_id)


def success_of(facts: RunFacts, t: TemplateSettings) -> Success | None:
    """What a message about a successful run says; None if none is wanted, or nothing was sent.

    Raises:
        PipelineError: the run does not report one of the counts.
    """
    keys = TemplateKeys.of(t)
    send = facts.materialized.get(keys.send)
    if t.alerts.success == "never" or send is None or facts.days is None:
        return None
    first, last = facts.days
    return Success(
        destination=t.destination.name,
        template=t.name,
        first_day=first,
        last_day=last,
        run_id=facts.run.run_id,
        accepted=number_of(send, metadata.ACCEPTED_USERS),
        rejected=number_of(send, metadata.REJECTED_USERS),
        unchanged=number_of(send, metadata.UNCHANGED_USERS),
        attributes=number_of(send, metadata.ACCEPTED_ATTRIBUTES),
        data_points=number_of(send, metadata.DATA_POINTS),
        warnings=", ".join(c.check_name for c in facts.other_checks if c.asset_key in keys.all),
    )


def report(
    store: ActionStore, t: TemplateSettings, success: Success | None, *, at: datetime
) -> list[TickEvent]:
    """Put the message about a successful run into the outbox, after its actions were updated."""
    if success is None:
        return []
    after_failure = t.alerts.success == "after_failure"
    new = report_success(store.path, success, after_failure=after_failure, at=at)
    text = f"run as of {success.last_day} succeeded"
    return [TickEvent(text=text, run_id=success.run_id)] if new else []


def resolves(
    facts: RunFacts,
    t: TemplateSettings,
    action: Action,
    *,
    still_open: Collection[str],
    at: datetime,
) -> bool:
    """Whether a successful run proves that an action's cause is gone.

    It does when it reached the goal of the failed run, for the same day or a newer one. A run that
    stopped before the send proves nothing about the send, and an older day proves nothing about a
    newer one.

    Args:
        facts: The run, without the earlier attempts that it resumes: what they made may be older
            than the action.
        t: The template.
        action: An open action.
        still_open: The classes that the run itself warns of.
        at: When the run ended.
    """
    keys = TemplateKeys.of(t)
    looks = {
        SOURCE_STALE: keys.attributes,
        missing_field(t): keys.profiles,
        PARTIAL_SUCCESS: keys.profiles,
    }.get(action.action)
    reached = {key.to_user_string() for key in facts.materialized}
    return (
        action.template == t.name
        and action.action != SLOW_RUN
        and action.action not in still_open
        # It looked again at what the action is about.
        and (looks is None or looks in facts.materialized)
        and action.last_seen <= at.isoformat()
        and (action.goal or keys.send.to_user_string()) in reached
        and (action.days is None or (facts.days is not None and facts.days[1] >= action.days[1]))
    )


def partial_success(facts: RunFacts, t: TemplateSettings, *, at: datetime) -> Incident | None:
    """A success in which a larger share of the audience than allowed did not get through."""
    limit = t.alerts.max_rejected_share
    keys = TemplateKeys.of(t)
    if limit is None:
        return None
    rejected = audience = refused = sent = 0
    # All of one day: for a range, the metadata is about its newest day, and only that is sent.
    if (profiles := facts.materialized.get(keys.profiles)) is not None:
        rejected = number_of(profiles, metadata.REJECTED_ROWS)
        audience = rejected + number_of(profiles, metadata.ROWS)
    if (send := facts.materialized.get(keys.send)) is not None:
        refused = number_of(send, metadata.REJECTED_USERS)
        sent = refused + number_of(send, metadata.ACCEPTED_USERS)
    users = max(audience, sent)
    if users < t.alerts.min_users or (rejected + refused) <= limit * users:
        return None
    what = (
        f"Of {users:,} users, {rejected:,} rows were rejected by the contract and {refused:,} "
        f"users by Braze. The allowed share is {limit:.0%}."
    )
    return facts.incident(t, PARTIAL_SUCCESS, what, fix="Everybody else was sent.", at=at)


def check_warning(
    facts: RunFacts, t: TemplateSettings, check: str, action: str, *, at: datetime
) -> Incident | None:
    """The warning of a non-blocking check, in a run that succeeded."""
    for one in facts.other_checks:
        if one.check_name == check and one.asset_key in TemplateKeys.of(t).all:
            return facts.incident(t, action, one.description or "", fix="", at=at)
    return None
