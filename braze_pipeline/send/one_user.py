"""Trying one user: the plan for them alone, and sending it as a run would.

What is acknowledged goes through the same journal to the same ledger, so the next run does not send
it again. The day does not count as carried out: nobody looked at the other users.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.alerts.pauses import paused
from braze_pipeline.audience.build import require_members
from braze_pipeline.braze.redaction import read_api_key
from braze_pipeline.braze.track_endpoints import track_endpoint
from braze_pipeline.errors import PlanOutdated
from braze_pipeline.ledger import endpoint
from braze_pipeline.ledger.apply import open_ledger
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.ledger.moved import would_outdate
from braze_pipeline.plan import stored_plans
from braze_pipeline.plan.build import plan_user
from braze_pipeline.plan.lookup import look_up_users
from braze_pipeline.plan.step import compare_with_braze
from braze_pipeline.profiles import require_profiles
from braze_pipeline.send import outcome_records, send_plan, sending
from braze_pipeline.send.batches import batches
from braze_pipeline.send.step import compare_sample, job_of
from braze_pipeline.settings import CUSTOMER
from braze_pipeline.storage import journal, rejections
from braze_pipeline.storage.clock import utc_now
from braze_pipeline.storage.journal import Journal
from braze_pipeline.storage.masking import mask
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import quote

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.alerts.pauses import Pause
    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.send.read_back import ReadBack
    from braze_pipeline.send.result import SendResult
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

Log = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What would be sent to a user.

    Attributes:
        plan: The plan for this user alone.
        address: Where the request goes.
        body: The request's body as it would go out; None if there is nothing to send.
        why_nothing: Then the reason.
        outdates: Ledgers of the destination's other identifier whose next run, once this is sent,
            sends these attributes to its whole audience again.
    """

    plan: PlanSummary
    address: str
    body: bytes | None
    why_nothing: str = ""
    outdates: tuple[str, ...] = ()


def try_user(
    warehouse: Warehouse,
    t: TemplateSettings,
    day: date,
    user: str,
    *,
    environ: Mapping[str, str],
    log: Log,
) -> Trial:
    """Plan one user from the profiles of a day that was built. Nothing is sent or recorded.

    Raises:
        NotBuilt, AudienceEmpty: the day has no audience, or an empty one.
        PipelineError: see ``plan.step.plan_days``.
    """
    now = utc_now()
    with warehouse.connect() as con:
        require_members(con, t, day)
        require_profiles(con, t, day)
        last = stored_plans.latest(con, t)
    compared = compare_with_braze(warehouse, t, last, environ=environ, now=now, log=log)
    if t.destination.known_users.source == "lookup":
        look_up_users(warehouse, t, [day], now=now, environ=environ, log=log, user=user)
    with warehouse.connect() as con:
        run_id = f"try-{uuid.uuid4()}"
        plan = plan_user(con, warehouse, t, day, user, run_id=run_id, now=now, preflight=compared)
        snapshot = warehouse.snapshot(plan.plan_id)
        address = t.destination.endpoint + track_endpoint(t.destination, plan.endpoint).path
        if plan.planned_users:
            (request,) = batches(snapshot, {})
            sent = [cost.name for cost in plan.by_attribute if cost.users]
            outdates = tuple(would_outdate(ledger_of(con, t), sent))
            return Trial(plan=plan, address=address, body=bytes(request.body), outdates=outdates)
        snapshot.unlink()
        why = _why_nothing(con, t, plan, user)
        return Trial(plan=plan, address=address, body=None, why_nothing=why)


def _why_nothing(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, plan: PlanSummary, user: str
) -> str:
    day = plan.days[0]
    if plan.unchanged_users:
        return "Braze has acknowledged every value of this user."
    if plan.superseded_users:
        return "What differs was sent for a newer day: older values never overwrite newer ones."
    if plan.held_back_users:
        return "Braze rejected exactly this object before, or no request is large enough for it."
    query = read_sql(
        "send", "why_no_profile", audience=t.table("audience"), rejections=rejections.TABLE,
        attributes=t.table("customer_attributes"), identifier=quote(t.identifier_column),
        customer=CUSTOMER,
    )  # fmt: skip
    values = {"day": day, "user": user, "d": t.destination.name, "template": t.name}
    found = con.execute(query, values).fetchone()
    if found is None:
        return f"No row of {day} has this user identifier."
    excluded, reasons = found
    if excluded:
        return f"The user is not in the audience of {day}: excluded by {excluded}."
    return f"The user's row of {day} was rejected: {reasons or 'see `rejections --rows`'}."


def masked_body(trial: Trial) -> str:
    """The request with the identifier and personal values as masks."""
    personal = {column.name for column in trial.plan.columns if column.pii}
    public = {column.name for column in trial.plan.columns} - personal
    document = json.loads(trial.body or b"{}")
    return json.dumps(
        {
            key: [
                {
                    name: value if name in public or name.startswith("_") else mask(value)
                    for name, value in one.items()
                }
                for one in objects
            ]
            for key, objects in document.items()
        },
        ensure_ascii=False,
    )


@dataclass(frozen=True, kw_only=True)
class TrialOutcome:
    """What Braze answered; ``read_back`` is None where it could not be asked.

    ``result`` is None if nothing was sent, because the destination is ``paused``.
    """

    result: SendResult | None = None
    read_back: ReadBack | None = None
    paused: Pause | None = None


def send_trial(
    warehouse: Warehouse,
    t: TemplateSettings,
    trial: Trial,
    *,
    environ: Mapping[str, str],
    log: Log,
) -> TrialOutcome:
    """Send a trial, record it as a run's send is recorded, and read the user back.

    Raises:
        PlanOutdated: the ledger changed since the user was planned; nothing was sent.
        SendBusy: another send to the destination is running.
        PipelineError: see ``send.step.send_days``.
    """
    destination, plan = t.destination, trial.plan
    with sending(warehouse.lock_path(destination.name), destination.name):
        if (pause := paused(warehouse.actions_path, destination.name)) is not None:
            return TrialOutcome(paused=pause)
        secret = read_api_key(environ, destination.api_key_env)
        with warehouse.connect() as con:
            ledger = endpoint.claim(con, warehouse, t)
            state = ledger.template(t.name)
            if ledger.version() != plan.ledger_version or state is None:
                raise PlanOutdated(
                    "Another run changed the ledger meanwhile; nothing was sent.",
                    fix="Try the user again.",
                )
            stored_plans.store(con, plan, template_no=state.template_no)
        job = job_of(warehouse, t, plan, run_id=plan.run_id, environ=environ)
        result = send_plan(job, secret=secret, journal=Journal(warehouse.journal_path), log=log)
        found = compare_sample(warehouse, t, plan, result, users=1, environ=environ, log=log)
        with warehouse.connect() as con:
            open_ledger(con, warehouse, t)
            outcome_records.record(con, t, plan, result, run_id=plan.run_id)
    return TrialOutcome(result=result, read_back=found)


@contextmanager
def not_sent_is_discarded(warehouse: Warehouse, trial: Trial) -> Iterator[None]:
    """Afterwards nothing is left of a trial that no send was started for: it has values."""
    try:
        yield
    finally:
        plan = trial.plan
        key = (plan.run_id, plan.destination, plan.template)
        if journal.plan_of_run(warehouse.journal_path, *key) is None:
            warehouse.snapshot(plan.plan_id).unlink(missing_ok=True)
