"""Guards stop a plan that is out of the ordinary: they compare it with what is usual.

A guard is data: what it found, what is allowed, whether it passed. The template sets the thresholds
(``settings.Guards``); None switches a guard off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.plan.forecast import Forecast
    from braze_pipeline.settings import Guards

# The names of the guards: of their checks in the UI, of `--let-through`, in the records.
AUDIENCE_SIZE: Final = "audience_size"
CHANGED_SHARE: Final = "changed_share"
NULL_SHARE: Final = "null_share"
REJECTED_SHARE: Final = "rejected_share"
NEW_ATTRIBUTES: Final = "new_attributes"
MISSING_ATTRIBUTES: Final = "missing_attributes"
DATA_POINTS: Final = "data_points"
REQUESTS: Final = "requests"
NAMES: Final = (
    AUDIENCE_SIZE,
    CHANGED_SHARE,
    NULL_SHARE,
    REJECTED_SHARE,
    NEW_ATTRIBUTES,
    MISSING_ATTRIBUTES,
    DATA_POINTS,
    REQUESTS,
)


@dataclass(frozen=True, kw_only=True)
class GuardResult:
    """The result of one guard.

    Attributes:
        name: As ``--let-through`` takes it.
        saw: What it found, as text with figures (never a customer's value).
        allowed: What is allowed.
        let_through: The reason given for letting this plan pass; None if nobody did.
        figures: What it found, as numbers by name; shares are between 0 and 1.
    """

    name: str
    passed: bool
    saw: str
    allowed: str
    let_through: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def stops(self) -> bool:
        """Whether it stops the plan."""
        return not self.passed and self.let_through is None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the guards evaluate.

    Attributes:
        audience, profiles: Of the newest day.
        last_audience: Of the last sent plan; None if there is none.
        last_nulls: Its share of nulls by attribute.
        in_ledger: Profiles whose users were sent before.
        changed: Of these, how many would change in an attribute that is not new.
        in_braze: Custom attributes of the template that Braze has or, by the ledger, had.
        missing: Of these, how many it does not have any more.
        first_send: The ledger was empty.
    """

    audience: int
    profiles: int
    last_audience: int | None
    last_nulls: dict[str, float]
    in_ledger: int
    changed: int
    new_attributes: Sequence[str]
    missing: int
    in_braze: int
    first_send: bool
    forecast: Forecast

    @property
    def rejected(self) -> int:
        """Customers of the audience that have no profile."""
        return max(0, self.audience - self.profiles)

    @property
    def changed_share(self) -> float:
        """Of the users sent before, the share that would change."""
        return _part(self.changed, self.in_ledger)

    @property
    def rejected_share(self) -> float:
        """Of the audience, the share that has no profile."""
        return _part(self.rejected, self.audience)


def evaluate(g: Guards, e: Evidence) -> tuple[GuardResult, ...]:
    """All guards that are switched on, in the README's order."""
    each = (_audience, _changed, _nulls, _rejected, _missing, _cost)
    return tuple(result for guard in each for result in guard(g, e))


def let_pass(
    results: Sequence[GuardResult], names: Sequence[str], reason: str | None
) -> tuple[GuardResult, ...]:
    """The same results; the named guards let the plan pass if they would stop it."""
    return tuple(
        replace(r, let_through=reason or "no reason given") if r.stops and r.name in names else r
        for r in results
    )


def _audience(g: Guards, e: Evidence) -> Iterator[GuardResult]:
    if g.min_audience_share is None and g.max_audience_share is None:
        return
    low, high = g.min_audience_share or 0.0, g.max_audience_share
    allowed = (
        f"{low:.0%} to {high:.0%} of the last run's"
        if high is not None
        else (f"at least {low:.0%} of the last run's")
    )
    last = e.last_audience
    if last is None:
        saw, passed = f"{counted(e.audience, 'customer')}; no earlier run to compare with", True
    elif max(last, e.audience) < g.min_users:
        saw = f"{counted(e.audience, 'customer')}; the last run had {last:,}: too few to evaluate"
        passed = True
    else:
        share = e.audience / last if last else float("inf")
        saw = f"{counted(e.audience, 'customer')}; the last run had {last:,}"
        passed = low <= share and (high is None or share <= high)
    figures = {"audience": e.audience, **({} if last is None else {"audience before": last})}
    yield GuardResult(name=AUDIENCE_SIZE, passed=passed, saw=saw, allowed=allowed, figures=figures)


def _changed(g: Guards, e: Evidence) -> Iterator[GuardResult]:
    what = ("changed users", "users that were sent before would change")
    yield from _share(CHANGED_SHARE, e.changed, e.in_ledger, what, g.max_changed_share, g.min_users)


def _nulls(g: Guards, e: Evidence) -> Iterator[GuardResult]:
    if g.max_null_share_rise is None:
        return
    rises = {
        # Rounded: a rise from 0 to 30 % would be 0.30000000000000004.
        cost.name: round(1 - cost.full_users / e.forecast.full_users - e.last_nulls[cost.name], 9)
        for cost in e.forecast.by_attribute
        if cost.name in e.last_nulls and e.forecast.full_users >= max(1, g.min_users)
    }
    over = {name: rise for name, rise in rises.items() if rise > g.max_null_share_rise}
    worst = max(rises.items(), key=lambda item: item[1], default=None)
    if over:
        saw = ", ".join(f"{name} +{rise * 100:.0f} points" for name, rise in sorted(over.items()))
    elif worst is None:
        saw = "nothing to compare with"
    else:
        saw = f"at most {max(0.0, worst[1]) * 100:+.0f} points ({worst[0]})"
    yield GuardResult(
        name=NULL_SHARE,
        passed=not over,
        saw=saw,
        allowed=f"a rise of at most {g.max_null_share_rise * 100:.0f} points per attribute",
        figures={} if worst is None else {"largest rise": worst[1]},
    )


def _rejected(g: Guards, e: Evidence) -> Iterator[GuardResult]:
    what, limit = ("rejected rows", "customers in the audience were rejected"), g.max_rejected_share
    yield from _share(REJECTED_SHARE, e.rejected, e.audience, what, limit, g.min_users)


def _missing(g: Guards, e: Evidence) -> Iterator[GuardResult]:
    what = ("missing attributes", "custom attributes that Braze had were missing")
    limit = g.max_missing_share
    yield from _share(MISSING_ATTRIBUTES, e.missing, e.in_braze, what, limit, at_least=2)


def _share(
    name: str, part: int, whole: int, what: tuple[str, str], limit: float | None, at_least: int
) -> Iterator[GuardResult]:
    """A guard on a share; it passes where there are too few of the whole to evaluate one.

    ``what`` is the name of the part among the figures, and what is said of the whole.
    """
    if limit is None:
        return
    figure, said = what
    share = _part(part, whole)
    few = whole < at_least
    yield GuardResult(
        name=name,
        passed=few or share <= limit,
        saw=f"{part:,} of the {whole:,} {said} ({share:.0%})"
        + (": too few to evaluate" if few else ""),
        allowed=f"at most {limit:.0%}",
        figures={figure: part, f"{figure.partition(' ')[0]} share": share},
    )


def _part(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _cost(g: Guards, e: Evidence) -> Iterator[GuardResult]:
    if g.max_new_attributes is not None:
        number = len(e.new_attributes)
        yield GuardResult(
            name=NEW_ATTRIBUTES,
            passed=e.first_send or number <= g.max_new_attributes,
            saw=counted(number, "new custom attribute")
            + (" (the first send of this destination: not evaluated)" if e.first_send else ""),
            allowed=f"at most {g.max_new_attributes}",
            figures={"new names": number},
        )
    for name, ceiling, found in (
        (DATA_POINTS, g.max_data_points, e.forecast.data_points),
        (REQUESTS, g.max_requests, e.forecast.requests),
    ):
        if ceiling is not None:
            yield GuardResult(
                name=name,
                passed=found <= ceiling,
                saw=f"{found:,} {name.replace('_', ' ')} forecast",
                allowed=f"at most {ceiling:,}",
                figures={name.replace("_", " "): found},
            )
