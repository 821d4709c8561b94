"""A run as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.operations.report import Report
    from braze_pipeline.plan.stored_plans import PlanSummary


def summary(report: Report, *, dry_run: bool, resend_days: int) -> list[str]:
    """What went in, what came out, and what Braze answered; after a dry run, the forecast.

    Args:
        report: The figures of the run.
        dry_run: It stopped at the plan.
        resend_days: How often users that are not confirmed in Braze are re-sent in full.
    """
    days = f" ({len(report.days)} days)" if len(report.days) > 1 else ""
    lines = [
        f"As of {report.days[-1]}{days}",
        _line("customers", report.customers),
        *(_line(f"  excluded by {rule}", count) for rule, count in report.left_out.items()),
        _line("in the audience", report.audience),
        _line("  rejected rows", report.rejected_rows),
        _line("profiles", report.profiles),
        _line("  rejected values", report.rejected_values),
    ]
    plan = report.plan
    if plan is None:
        return lines
    lines += [
        _line("planned users", plan.planned_users, counted(plan.planned_attributes, "attribute")),
        _line("  unchanged", plan.unchanged_users),
        _line("  superseded", plan.superseded_users),
    ]
    if plan.held_back_users:
        lines.append(_line("  suppressed", plan.held_back_users))
    full = plan.forecast.full_data_points
    cost = f"{counted(plan.data_points, 'data point')} (a full resend: {full:,})"
    lines.append(
        _line("cost", plan.requests, f"{'request' if plan.requests == 1 else 'requests'}, {cost}")
    )
    if plan.predicted is not None and plan.predicted.users:
        lines.append(f"  {plan.predicted.sentence()}")
    lines += [f"  blocked attribute: {name}" for name in plan.stopped_attributes]
    lines += [
        f"  removed from the template: {name} (Braze keeps its values)"
        for name in plan.retired_attributes
    ]
    if dry_run:
        return [*lines, *_forecast(plan), "Dry run: nothing was sent."]
    lines += [
        _line("accepted by Braze", report.accepted_users),
        _line("  rejected by Braze", report.rejected_users),
        _line("  not attempted", report.not_attempted_users),
    ]
    if plan.unknown_users:
        note = f"re-sent in full every {resend_days} days, because Braze ignores unknown users"
        lines.append(_line("not confirmed in Braze", plan.unknown_users, note))
    return lines


def _line(label: str, count: int, note: str = "") -> str:
    return f"  {label:<29} {count:>10,}   {note}".rstrip()


def _forecast(plan: PlanSummary) -> list[str]:
    """What the plan would cost, beside recent runs, and by attribute."""
    forecast, recent = plan.forecast, plan.forecast.history
    minutes = f"{forecast.minutes:>10,.1f}   minutes, {forecast.bytes:,} bytes"
    lines = [f"  {'time at the rate limit':<29} {minutes}"]
    if forecast.money is not None:
        lines.append(f"  {'price':<29} {forecast.money:>10,.2f}   {forecast.currency}")
    if forecast.hourly_share is not None:
        lines.append(f"  {'share of the hourly limit':<29} {forecast.hourly_share:>10.1%}")
    if recent.runs:
        lines.append(
            f"  average of the last {counted(recent.runs, 'run')}: "
            f"{counted(round(recent.users), 'user')}, "
            f"{counted(round(recent.requests), 'request')}, "
            f"{counted(round(recent.data_points), 'data point')}"
        )
    if plan.first_send:
        lines.append("  The ledger is empty, so every value counts as new to Braze.")
    if plan.new_attributes:
        lines.append(f"  new custom attributes: {', '.join(plan.new_attributes)}")
    lines += [f"  {line}" for line in plan.preflight.lines()]
    lines.append("  by attribute (users, data points):")
    lines += [
        f"    {cost.name:<28} {cost.users:>10,} {cost.data_points:>10,}"
        for cost in sorted(forecast.by_attribute, key=lambda one: (-one.data_points, one.name))
        if cost.users
    ]
    return lines
