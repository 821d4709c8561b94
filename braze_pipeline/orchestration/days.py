"""Which as-of dates a run is about: one partition, or a range of a backfill."""

from __future__ import annotations

from datetime import date

import dagster as dg


def days_of(context: dg.AssetExecutionContext) -> tuple[date, ...]:
    """The run's as-of dates, oldest first. A single-run range has several."""
    return tuple(sorted(date.fromisoformat(key) for key in context.partition_keys))


def span(days: tuple[date, ...]) -> str:
    """The days in words."""
    return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days)} days)"
