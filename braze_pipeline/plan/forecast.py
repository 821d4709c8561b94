"""What a plan costs to carry out: requests, bytes, minutes and data points, by attribute.

Data points follow Braze docs, "Data points (Legacy)" (see ``braze.data_points``); minutes follow
"API rate limits" (see ``braze.rate_limiter.Pace``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline.braze import data_points as points
from braze_pipeline.ledger.plan_ref import PARTIAL
from braze_pipeline.plan.payload import FRAME_BYTES
from braze_pipeline.settings import ValueType
from braze_pipeline.storage.sql_text import file_literal, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from braze_pipeline.braze.track_endpoints import TrackEndpoint
    from braze_pipeline.ledger.layout import Column
    from braze_pipeline.settings import DestinationSettings

HISTORY_RUNS = 30


@dataclass(frozen=True, kw_only=True)
class AttributeCost:
    """What one attribute costs in a plan.

    Attributes:
        users: Users for whom it is sent, ``nulls`` of them to clear it, ``first`` of them a value
            where Braze has acknowledged none.
        data_points: Billable data points of that.
        full_users: Users with a value: how many a full resend would send it for.
        full_data_points: Billable data points of that.
        new: Braze never acknowledged the name before.
    """

    name: str
    type: str
    users: int
    nulls: int
    data_points: int
    full_users: int
    full_data_points: int
    new: bool
    first: int = 0


@dataclass(frozen=True, kw_only=True)
class History:
    """Means over the last ``runs`` sent plans of the template (at most 30)."""

    runs: int = 0
    users: float = 0.0
    requests: float = 0.0
    data_points: float = 0.0
    max_data_points: int = 0


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a plan costs, compared with a full resend and with recent runs.

    Attributes:
        minutes: At the rate limits of the endpoint, burst and hourly.
        money: In ``currency``; None if no price is configured.
        hourly_share: Requests as a share of the hourly limit; None if there is none.
        full_*: The same for sending every profile with all its values.
        by_attribute: Most expensive first.
    """

    users: int
    attributes: int
    requests: int
    bytes: int
    minutes: float
    data_points: int
    money: float | None
    currency: str
    hourly_share: float | None
    full_users: int
    full_attributes: int
    full_requests: int
    full_minutes: float
    full_data_points: int
    history: History
    by_attribute: tuple[AttributeCost, ...]


def forecast(
    con: duckdb.DuckDBPyConnection,
    destination: DestinationSettings,
    endpoint: TrackEndpoint,
    columns: Sequence[Column],
    *,
    snapshot: Path,
    profiles: str,
    history: History,
) -> Forecast:
    """Count the snapshot, and what a full resend of ``profiles`` (a query) would be.

    ``endpoint`` is the one that the snapshot's requests are made for.
    """
    users, size, requests, *sent = _counts(
        con,
        ["count(*)", "coalesce(sum(strlen(__object)), 0)", "coalesce(max(__request) + 1, 0)"],
        [expression for c in columns for expression in _sent(c)],
        f"read_parquet({file_literal(snapshot)})",
    )
    full_users, *full = _counts(
        con,
        ["count(*)"],
        [expression for c in columns for expression in _full(c)],
        f"({profiles}) p",
    )
    costs = [
        AttributeCost(
            name=c.name, type=c.settings.type.value, new=c.first_time, users=sent[4 * i],
            nulls=sent[4 * i + 1], data_points=sent[4 * i + 2], first=sent[4 * i + 3],
            full_users=full[2 * i], full_data_points=full[2 * i + 1],
        )
        for i, c in enumerate(columns)
    ]  # fmt: skip
    costs.sort(key=lambda cost: (-cost.data_points, -cost.users))
    total = sum(cost.data_points for cost in costs)
    full_requests = -(-full_users // endpoint.objects)
    price, hourly = destination.pricing.price_per_1000, endpoint.limit.requests_per_hour
    billed = destination.pricing.model == "data_points"
    return Forecast(
        users=users,
        attributes=sum(cost.users for cost in costs),
        requests=requests,
        bytes=size + (users - requests) + requests * FRAME_BYTES,
        minutes=endpoint.minutes(requests),
        data_points=total,
        money=total / 1000 * price if billed and price is not None else None,
        currency=destination.pricing.currency,
        hourly_share=requests / hourly if hourly else None,
        full_users=full_users,
        full_attributes=sum(cost.full_users for cost in costs),
        full_requests=full_requests,
        full_minutes=endpoint.minutes(full_requests),
        full_data_points=sum(cost.full_data_points for cost in costs),
        history=history,
        by_attribute=tuple(costs),
    )


def past(con: duckdb.DuckDBPyConnection, ledger: str, template: str) -> History:
    """The last sent plans of a template."""
    row = con.execute(
        "SELECT count(*), avg(users), avg(requests), avg(data_points), max(data_points) FROM ("
        "SELECT (summary ->> 'planned_users')::BIGINT AS users, "
        "(summary -> 'forecast' ->> 'requests')::BIGINT AS requests, "
        "(summary -> 'forecast' ->> 'data_points')::BIGINT AS data_points "
        "FROM records.plans WHERE ledger = ? AND template = ? AND status = 'sent' "
        f"AND NOT {PARTIAL} ORDER BY rowid DESC LIMIT {HISTORY_RUNS})",
        [ledger, template],
    ).fetchone()
    if row is None or not row[0]:
        return History()
    return History(
        runs=row[0], users=row[1], requests=row[2], data_points=row[3], max_data_points=row[4]
    )


def _counts(
    con: duckdb.DuckDBPyConnection, fixed: list[str], by_column: list[str], source: str
) -> list[int]:
    row = con.execute(f"SELECT {', '.join(fixed + by_column)} FROM {source}").fetchone()
    return [int(value or 0) for value in row or ()]


def _sent(c: Column) -> tuple[str, str, str, str]:
    sent, cleared = f"count_if({c.changed})", f"count_if({c.changed} AND {c.new} IS NULL)"
    first = f"count_if({c.changed} AND {c.old} IS NULL AND {c.new} IS NOT NULL)"
    return (
        sent,
        cleared,
        _points(c, sent, f"CASE WHEN {c.changed} THEN {c.new} END", cleared),
        first,
    )


def _full(c: Column) -> tuple[str, str]:
    column = c.of_profile
    return f"count({column})", _points(c, f"count({column})", column, "0")


def _points(c: Column, values: str, expression: str, nulls: str) -> str:
    """Data points over all rows: one a value, or one a key of nested values."""
    s = c.settings
    if not points.billable(s.name, is_field=s.is_field):
        return "0"
    if not points.counts_keys(s.name, s.type, is_field=s.is_field):
        return values
    free = ", ".join(literal(key) for key in points.free_keys(s.name, is_field=s.is_field))
    keys = (
        f"len(list_filter(json_keys({{}}), lambda k: k NOT IN ('', {free})))"
        if free
        else ("len(json_keys({}))")
    )
    if s.type is ValueType.OBJECT:
        one = keys.format(expression)
    else:
        one = (
            f"list_sum(list_transform(json_extract({expression}, '$[*]'), "
            f"lambda item: coalesce({keys.format('item')}, 0)))"
        )
    least = 0 if free else 1
    value = f"CASE WHEN {expression} IS NOT NULL THEN greatest({least}, {one}) END"
    return f"coalesce(sum({value}), 0) + {nulls}"
