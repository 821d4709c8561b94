"""The as-of dates of a run: one partition, or a range."""

from __future__ import annotations

from datetime import date

import dagster as dg

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
"""The tags of a run that say which days it is for."""


def days_of(context: dg.AssetExecutionContext) -> tuple[date, ...]:
    """The run's as-of dates, oldest first; several where one run covers a range."""
    return tuple(sorted(date.fromisoformat(key) for key in context.partition_keys))


def span(days: tuple[date, ...]) -> str:
    """The days as text."""
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days)} days)"
