"""The asset checks, named after what they promise.

What belongs here: their names, descriptions and results. What does not: the decisions, which the
rooms make. Each is evaluated inside its asset, because a separate check would be a step of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from braze_pipeline.attributes.freshness import NEWEST, evaluate_sources, not_known
from braze_pipeline.audience.build import EMPTY_AUDIENCE_FIX
from braze_pipeline.orchestration.overrides import LET_THROUGH, REASON
from braze_pipeline.plan import guards
from braze_pipeline.profiles.identifier import NO_IDENTIFIER, missing_identifier_summary
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.attributes.result import AttributesSummary
    from braze_pipeline.audience.build import Funnel
    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.predicted_value.step import Predicted
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
NOT_PAUSED = "destination_is_not_paused"
PREDICTED = "newest_fit_is_published"

_GUARD_PREFIX = "guard_"
_BLOCKING = {AUDIENCE, ACCOUNTING}

_PROMISES = {
    FRESH_SOURCES: "No source table is empty, late or full of unusable lines (`source_checks`).",
    AUDIENCE: "The newest day's audience is not empty; nothing is planned for an empty one.",
    CONTRACT: "Every value is valid. One that is not is left out, and listed in the rejections.",
    IDENTIFIED: "Everybody in the newest day's audience has the user identifier that Braze needs.",
    ACCOUNTING: (
        "Every planned user ended as accepted, rejected or not attempted, by counts that were made "
        "independently."
    ),
    READ_BACK: "A sample of users, read back from Braze, has what was sent.",
    PREDICTED: (
        "The newest refit of the predicted value was better than a naive guess on held-out time. "
        "Otherwise the earlier fit stays in force."
    ),
    NOT_PAUSED: "Nobody has paused the destination: what was planned was sent.",
}

_GUARDS = {
    guards.AUDIENCE_SIZE: (
        "The audience is about as large as in the last good run.",
        "min_audience_share",
        "max_audience_share",
    ),
    guards.CHANGED_SHARE: ("The share of users that change is not too large.", "max_changed_share"),
    guards.NULL_SHARE: ("No attribute suddenly lost its values.", "max_null_share_rise"),
    guards.REJECTED_SHARE: ("Most of the audience passed the contract.", "max_rejected_share"),
    guards.NEW_ATTRIBUTES: ("There are not too many new attribute names.", "max_new_attributes"),
    guards.MISSING_ATTRIBUTES: (
        "Braze still has most of the attributes that it acknowledged.",
        "max_missing_share",
    ),
    guards.DATA_POINTS: ("The forecast of data points is within the limit.", "max_data_points"),
    guards.REQUESTS: ("The forecast of requests is within the limit.", "max_requests"),
}
"""By guard: what its check promises, and the settings that switch it on."""


def spec(name: str, asset: dg.AssetKey) -> dg.AssetCheckSpec:
    """A check of an asset, with what it promises."""
    return dg.AssetCheckSpec(
        name, asset=asset, blocking=name in _BLOCKING, description=_PROMISES[name]
    )


def guard_check(name: str) -> str:
    """The name of a guard's check."""
    return f"{_GUARD_PREFIX}{name}"


def guard_of(check: str) -> str | None:
    """The guard that a check is about; None for any other check."""
    return check.removeprefix(_GUARD_PREFIX) if check.startswith(_GUARD_PREFIX) else None


def guard_specs(t: TemplateSettings, asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """One blocking check for each guard that has a limit in the template."""
    limits = t.guards.model_dump()
    return [
        dg.AssetCheckSpec(guard_check(name), asset=asset, blocking=True, description=text)
        for name, (text, *settings) in _GUARDS.items()
        if any(limits[setting] is not None for setting in settings)
    ]


def _result(
    name: str, *, passed: bool, description: str, metadata: Mapping[str, Any]
) -> dg.AssetCheckResult:
    """The result of a check: where it does not pass, an error if it blocks, else a warning."""
    blocks = name in _BLOCKING or guard_of(name) is not None
    return dg.AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=metadata,
    )


def predicted_result(found: Predicted, backtest: Mapping[str, Any]) -> dg.AssetCheckResult:
    """Passes when the newest refit was published; otherwise a warning: the earlier one counts.

    ``backtest`` is the metadata that shows how the candidates did.
    """
    return _result(
        PREDICTED, passed=not found.refused, description=found.sentence(), metadata=backtest
    )


def guard_results(plan: PlanSummary) -> list[dg.AssetCheckResult]:
    """The results of a plan's guards. A guard that was overridden passes, with the reason."""
    return [
        _result(
            guard_check(guard.name),
            passed=not guard.stops,
            description=f"Found: {guard.saw}; allowed: {guard.allowed}."
            + (f" Let through: {guard.let_through}." if guard.let_through else ""),
            metadata={
                "saw": guard.saw,
                "allowed": guard.allowed,
                **guard.figures,
                **({} if guard.passed else _ways_through(guard.name, plan)),
            },
        )
        for guard in plan.guards
    ]


def _ways_through(name: str, plan: PlanSummary) -> dict[str, str]:
    """What to do where the data is wrong, and how one run may pass where it is right."""
    until = f" --until {plan.days[-1]}" if len(plan.days) > 1 else ""
    run = f"braze-pipeline run --as-of {plan.days[0]}{until}"
    return {
        "if the data is wrong": (
            'fix the source, then "Re-execute all" of the run; "from failure" would plan the same '
            "data again"
        ),
        "let it through once": f'{run} --let-through {name} --reason "…"',
        "or with the run tags": f"{LET_THROUGH} = {name} and {REASON} = …",
    }


def log_what_stops(context: dg.AssetExecutionContext, results: list[dg.AssetCheckResult]) -> None:
    """Log what blocking checks that fail saw, and what to do about it.

    Dagster's own error on the page of the run says only that some check failed.
    """
    for result in results:
        if result.passed or result.severity is not dg.AssetCheckSeverity.ERROR:
            continue
        more = [
            f"{name}: {found.value}"
            for name, found in result.metadata.items()
            # What it saw and what is allowed is in the description already.
            if name not in {"saw", "allowed"} and not isinstance(found.value, float)
        ]
        context.log.error("%s. %s", result.check_name, "\n".join([result.description or "", *more]))


def source_result(
    t: TemplateSettings, sources: Sequence[SourceInfo], newest: AttributesSummary
) -> dg.AssetCheckResult:
    """Passes when every source table is as new and as complete as the template expects.

    Otherwise a warning: what is there is good, and a day without orders may be a holiday.
    """
    findings = evaluate_sources(t, sources, newest)
    problems = [finding.sentence() for finding in findings if not finding.passed]
    unknown = not_known(t, sources)
    fine = (
        ""
        if unknown
        else f"The source tables are as new and as complete as {newest.day} needs them."
        if any(finding.what == NEWEST for finding in findings)
        else "How new the source tables are is not known: only orders and consents are checked."
    )
    return _result(
        FRESH_SOURCES,
        passed=not problems,
        description=" ".join([*(problems or [fine]), unknown]).strip(),
        metadata={
            **{
                f"{finding.source}: {finding.what}": f"{finding.saw}; allowed: {finding.allowed}"
                for finding in findings
            },
            **{f"{finding.source}: {finding.unit}": finding.number for finding in findings},
        },
    )


def audience_result(funnels: Sequence[Funnel]) -> dg.AssetCheckResult:
    """Passes when the newest day's audience is not empty: of a range, only that day is sent.

    An empty audience is more likely a faulty rule or source than a brand without customers, and
    everybody would count as having left.
    """
    newest = funnels[-1]
    return _result(
        AUDIENCE,
        passed=newest.audience > 0,
        description=(
            f"Saw {newest.audience:,} of {newest.customers:,} customers in the audience of "
            f"{newest.day}; allowed: at least 1."
        ),
        metadata={
            "saw": newest.audience,
            "allowed": "at least 1",
            "customers": newest.customers,
            "share of customers": newest.audience / newest.customers if newest.customers else 0.0,
            "days without anybody": sum(not funnel.audience for funnel in funnels),
            **{f"left out by {rule}": number for rule, number in newest.excluded.items()},
            **({} if newest.audience else {"what to do": EMPTY_AUDIENCE_FIX}),
        },
    )


def contract_result(summaries: Sequence[ProfilesSummary]) -> dg.AssetCheckResult:
    """Passes when nothing was rejected; otherwise a warning, since the rest is good."""
    values = sum(summary.rejected_values for summary in summaries)
    rows = sum(summary.rejected_rows for summary in summaries)
    audience = sum(summary.audience for summary in summaries)
    return _result(
        CONTRACT,
        passed=values == 0 and rows == 0,
        description=(
            f"{counted(values, 'value')} and {counted(rows, 'row')} were left out; the "
            "rejections give the reasons. All that remains is valid."
            if values or rows
            else "Every value and row is valid."
        ),
        metadata={
            "rejected_values": values,
            "rejected_rows": rows,
            "audience": audience,
            "rejected share": rows / audience if audience else 0.0,
        },
    )


def identifier_result(t: TemplateSettings, newest: ProfilesSummary) -> dg.AssetCheckResult:
    """Passes when everybody has an identifier; otherwise a warning: the others are sent."""
    without = newest.rejected_by_reason.get(NO_IDENTIFIER, 0)
    return _result(
        IDENTIFIED,
        passed=not without,
        description=missing_identifier_summary(t, without=without, audience=newest.audience),
        metadata={"without_identifier": without, "audience": newest.audience},
    )


def send_specs(t: TemplateSettings, asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The accounting, the pause, and the read-back where it is switched on."""
    read_back = [READ_BACK] if t.destination.read_back_users else []
    return [spec(name, asset) for name in (ACCOUNTING, NOT_PAUSED, *read_back)]


def send_results(t: TemplateSettings, outcome: SendOutcome) -> list[dg.AssetCheckResult]:
    """The results of the checks that ``send_specs`` names."""
    account, compared, pause = outcome.account, outcome.read_back, outcome.paused
    results = [
        _result(
            ACCOUNTING,
            passed=account.holds,
            description=account.sentence(),
            metadata=account.counts(),
        ),
        _result(
            NOT_PAUSED,
            passed=pause is None,
            description=pause.sentence() if pause else "The destination is not paused.",
            metadata={"not attempted users": account.not_attempted},
        ),
    ]
    if t.destination.read_back_users:
        nothing = "Nothing was read back: no user was sent, or the log gives the reason."
        results.append(
            _result(
                READ_BACK,
                passed=compared is None or compared.agrees,
                description=compared.sentence() if compared else nothing,
                metadata={
                    "users compared": compared.compared if compared else 0,
                    "attributes that differ": len(compared.differences) if compared else 0,
                },
            )
        )
    return results
