"""What the UI shows about each asset: counts, charts, schemas and masked previews.

Customers' values never belong here. The names of the figures are the labels in the UI, and its
plots over time and the sensors read them again: a renamed one starts a new plot.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from braze_pipeline.braze.track_endpoints import track_endpoint
from braze_pipeline.orchestration import charts, column_metadata
from braze_pipeline.orchestration.charts.svg import SHOWN_IN_PLACE
from braze_pipeline.user_input import read_text
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.alerts.pauses import Pause
    from braze_pipeline.attributes.lineage import Origins
    from braze_pipeline.attributes.result import AttributesBuild
    from braze_pipeline.audience.build import Funnel
    from braze_pipeline.plan.sample import SampleRow
    from braze_pipeline.plan.stored_plans import PlanSummary
    from braze_pipeline.profiles import ProfilesSummary
    from braze_pipeline.send.step import SendOutcome
    from braze_pipeline.settings import AudienceRules, TemplateSettings
    from braze_pipeline.sources import SourceInfo
    from braze_pipeline.sources.remote.extract import Extract

Metadata = dict[str, Any]

# What the sensors read again from the event log.
ROWS = "dagster/row_count"
REJECTED_ROWS = "rejected rows"
PLAN = "plan"
ACCEPTED_USERS = "accepted users"
REJECTED_USERS = "rejected users"
UNCHANGED_USERS = "unchanged users"
ACCEPTED_ATTRIBUTES = "accepted attributes"
DATA_POINTS = "data points of the plan"

_TOP = 15
"""Rows of a table that is only for reading."""


def described(t: TemplateSettings, text: str) -> str:
    """The text, with what the brand says of the template and its destination."""
    own = (f"{one.name}: {one.description}" for one in (t, t.destination) if one.description)
    return "\n\n".join((text, *own))


def sql_file(t: TemplateSettings) -> Metadata:
    """The SQL file that defines the customer attributes table, as the UI shows it."""
    text = read_text(t.attributes_sql)
    return {
        "defined by": t.attributes_sql.name,
        "sql": dg.MetadataValue.md(f"```sql\n{text}\n```"),
    }


def source(found: SourceInfo, extract: Extract | None = None) -> Metadata:
    """What a run read of a source table."""
    read: Metadata = {
        ROWS: found.rows,
        "newest": found.newest or "no date",
        "read from": found.location,
    }
    if extract is not None:
        read |= {"bytes read": extract.bytes, "seconds to read": extract.seconds}
    return read


def attributes(t: TemplateSettings, built: AttributesBuild, origins: Origins) -> Metadata:
    """Rows, columns, and what was read."""
    newest = built.summaries[-1]
    lines = {
        "order lines": newest.lines,
        "order lines without a customer": newest.lines_without_customer,
        "order lines of unknown customers": newest.lines_of_unknown_customers,
        "order lines that are incomplete": newest.lines_incomplete,
        "order lines after the as-of date": newest.lines_after,
        "consents without a date": newest.consents_without_date,
    }
    return {
        ROWS: newest.rows,
        **column_metadata.attributes(t, newest, origins),
        "days": len(built.summaries),
        **_left_the_warehouse(t, built),
        **{name: count for name, count in lines.items() if count is not None},
        "sources": table(
            ("table", "rows", "newest", "read from"),
            [(s.name, s.rows, s.newest or "", s.location) for s in built.sources],
        ),
    }


def _left_the_warehouse(t: TemplateSettings, built: AttributesBuild) -> Metadata:
    """With `run_in`: what came from there, by day."""
    if t.run_in is None:
        return {}
    days = [built.extracts[summary.day.isoformat()] for summary in built.summaries]
    return {
        "computed in": f"{t.run_in.name} ({t.run_in.type})",
        "left the warehouse": table(
            ("day", "rows of the audience", "bytes", "seconds"),
            [
                (summary.day, summary.rows, extract.bytes, extract.seconds)
                for summary, extract in zip(built.summaries, days, strict=True)
            ],
        ),
    }


def audience(t: TemplateSettings, funnels: Sequence[Funnel]) -> Metadata:
    """How many customers are in the audience, and which rule excluded the others first."""
    newest = funnels[-1]
    rules = t.audience
    found: Metadata = {
        ROWS: newest.audience,
        **column_metadata.audience(t),
        "funnel": dg.MetadataValue.md(
            charts.funnel(customers=newest.customers, excluded=newest.excluded)
        ),
        "customers": newest.customers,
        "left out": table(("first rule that excluded them", "customers"), newest.excluded.items()),
        "rules": table(
            ("rule", "threshold"),
            [row for rule in rules.names for row in _thresholds(rules)[rule]],
        ),
    }
    if newest.groups:
        found["recipient groups"] = table(("group", "customers"), newest.groups.items())
    return found


def _thresholds(rules: AudienceRules) -> dict[str, list[tuple[str, object]]]:
    """What each rule asks for, in words."""
    return {
        "high_value": [
            ("high value: lifetime value at least", rules.high_value.lifetime_value),
            ("high value: top percent by lifetime value", rules.high_value.top_percent),
            ("high value: predicted value at least", rules.high_value.predicted_value),
        ],
        "active": [("active: days since the last order at most", rules.active.within_days)],
        "contactable": [
            ("contactable: opted in, with an address, for", " or ".join(rules.contactable.by))
        ],
        "where": [("where", rules.where)],
    }


def profiles(
    t: TemplateSettings,
    summaries: Sequence[ProfilesSummary],
    preview: Sequence[Mapping[str, object]],
) -> Metadata:
    """What passed, what did not and why, and a masked preview of some rows."""
    newest = summaries[-1]
    return {
        ROWS: newest.profiles,
        REJECTED_ROWS: newest.rejected_rows,
        "rejected values": newest.rejected_values,
        "unchanged rows": newest.unchanged,
        "raw values seen for the first time": newest.new_raw_values,
        "consent columns never sent": ", ".join(t.dropped) or "none in the template",
        "rejected by reason": _counts("reason", "values", newest.rejected_by_reason),
        "rejected by attribute": _counts("attribute", "values", newest.rejected_by_attribute),
        **column_metadata.profiles(t),
        "preview (masked)": table(preview[0] if preview else (), [row.values() for row in preview]),
    }


def dropped_warning(t: TemplateSettings, summaries: Sequence[ProfilesSummary]) -> str | None:
    """A run's warning about consent columns, which are never sent; None where there are none."""
    if not t.dropped:
        return None
    return (
        f"{', '.join(t.dropped)}: consent belongs to Braze and is never sent; "
        f"{counted(sum(s.dropped for s in summaries), 'value')} skipped."
    )


def plan(
    t: TemplateSettings,
    plan: PlanSummary,
    sample: Sequence[SampleRow] = (),
    pause: Pause | None = None,
) -> Metadata:
    """What would change in Braze, with some masked examples, and its cost by attribute."""
    forecast = plan.forecast
    found: Metadata = {
        ROWS: plan.planned_users,
        **column_metadata.plan(t),
        **_cost(t, plan),
        "sample of the changes (masked)": _sample(t, sample),
        PLAN: plan.plan_id,
        "status": plan.status,
        **_paused(pause),
        "audience": plan.audience,
        **_shares(plan),
        "planned attributes": plan.planned_attributes,
        "unchanged users": plan.unchanged_users,
        "superseded users": plan.superseded_users,
        "suppressed users": plan.held_back_users,
        "users leaving the audience": plan.leaving_users,
        "users Braze is not known to have": plan.unknown_users,
        "requests": forecast.requests,
        "data points": forecast.data_points,
        "data points of a full resend": forecast.full_data_points,
        "minutes at the limit": round(forecast.minutes, 2),
        "endpoint": track_endpoint(t.destination, plan.endpoint).path,
        "new attribute names": ", ".join(plan.new_attributes) or "none",
        "blocked attributes": ", ".join(plan.stopped_attributes) or "none",
        "removed from the template": ", ".join(plan.retired_attributes) or "none",
        "compared with Braze": "\n\n".join(plan.preflight.lines()),
        "cost by attribute": table(
            (
                "attribute",
                "type",
                "users",
                "first values among them",
                "nulls among them",
                "data points",
                "full resend",
            ),
            [
                (c.name, c.type, c.users, c.first, c.nulls, c.data_points, c.full_data_points)
                for c in sorted(forecast.by_attribute, key=lambda c: -c.data_points)
            ],
        ),
        **({"predicted value": plan.predicted.sentence()} if plan.predicted else {}),
        "why": _counts("reason", "users", plan.reasons),
        "first send": plan.first_send,
    }
    if forecast.history.runs:
        found["mean of the last runs"] = (
            f"{forecast.history.runs} runs: {forecast.history.users:,.0f} users, "
            f"{forecast.history.requests:,.0f} requests, "
            f"{forecast.history.data_points:,.0f} data points"
        )
    if t.destination.pricing.model == "mau" and forecast.hourly_share is not None:
        found["share of the hourly request limit"] = forecast.hourly_share
    if forecast.money is not None:
        found[f"price ({forecast.currency})"] = round(forecast.money, 2)
    return found


def _sample(t: TemplateSettings, sample: Sequence[SampleRow]) -> dg.MarkdownMetadataValue:
    """As many rows as the UI shows without a click."""
    names = (t.destination.identifier, "attribute", "change", "old", "new")
    rows = [(row.user, row.attribute, row.change, row.old, row.new) for row in sample]
    while len(table(names, rows).value or "") > SHOWN_IN_PLACE:
        rows.pop()
    return table(names, rows)


def _shares(plan: PlanSummary) -> Metadata:
    """Shares between 0 and 1: numbers, so that the UI plots them."""
    shares = {"changed share": plan.changed_share, "rejected share": plan.rejected_share}
    return {name: share for name, share in shares.items() if share is not None}


def _cost(t: TemplateSettings, plan: PlanSummary) -> Metadata:
    """A chart of data points by attribute, or of users where the contract has no data points."""
    if not plan.planned_attributes:
        return {}
    points = t.destination.pricing.model == "data_points"
    return {"cost": dg.MetadataValue.md(charts.cost(plan.forecast.by_attribute, points=points))}


def _paused(pause: Pause | None) -> Metadata:
    """Why nothing is sent; nothing where the destination is not paused."""
    return {"paused": pause.sentence()} if pause else {}


def ledger(t: TemplateSettings, outcome: SendOutcome) -> Metadata:
    """How many users and which attributes the ledger has."""
    return {
        ROWS: outcome.ledger_users,
        **column_metadata.ledger(t, outcome.plan.columns),
    }


def rejections(outcome: SendOutcome) -> Metadata:
    """How many rejections the run's days have, of all stages."""
    return {
        ROWS: outcome.rejections,
        column_metadata.SCHEMA: column_metadata.schema(outcome.rejection_columns),
    }


def send(outcome: SendOutcome) -> Metadata:
    """The outcome of every planned user, and how fast the send was."""
    result = outcome.result
    found: Metadata = {
        ROWS: outcome.account.accepted,
        column_metadata.SCHEMA: column_metadata.schema(outcome.outcome_columns),
        "send": dg.MetadataValue.md(charts.send(result)),
        ACCEPTED_USERS: outcome.account.accepted,
        REJECTED_USERS: outcome.account.rejected,
        "not attempted users": outcome.account.not_attempted,
        "planned users": outcome.account.planned,
        UNCHANGED_USERS: outcome.account.unchanged,
        ACCEPTED_ATTRIBUTES: outcome.account.accepted_attributes,
        DATA_POINTS: outcome.plan.data_points,
        PLAN: outcome.plan.plan_id,
        "requests": result.requests,
        "bytes": result.bytes,
        "seconds": round(result.seconds, 2),
        "seconds throttled": round(result.throttled_seconds, 2),
        "latency p50 (ms)": round(result.latency_p50 * 1000, 1),
        "latency p95 (ms)": round(result.latency_p95 * 1000, 1),
        "latency p99 (ms)": round(result.latency_p99 * 1000, 1),
        "retries by cause": _counts("cause", "retries", result.retries),
        "refused by reason": _counts("Braze's answer", "users", result.refused),
        **_paused(outcome.paused),
    }
    if result.seconds > 0 and result.users_sent:
        found["users a second"] = round(result.users_sent / result.seconds)
    return found


def table(header: Collection[str], rows: Iterable[Iterable[object]]) -> dg.MarkdownMetadataValue:
    """A small Markdown table, or "none" without rows; numbers have thousands separators."""
    shown = [map(_cell, header), ["---"] * len(header), *(map(_cell, row) for row in rows)]
    lines = ["| " + " | ".join(line) + " |" for line in shown]
    return dg.MetadataValue.md("\n".join(lines) if lines[2:] else "none")


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if value is None or isinstance(value, dg.MarkdownMetadataValue):
        return value.value if value and value.value else "–"
    # Names and values may have what Markdown would take for markup; a link is meant as one.
    return re.sub(r"[\\`*<&|~]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", str(value)).replace("\n", " ")


def _counts(name: str, unit: str, counts: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """A table of counts, the largest first; small ones beyond its length are added up."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    rest = sum(count for _, count in ordered[_TOP:])
    return table((name, unit), [*ordered[:_TOP], *([("others", rest)] if rest else [])])
