"""The asset checks, named for what they promise.

They are made inside the asset that they judge: a separate check would be a step of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from braze_pipeline.attributes.freshness import evaluate_sources
from braze_pipeline.audience.build import EMPTY_AUDIENCE_FIX
from braze_pipeline.orchestration.overrides import LET_THROUGH, REASON
from braze_pipeline.plan import guards
from braze_pipeline.profiles.identifier import NO_IDENTIFIER, missing_identifier_summary

if TYPE_CHECKING:
    from braze_pipeline.attributes.build import AttributesSummary
    from braze_pipeline.audience.build import Funnel
    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.profiles import ProfilesSummary
    from braze_pipeline.send.step import SendOutcome
    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.sources import SourceInfo

FRESH_SOURCES = "sources_are_fresh_and_complete"
AUDIENCE = "audience_is_not_empty"
CONTRACT = "profiles_satisfy_the_contract"
IDENTIFIED = "every_customer_has_an_identifier"
ACCOUNTING = "every_user_is_accounted_for"
READ_BACK = "braze_has_what_was_sent"

_PROMISES = {
    FRESH_SOURCES: (
        "No source table is empty, late, or full of lines that cannot be used (`source_checks`)."
    ),
    AUDIENCE: "Somebody is in the audience of the newest day; an empty one is not planned.",
    CONTRACT: (
        "Every profile satisfies the pandera schema of the template; what does not is in the "
        "rejections."
    ),
    IDENTIFIED: (
        "Every customer of the newest day's audience has the identifier by which Braze knows users."
    ),
    ACCOUNTING: (
        "Every planned user ended as accepted, rejected or not attempted, by counts that were "
        "made independently."
    ),
    READ_BACK: "A sample of users, read back from Braze, has what was sent.",
}
_BLOCKING = {AUDIENCE, ACCOUNTING}

_GUARD_PREFIX = "guard_"

_IN_WORDS = {"saw", "allowed"}
"""Metadata that a check's description says as well."""

_GUARDS = {
    guards.AUDIENCE_SIZE: "The audience is about as large as in the last good run.",
    guards.CHANGED_SHARE: "No more users change at once than is usual.",
    guards.NULL_SHARE: "No attribute suddenly lost its values.",
    guards.REJECTED_SHARE: "Most of the audience passed the contract.",
    guards.NEW_ATTRIBUTES: "No flood of new attribute names in Braze.",
    guards.DATA_POINTS: "The forecast of data points is below the ceiling.",
    guards.REQUESTS: "The forecast of requests is below the ceiling.",
}


def spec(name: str, asset: dg.AssetKey) -> dg.AssetCheckSpec:
    """A check of an asset, with what it promises."""
    return dg.AssetCheckSpec(
        name, asset=asset, blocking=name in _BLOCKING, description=_PROMISES[name]
    )


def guard_check(name: str) -> str:
    """The name of a guard's check."""
    return f"{_GUARD_PREFIX}{name}"


def guard_of(check: str) -> str | None:
    """The guard whose check it is; None for any other check."""
    return check.removeprefix(_GUARD_PREFIX) if check.startswith(_GUARD_PREFIX) else None


def guard_specs(t: TemplateSettings, asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """One blocking check for each guard that the template has switched on."""
    return [
        dg.AssetCheckSpec(guard_check(name), asset=asset, blocking=True, description=text)
        for name, text in _GUARDS.items()
        if name in switched_on(t)
    ]


def switched_on(t: TemplateSettings) -> set[str]:
    """The names of the guards that have a threshold."""
    g = t.guards
    thresholds = {
        guards.AUDIENCE_SIZE: (g.min_audience_share, g.max_audience_share),
        guards.CHANGED_SHARE: (g.max_changed_share,),
        guards.NULL_SHARE: (g.max_null_share_rise,),
        guards.REJECTED_SHARE: (g.max_rejected_share,),
        guards.NEW_ATTRIBUTES: (g.max_new_attributes,),
        guards.DATA_POINTS: (g.max_data_points,),
        guards.REQUESTS: (g.max_requests,),
    }
    return {name for name, found in thresholds.items() if any(one is not None for one in found)}


def guard_results(plan: PlanSummary) -> list[dg.AssetCheckResult]:
    """The guards' verdicts on a plan; one let through passes, and says by whose word."""
    return [
        dg.AssetCheckResult(
            check_name=guard_check(guard.name),
            passed=not guard.stops,
            severity=dg.AssetCheckSeverity.ERROR,
            description=_verdict(guard.saw, guard.allowed, guard.let_through),
            metadata={
                "saw": guard.saw,
                "allowed": guard.allowed,
                **({} if guard.passed else _ways_through(guard.name, plan)),
            },
        )
        for guard in plan.guards
    ]


def _verdict(saw: str, allowed: str, let_through: str | None) -> str:
    said = f"Saw {saw}; allowed: {allowed}."
    return f"{said} Let through: {let_through}." if let_through else said


def _ways_through(name: str, plan: PlanSummary) -> dict[str, str]:
    """What to do where the data is wrong, and how one run may pass where it is right."""
    until = f" --until {plan.days[-1]}" if len(plan.days) > 1 else ""
    run = f"braze-pipeline run --as-of {plan.days[0]}{until}"
    return {
        "if the data is wrong": (
            'mend the source, then "Re-execute all" of the run; "from failure" would plan the same '
            "data again"
        ),
        "let it through once": f'{run} --let-through {name} --reason "…"',
        "or with the run tags": f"{LET_THROUGH} = {name} and {REASON} = …",
    }


def say_what_stops(context: dg.AssetExecutionContext, results: list[dg.AssetCheckResult]) -> None:
    """Of blocking checks that fail: what they saw and what to do, in the log of the run.

    Dagster's own error on the page of the run says no more than that some check failed.
    """
    for result in results:
        if result.passed or result.severity is not dg.AssetCheckSeverity.ERROR:
            continue
        more = [
            f"{name}: {found.value}"
            for name, found in result.metadata.items()
            if name not in _IN_WORDS
        ]
        context.log.error("%s. %s", result.check_name, "\n".join([result.description or "", *more]))


def source_result(
    t: TemplateSettings, sources: Sequence[SourceInfo], newest: AttributesSummary
) -> dg.AssetCheckResult:
    """Passes when every source table is as new and as whole as the template expects.

    A warning otherwise: what is there is good, and a day without orders may be a holiday.
    """
    findings = evaluate_sources(t, sources, newest)
    wrong = [finding.sentence() for finding in findings if not finding.passed]
    return dg.AssetCheckResult(
        check_name=FRESH_SOURCES,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(wrong)
        or f"The source tables are as new and as whole as {newest.day} needs them.",
        metadata={
            f"{finding.source}: {finding.what}": f"{finding.saw}; allowed: {finding.allowed}"
            for finding in findings
        },
    )


def audience_result(funnels: Sequence[Funnel]) -> dg.AssetCheckResult:
    """Passes when the newest day has somebody: of a range, only that day's state is sent.

    Nobody at all is rather a rule or a source gone wrong than a brand without customers, and
    everybody would count as having left.
    """
    newest = funnels[-1]
    empty = [funnel.day for funnel in funnels if not funnel.audience]
    return dg.AssetCheckResult(
        check_name=AUDIENCE,
        passed=newest.audience > 0,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"Saw {newest.audience:,} of {newest.customers:,} customers in the audience of "
            f"{newest.day}; allowed: at least 1."
        ),
        metadata={
            "saw": newest.audience,
            "allowed": "at least 1",
            "days without anybody": len(empty),
            **{f"left out by {rule}": number for rule, number in newest.excluded.items()},
            **({} if newest.audience else {"what to do": EMPTY_AUDIENCE_FIX}),
        },
    )


def contract_result(summaries: Sequence[ProfilesSummary]) -> dg.AssetCheckResult:
    """Passes when nothing was rejected; a warning otherwise, since the rest is good."""
    values = sum(summary.rejected_values for summary in summaries)
    rows = sum(summary.rejected_rows for summary in summaries)
    return dg.AssetCheckResult(
        check_name=CONTRACT,
        passed=values == 0 and rows == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"{values:,} values and {rows:,} rows did not pass; they are held back, with reasons, "
            "in the rejections. What is in the profiles satisfies the contract."
        ),
        metadata={"rejected_values": values, "rejected_rows": rows},
    )


def identifier_result(t: TemplateSettings, newest: ProfilesSummary) -> dg.AssetCheckResult:
    """Passes when nobody lacks an identifier; a warning otherwise: the others are sent."""
    without = newest.rejected_by_reason.get(NO_IDENTIFIER, 0)
    return dg.AssetCheckResult(
        check_name=IDENTIFIED,
        passed=not without,
        severity=dg.AssetCheckSeverity.WARN,
        description=missing_identifier_summary(t, without=without, audience=newest.audience),
        metadata={"without_identifier": without, "audience": newest.audience},
    )


def send_results(t: TemplateSettings, outcome: SendOutcome) -> list[dg.AssetCheckResult]:
    """Accounting, and the read-back where it is switched on."""
    results = [
        dg.AssetCheckResult(
            check_name=ACCOUNTING,
            passed=outcome.account.holds,
            description=outcome.account.sentence(),
            metadata=dict(outcome.account.counts()),
        )
    ]
    if t.destination.read_back_users:
        found = outcome.read_back
        nothing = "Nothing was read back: nobody was sent anything, or the log tells why."
        results.append(
            dg.AssetCheckResult(
                check_name=READ_BACK,
                passed=found is None or found.agrees,
                severity=dg.AssetCheckSeverity.WARN,
                description=found.sentence() if found else nothing,
            )
        )
    return results
