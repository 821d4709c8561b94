"""The present, as the tables have it."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present in UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)
