"""The plan step from start to end: compare names with Braze, look up users, make the plan.

The database is closed while Braze is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from braze_pipeline.audience.build import require_members
from braze_pipeline.ledger import endpoint
from braze_pipeline.ledger.ledger import ledger_of
from braze_pipeline.plan import preflight, stored_plans
from braze_pipeline.plan.build import build_plan
from braze_pipeline.plan.bulk_access import bulk_permitted
from braze_pipeline.plan.lookup import look_up_users
from braze_pipeline.plan.overrides import Overrides
from braze_pipeline.profiles import require_profiles

if TYPE_CHECKING:
    from braze_pipeline.plan.preflight import Preflight
    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse


def plan_days(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    run_id: str,
    now: datetime,
    environ: Mapping[str, str],
    overrides: Overrides,
    log: Callable[[str], None],
) -> PlanSummary:
    """Plan the days, after the questions to Braze that the destination's settings ask for.

    Raises:
        NotBuilt, AudienceEmpty: the newest day has no audience, or an empty one.
        MissingRequiredField, ContractBroken: all rows of the newest day were rejected.
        EndpointMismatch: the ledger belongs to another Braze endpoint.
        PipelineError: see ``plan.build.build_plan`` and ``plan.lookup``.
    """
    with warehouse.connect() as con:
        require_members(con, t, max(days))
        require_profiles(con, t, max(days))
        endpoint.claim(con, warehouse, t)
        last = stored_plans.latest(con, t)
    compared = compare_with_braze(warehouse, t, last, environ=environ, now=now, log=log)
    in_bulk = bulk_permitted(t.destination, environ=environ, log=log)
    if t.destination.known_users.source == "lookup":
        look_up_users(warehouse, t, days, now=now, environ=environ, log=log)
    with warehouse.connect() as con:
        plan = build_plan(
            con,
            warehouse,
            t,
            days,
            run_id=run_id,
            now=now,
            overrides=overrides,
            preflight=compared,
            bulk_permitted=in_bulk,
        )
    if plan.predicted is not None:
        log(f"{plan.predicted.sentence()}.")
    return plan


def compare_with_braze(
    warehouse: Warehouse,
    t: TemplateSettings,
    last: PlanSummary | None,
    *,
    environ: Mapping[str, str],
    now: datetime,
    log: Callable[[str], None],
) -> Preflight:
    """Compare names and types with Braze's, and with what Braze must have by the ledger.

    If Braze cannot be asked now, what it had at the time of the ``last`` plan counts.
    """
    compared = preflight.ask(t, environ=environ, now=now, last=last.preflight if last else None)
    if compared.absent:
        with warehouse.connect() as con:
            compared = preflight.find_missing(compared, ledger_of(con, t), t)
    for line in compared.lines():
        log(line)
    return compared
