"""The send step from start to end: find the plan, send it, apply what Braze acknowledged.

What belongs here is the order in which ledger, plan, journal and send touch each other, and
nothing else. The database is closed while requests go to Braze.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.alerts.pauses import paused
from braze_pipeline.audience.build import require_members
from braze_pipeline.braze.client import one_client
from braze_pipeline.braze.redaction import read_api_key
from braze_pipeline.braze.retry_policy import READ_RETRY_SECONDS, RetryPolicy
from braze_pipeline.errors import (
    BrazeError,
    ContractBroken,
    NotBuilt,
    PipelineError,
    PlanOutdated,
    SendInterrupted,
)
from braze_pipeline.ledger import endpoint
from braze_pipeline.ledger.apply import open_ledger
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.plan import stored_plans
from braze_pipeline.plan.build import build_plan
from braze_pipeline.plan.overrides import Overrides
from braze_pipeline.plan.preflight import find_missing
from braze_pipeline.profiles import require_profiles
from braze_pipeline.send import (
    SendJob,
    SendResult,
    accounting,
    outcome_records,
    send_plan,
    sending,
    sent_so_far,
)
from braze_pipeline.send.accounting import Account
from braze_pipeline.send.read_back import read_back
from braze_pipeline.storage import journal, rejections
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.journal import Journal
from braze_pipeline.storage.limits import limits_path
from braze_pipeline.storage.warehouse import columns
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.alerts.pauses import Pause
    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.send import SendProgress
    from braze_pipeline.send.read_back import ReadBack
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

Log = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class SendOutcome:
    """The outcome of a send.

    Attributes:
        plan: The plan, with its status after the send.
        result: What the sender measured.
        account: The counts, and whether they add up.
        ledger_users: Users in the ledger now.
        rejections: Rejections of the plan's days, of all stages.
        rejection_columns, outcome_columns: Name and DuckDB type of the columns of these tables.
        error: What ended the send early; None if it was completed.
        read_back: What the read-back found; None if it is switched off.
        paused: Why nothing, or no more, was sent; None if the destination is not paused.
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
    paused: Pause | None = None

    def sentence(self) -> str:
        """The outcome in one line."""
        a = self.account
        return (
            f"{counted(a.planned, 'user')} planned, {a.accepted:,} accepted, "
            f"{a.rejected:,} rejected, {a.not_attempted:,} not attempted; "
            f"{a.unchanged:,} unchanged, {a.superseded:,} superseded."
        )


def send_days(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    run_id: str,
    resumes: Collection[str] = (),
    environ: Mapping[str, str],
    log: Log,
    on_progress: Callable[[SendProgress], None] | None = None,
    every: float = 5.0,
) -> SendOutcome:
    """Send the plan of the days, and apply what Braze acknowledged to the ledger.

    The plan is the run's own. A run that made none, such as a rerun from failure, sends the newest.
    If that is out of date and one of the runs that it ``resumes`` made it, it is made again.

    ``on_progress`` is called about every ``every`` seconds; without it, progress is logged.

    While the destination is paused nothing is sent, and a send under way stops: see ``paused``.

    An error that ends the send early is returned in ``error``, not raised: what Braze acknowledged
    until then is in the ledger, and a rerun resumes from there.

    Raises:
        NotBuilt: these days have no plan, or the plan's snapshot is gone.
        PlanOutdated: the ledger changed after the plan was made, or its days were built again.
        EndpointMismatch: the ledger belongs to another Braze endpoint.
        GuardStopped: a guard stopped the plan.
        SendBusy: another send to the destination is running.
        InvalidCredentials: no API key is set, although there is something to send.
        AudienceEmpty, ContractBroken: a plan had to be made again, and the day cannot be planned.
        AccountingError: the counts of a plan that was made again do not add up; those of the send
            are in ``account``, which says whether they do.
    """
    destination = t.destination
    with sending(warehouse.lock_path(destination.name), destination.name):
        plan = _plan_or_replan(warehouse, t, days, run_id=run_id, resumes=resumes, log=log)
        result, pause = _carry_out(
            warehouse,
            t,
            plan,
            run_id=run_id,
            environ=environ,
            log=log,
            on_progress=on_progress or (lambda progress: log(progress.sentence())),
            every=every,
        )
        users = destination.read_back_users
        compared = compare_sample(warehouse, t, plan, result, users=users, environ=environ, log=log)
        with warehouse.connect() as con:
            # First what Braze acknowledged, then the counts, which must add up with the ledger.
            ledger = open_ledger(con, warehouse, t)
            account = accounting.account(con, warehouse, t, plan, result)
            if pause is None or result.requests:
                outcome_records.record(con, t, plan, result, run_id=run_id)
            return SendOutcome(
                plan=stored_plans.load(con, plan.plan_id),
                result=result,
                account=account,
                ledger_users=ledger.count_users(),
                rejections=rejections.count(con, t, plan.days),
                rejection_columns=columns(con, rejections.TABLE),
                outcome_columns=columns(con, outcome_records.TABLE),
                error=result.stopped_by,
                read_back=compared,
                paused=pause,
            )


def _carry_out(
    warehouse: Warehouse,
    t: TemplateSettings,
    plan: PlanSummary,
    *,
    run_id: str,
    environ: Mapping[str, str],
    log: Log,
    on_progress: Callable[[SendProgress], None],
    every: float,
) -> tuple[SendResult, Pause | None]:
    """Send the plan until it is done, or until a person pauses the destination."""

    def pause() -> Pause | None:
        return paused(warehouse.actions_path, t.destination.name)

    if (found := pause()) is not None:
        done = journal.progress(warehouse.journal_path, plan.plan_id)
        return sent_so_far(done, plan.planned_users), found

    stop = threading.Event()

    def report(progress: SendProgress) -> None:
        on_progress(progress)
        if pause() is not None:
            stop.set()

    key = t.destination.api_key_env
    held = True
    before: SendResult | None = None
    while held and found is None:  # again, if the destination was resumed before the send stopped
        stop.clear()
        result = send_plan(
            job_of(warehouse, t, plan, run_id=run_id, environ=environ),
            secret=read_api_key(environ, key) if plan.planned_users else None,
            journal=Journal(warehouse.journal_path),
            stop=stop,
            on_progress=report,
            log=log,
            every=every,
        )
        before = result = result.after(before) if before else result
        held = stop.is_set() and isinstance(result.stopped_by, SendInterrupted)
        found = pause() if held else None
    error = None if found else result.stopped_by or all_refused(plan, result)
    return replace(result, stopped_by=error), found


def job_of(
    warehouse: Warehouse,
    t: TemplateSettings,
    plan: PlanSummary,
    *,
    run_id: str,
    environ: Mapping[str, str],
) -> SendJob:
    """The send of a plan."""
    return SendJob(
        snapshot=warehouse.snapshot(plan.plan_id),
        plan_id=plan.plan_id,
        template=t.name,
        run_id=run_id,
        destination=t.destination,
        endpoint=plan.endpoint,
        limits=limits_path(warehouse, environ),
    )


def all_refused(plan: PlanSummary, result: SendResult) -> PipelineError | None:
    """The error of a send in which Braze refused every user, now or before; None otherwise."""
    refused, before = result.rejected_users, plan.held_back_users
    if refused and not result.accepted_users and not result.not_attempted_users:
        what = f"Braze rejected all {refused:,} users that were sent."
    elif before == plan.profiles + plan.leaving_users > 0:
        what = f"Braze rejected all {before:,} users before, and their values have not changed."
    else:
        return None
    return ContractBroken(
        what,
        fix="`braze-pipeline rejections` shows Braze's reasons. Once they are resolved, "
        "`braze-pipeline retry-rejected` sends these users again.",
    )


def _plan_or_replan(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    run_id: str,
    resumes: Collection[str],
    log: Log,
) -> PlanSummary:
    """The run's own plan; made again if another run changed the ledger in the meantime.

    This run holds the destination's lock by now, so that cannot happen twice. Guards judge the new
    plan too. A plan that is not of this run or its attempts is never replaced: somebody may have
    approved it.
    """
    try:
        return _plan_to_send(warehouse, t, days, run_id=run_id)
    except (NotBuilt, PlanOutdated):
        with warehouse.connect() as con:
            outdated = _latest(con, t, days, run_id=run_id)
            ours = outdated is not None and outdated.run_id in {run_id, *resumes}
            if outdated is None or not ours or outdated.force_stale is not None:
                raise
            passed = {g.name: g.let_through for g in outdated.guards if g.let_through}
            # A run that failed since may have left a day without an audience or profiles.
            require_members(con, t, max(days))
            require_profiles(con, t, max(days))
            reason = next(iter(passed.values()), None)
            overrides = Overrides(let_through=tuple(passed), reason=reason)
            plan = build_plan(
                con, warehouse, t, days, run_id=run_id, now=utc_now(), overrides=overrides,
                preflight=find_missing(outdated.preflight, ledger_of(con, t), t),
                bulk_permitted=outdated.bulk_permitted,
            )  # fmt: skip
        log(
            "The plan was out of date: planned again, with "
            f"{counted(plan.planned_users, 'user')} to send."
        )
        return _plan_to_send(warehouse, t, days, run_id=run_id)


def _plan_to_send(
    warehouse: Warehouse, t: TemplateSettings, days: Sequence[date], *, run_id: str
) -> PlanSummary:
    """The plan that this run made, or the newest plan of the days if this run only sends."""
    with warehouse.connect() as con:
        endpoint.claim(con, warehouse, t)
        plan = _latest(con, t, days, run_id=run_id)
        if plan is None:
            until = f" to {days[-1]}" if days[1:] else ""
            raise NotBuilt(
                f"There is no plan of {t.name} for {days[0]}{until}.",
                fix="Materialize braze_plan for these days first.",
            )
        stored_plans.check_sendable(con, warehouse, t, plan.plan_id)
        return plan


def _latest(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, days: Sequence[date], *, run_id: str
) -> PlanSummary | None:
    return stored_plans.latest(con, t, days, run_id=run_id) or stored_plans.latest(con, t, days)


def compare_sample(
    warehouse: Warehouse,
    t: TemplateSettings,
    plan: PlanSummary,
    result: SendResult,
    *,
    users: int,
    environ: Mapping[str, str],
    log: Log,
) -> ReadBack | None:
    """Compare a sample of ``users`` with Braze; never fails the send."""
    destination = t.destination
    if not users or not result.accepted_users or result.stopped_by:
        return None
    with_retries = RetryPolicy(
        throttled=min(destination.max_throttle_seconds, READ_RETRY_SECONDS),
        failing=min(destination.retry_budget_seconds, READ_RETRY_SECONDS),
        log=log,
    )
    try:
        with one_client(destination, environ) as client:
            return with_retries(
                lambda: read_back(
                    client,
                    warehouse.journal_path,
                    snapshot=warehouse.snapshot(plan.plan_id),
                    plan_id=plan.plan_id,
                    identifier=destination.identifier,
                    users=users,
                )
            )
    except BrazeError as error:
        log(f"The read-back was skipped: {error}")
        return None
