"""Which strings Braze reads as a time.

Source: Braze docs, "Custom attribute data types" (time).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from braze_pipeline.braze.limits import MAX_YEAR

_SHORTEST, _LONGEST = 10, 40

_NUMERIC_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.:,]\d{1,9})?)?"
    r" ?(?:Z|[+-]\d\d:?\d\d)?)?"
)
_AMERICAN_DATE = re.compile(r"(?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d{4})")
_NAMED_TIME = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<month>\d\d) (?P<day>\d\d) "
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)\.\S{1,6} (?P<year>\d{4})"
)


def is_time(text: str) -> bool:
    """Whether Braze reads a string as a time: one of its seven formats and a real moment."""
    if not _SHORTEST <= len(text) <= _LONGEST:
        return False
    found = _NUMERIC_TIME.fullmatch(text) or _AMERICAN_DATE.fullmatch(text)
    found = found or _NAMED_TIME.fullmatch(text)
    if found is None:
        return False
    parts = {name: int(part) for name, part in found.groupdict().items() if part is not None}
    if parts["year"] > MAX_YEAR:
        return False
    try:
        datetime(**parts, tzinfo=UTC)
    except ValueError:
        return False
    return True
