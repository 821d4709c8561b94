"""The as-of dates of a run: one partition, or a range."""

from __future__ import annotations

from datetime import date

import dagster as dg

from braze_pipeline.errors import UsageError

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
"""The tags of a run that say which days it is for."""


def days_of(context: dg.AssetExecutionContext) -> tuple[date, ...]:
    """The run's as-of dates, oldest first; several where one run covers a range.

    Raises:
        UsageError: the run names no day, or one that has no partition. Dagster does not check it.
    """
    partitions = context.assets_def.partitions_def
    if partitions is None or not (context.has_partition_key or context.has_partition_key_range):
        raise UsageError(
            "The run was launched without a day.",
            fix=f"Choose a partition in the launchpad (the run tag {PARTITION_TAG}).",
        )
    asked = context.partition_key_range
    if asked.start > asked.end:
        raise UsageError(
            f"The range of days begins on {asked.start} and ends before, on {asked.end}.",
            fix=f"Swap the run tags {RANGE_START_TAG} and {RANGE_END_TAG}.",
        )
    for day in (asked.start, asked.end):
        require_partition(partitions, day)
    return tuple(sorted(date.fromisoformat(key) for key in context.partition_keys))


def require_partition(partitions: dg.PartitionsDefinition[str], day: str) -> None:
    """Refuse a day that is before the first partition, has not ended, or is after the last.

    A day that has not ended would count as newer than all days until then, and supersede them.

    Raises:
        UsageError: names the first and the last day.
    """
    if not partitions.has_partition_key(day):
        first, last = partitions.get_first_partition_key(), partitions.get_last_partition_key()
        raise UsageError(
            f"There is no partition {day}. Partitions run from {first} to {last}.",
            fix="A day can be run once it has ended. Use one of these, or change `start_date` or "
            "`end_date` in defs.yaml.",
        )


def span(days: tuple[date, ...]) -> str:
    """The days as text."""
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days)} days)"
