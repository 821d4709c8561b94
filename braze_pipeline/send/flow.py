"""The last two steps, whole: plan some days; carry a plan out.

What belongs here is the order in which ledger, plan, journal and send touch each other, and
nothing else. The DuckDB connection is closed while Braze is talked to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from braze_pipeline.audience.build import require_members
from braze_pipeline.braze.client import BrazeClient
from braze_pipeline.braze.redaction import read_api_key
from braze_pipeline.braze.retry_policy import READ_RETRY_SECONDS, RetryPolicy
from braze_pipeline.errors import (
    BrazeError,
    ContractBroken,
    NotBuilt,
    PipelineError,
    PlanOutdated,
)
from braze_pipeline.ledger import endpoint, tables
from braze_pipeline.ledger.apply import apply_acknowledgements
from braze_pipeline.plan import preflight, stored_plans
from braze_pipeline.plan.build import build_plan
from braze_pipeline.plan.lookup import look_up_users
from braze_pipeline.profiles import require_profiles
from braze_pipeline.send import accounting, outcomes, send_plan, sending
from braze_pipeline.send.accounting import Account
from braze_pipeline.send.read_back import read_back
from braze_pipeline.storage import rejections
from braze_pipeline.storage.journal import Journal
from braze_pipeline.storage.warehouse import columns

if TYPE_CHECKING:
    from braze_pipeline.plan.preflight import Preflight
    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.send import SendProgress, SendResult
    from braze_pipeline.send.read_back import ReadBack
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

Say = Callable[[str], None]


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


@dataclass(frozen=True, kw_only=True)
class SendOutcome:
    """What became of a plan.

    Attributes:
        plan: The plan, with its status after the send.
        result: What the sender measured.
        account: The counts, and whether they add up.
        ledger_users: Users the ledger has now.
        rejections: Rejections of the plan's days, of all stages.
        rejection_columns, outcome_columns: Name and DuckDB type of the columns of these tables.
        error: What ended the send early; None when it went through.
        read_back: What the read-back found; None where it is switched off.
    """

    plan: PlanSummary
    result: SendResult
    account: Account
    ledger_users: int
    rejections: int
    rejection_columns: tuple[tuple[str, str], ...]
    outcome_columns: tuple[tuple[str, str], ...]
    error: PipelineError | None
    read_back: ReadBack | None = None

    def sentence(self) -> str:
        """The outcome in one line."""
        a = self.account
        return (
            f"{a.planned:,} users planned, {a.accepted:,} accepted, {a.rejected:,} rejected, "
            f"{a.not_attempted:,} not attempted; {a.unchanged:,} unchanged, "
            f"{a.superseded:,} superseded."
        )


def plan_days(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    run_id: str,
    now: datetime,
    environ: Mapping[str, str],
    overrides: Overrides,
    say: Say,
) -> PlanSummary:
    """Learn which users Braze has, where the destination says how, and plan the days.

    Raises:
        NotBuilt, AudienceEmpty: the newest day has no audience, or an empty one.
        MissingRequiredField, ContractBroken: all of its rows were rejected.
        EndpointMismatch: the ledger is about another Braze endpoint.
        PipelineError: see ``plan.build.build_plan`` and ``plan.lookup``.
    """
    with warehouse.connect() as con:
        require_members(con, t, max(days))
        require_profiles(con, t, max(days))
        endpoint.claim(con, warehouse, t)
        last = stored_plans.latest(con, t)
    found = pre_flight(t, last, now=now, environ=environ, say=say)
    if t.destination.known_users.source == "lookup":
        look_up_users(warehouse, t, days, now=now, environ=environ, say=say)
    with warehouse.connect() as con:
        return build_plan(
            con,
            warehouse,
            t,
            days,
            run_id=run_id,
            now=now,
            force_stale=overrides.force_stale,
            let_through=overrides.let_through,
            reason=overrides.reason,
            preflight=found,
        )


def pre_flight(
    t: TemplateSettings,
    last: PlanSummary | None,
    *,
    now: datetime,
    environ: Mapping[str, str],
    say: Say,
) -> Preflight:
    """Compare names and types with Braze, where the destination asks for it.

    What the template's ``last`` plan held back stays so where Braze cannot be asked.
    """
    found = preflight.ask(t, environ=environ, now=now, last=last.preflight if last else None)
    for line in found.lines():
        say(line)
    return found


def send_days(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    run_id: str,
    environ: Mapping[str, str],
    say: Say,
    stop: threading.Event | None = None,
    on_progress: Callable[[SendProgress], None] | None = None,
    every: float = 5.0,
) -> SendOutcome:
    """Carry out the plan of the days, and put what Braze acknowledged into the ledger.

    It is the run's own plan. A run that made none, such as a rerun from failure, takes the newest.

    ``on_progress`` is told about ``every`` seconds; without it, ``say`` is.

    What ended the send early is in the outcome's ``error``: what was acknowledged until then is in
    the ledger all the same, and a rerun goes on from there.

    Raises:
        NotBuilt: there is no plan of these days, or its snapshot is gone.
        PlanOutdated: the ledger changed since it was made.
        EndpointMismatch: the ledger is about another Braze endpoint.
        GuardStopped: a guard holds the plan back.
        SendBusy: another send to the destination is under way.
        InvalidCredentials: no key is set though there is something to send.
        AccountingError: the counts do not add up.
    """
    d = t.destination
    with sending(warehouse.lock_path(d.name), d.name):
        plan = _plan_or_again(warehouse, t, days, run_id=run_id, say=say)
        result = send_plan(
            snapshot=warehouse.snapshot(plan.plan_id),
            plan_id=plan.plan_id,
            template=t.name,
            run_id=run_id,
            destination=d,
            secret=read_api_key(environ, d.api_key_env) if plan.planned_users else None,
            journal=Journal(warehouse.journal_path),
            stop=stop,
            on_progress=on_progress or (lambda progress: say(_progress_text(progress))),
            every=every,
        )
        result = replace(result, stopped_by=result.stopped_by or nobody_accepted(plan, result))
        found = _read_back(warehouse, t, plan, result, environ=environ, say=say)
        return _settle(warehouse, t, plan, result, run_id=run_id, read_back=found)


def nobody_accepted(plan: PlanSummary, result: SendResult) -> PipelineError | None:
    """A send in which Braze refused everybody never succeeds, nor one that holds everybody back."""
    refused, before = result.rejected_users, plan.held_back_users
    if refused and not result.accepted_users and not result.not_attempted_users:
        what = f"Braze refused all {refused:,} users that were sent."
    elif before == plan.profiles > 0:
        what = f"Braze refused all {before:,} users before, and nothing about them has changed."
    else:
        return None
    return ContractBroken(
        what,
        fix="`braze-pipeline rejections` shows Braze's reasons. When they are dealt with, "
        "`braze-pipeline retry-rejected` sends these users again.",
    )


def _plan_or_again(
    warehouse: Warehouse, t: TemplateSettings, days: Sequence[date], *, run_id: str, say: Say
) -> PlanSummary:
    """The run's own plan; made again where another run overtook it between its steps.

    We hold the destination's lock by now, so nobody overtakes a second time. Guards judge the new
    plan too. A plan of an earlier run is not replaced: somebody may have looked at it.
    """
    try:
        return _plan_to_send(warehouse, t, days, run_id=run_id)
    except (NotBuilt, PlanOutdated):
        with warehouse.connect() as con:
            stale = stored_plans.latest(con, t, days, run_id=run_id)
            if stale is None or stale.force_stale is not None:
                raise
            passed = {g.name: g.let_through for g in stale.guards if g.let_through}
            again = build_plan(
                con,
                warehouse,
                t,
                days,
                run_id=run_id,
                now=datetime.now(UTC),
                let_through=tuple(passed),
                reason=next(iter(passed.values()), None),
                preflight=stale.preflight,
            )
        say(f"Another run came first: planned again, with {again.planned_users:,} users to send.")
        return _plan_to_send(warehouse, t, days, run_id=run_id)


def _plan_to_send(
    warehouse: Warehouse, t: TemplateSettings, days: Sequence[date], *, run_id: str
) -> PlanSummary:
    """The plan that this run made, or the newest of the days where it only sends."""
    with warehouse.connect() as con:
        endpoint.claim(con, warehouse, t)
        plan = stored_plans.latest(con, t, days, run_id=run_id) or stored_plans.latest(con, t, days)
        if plan is None:
            raise NotBuilt(
                f"There is no plan of {t.name} for {days[0]}"
                + (f" to {days[-1]}." if days[1:] else "."),
                fix="Materialize braze_plan for these days first.",
            )
        stored_plans.check_sendable(con, warehouse, t, plan.plan_id)
        return plan


def _read_back(
    warehouse: Warehouse,
    t: TemplateSettings,
    plan: PlanSummary,
    result: SendResult,
    *,
    environ: Mapping[str, str],
    say: Say,
) -> ReadBack | None:
    """Compare a sample with Braze, where the destination asks for it; never fails the send."""
    d = t.destination
    if not d.read_back_users or not result.accepted_users or result.stopped_by is not None:
        return None
    client = BrazeClient(d, read_api_key(environ, d.api_key_env), pool=1)
    patience = RetryPolicy(
        throttled=min(d.max_throttle_seconds, READ_RETRY_SECONDS),
        failing=min(d.retry_budget_seconds, READ_RETRY_SECONDS),
        log=say,
    )
    try:
        return patience(
            lambda: read_back(
                client,
                Journal(warehouse.journal_path),
                snapshot=warehouse.snapshot(plan.plan_id),
                plan_id=plan.plan_id,
                identifier=d.identifier,
                users=d.read_back_users,
            )
        )
    except BrazeError as error:
        say(f"The read-back was left out: {error}")
        return None
    finally:
        client.close()


def _settle(
    warehouse: Warehouse,
    t: TemplateSettings,
    plan: PlanSummary,
    result: SendResult,
    *,
    run_id: str,
    read_back: ReadBack | None,
) -> SendOutcome:
    """Fold, record the outcome, and prove the account."""
    with warehouse.connect() as con:
        apply_acknowledgements(con, warehouse, t.destination.name)
        found = accounting.account(
            con,
            warehouse,
            t,
            plan,
            accepted=result.accepted_users,
            rejected=result.rejected_users,
        )
        outcomes.record(con, t, plan, result, run_id=run_id)
        return SendOutcome(
            plan=stored_plans.load(con, plan.plan_id),
            result=result,
            account=found,
            ledger_users=tables.count(
                con, f"SELECT count(*) FROM {tables.wide(tables.ledger_name(t))}"
            ),
            rejections=rejections.count(con, t, plan.days),
            rejection_columns=columns(con, rejections.TABLE),
            outcome_columns=columns(con, outcomes.TABLE),
            error=result.stopped_by,
            read_back=read_back,
        )


def _progress_text(progress: SendProgress) -> str:
    left = progress.seconds_left
    return (
        f"{progress.done:,} of {progress.total:,} users answered, "
        f"{progress.users_per_second:,.0f} users a second"
        + (f", about {left:,.0f} s left" if left is not None else "")
        + (", throttled by Braze" if progress.throttled else "")
    )
