"""Dates and instants as text, in the usual formats.

A date like 03/04/1990 can be read in two ways. The attribute's ``date_order`` decides; without one
such a date is refused rather than guessed. Two-digit years are refused for the same reason. Dates
of orders and consents are not read here but in `sources.readings`, which is stricter.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from braze_pipeline.braze import limits
from braze_pipeline.braze.nested import utc_moment
from braze_pipeline.profiles.normalise.outcome import Outcome, bad, good
from braze_pipeline.wordlists import meanings

_MONTHS: Final = meanings(Path(__file__).with_name("months.txt"))

_CLOCK: Final = r"(?:[T ]+\d\d?:\d\d(?::\d\d(?:[.,:]\d{1,9})?)? ?(?:Z|[+-]\d\d:?\d\d|UTC|GMT)?)?"
_YEAR_FIRST: Final = re.compile(
    rf"(\d{{4}})([-/.])(\d\d?)\2(\d\d?){_CLOCK}", re.ASCII | re.IGNORECASE
)
_YEAR_LAST: Final = re.compile(
    rf"(\d\d?)([-/. ])(\d\d?)\2(\d{{4}}){_CLOCK}", re.ASCII | re.IGNORECASE
)
_COMPACT: Final = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_DAY_WORD: Final = re.compile(
    r"(\d\d?)(?:st|nd|rd|th|\.|er)?(?: (?:of|de|di)\b)?[-/. ]*([^\W\d_]+)[-/., ]*(?:de )?(\d{4})"
    + _CLOCK,
    re.IGNORECASE,
)
_WORD_DAY: Final = re.compile(
    rf"([^\W\d_]+)[-/. ]+(\d\d?)(?:st|nd|rd|th)?[-/., ]+(\d{{4}}){_CLOCK}", re.IGNORECASE
)
_SHORT_YEAR: Final = re.compile(
    r"\d\d?[-/. ]\d\d?[-/. ]\d\d|\d\d?[-/. ]*[^\W\d_]{3,}[-/., ]*'?\d\d"
)
_INSTANT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,:](\d{1,9}))?)? ?"
    r"(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


def calendar_date(raw: str, order: str) -> Outcome:
    """A date as text to ``YYYY-MM-DD``; a time of day is dropped.

    Args:
        raw: The text.
        order: ``dmy``, ``mdy`` or ``reject``: how to read a date that can be read both ways.
    """
    text = " ".join(unicodedata.normalize("NFKC", raw).split())
    try:
        parts = _parts(text, order)
    except _AmbiguousError:
        return bad("date_ambiguous")
    if parts is None:
        return bad("date_two_digit_year" if _SHORT_YEAR.fullmatch(text) else "date_unreadable")
    try:
        day = date(*parts)
    except ValueError:
        return bad("date_impossible")
    if not limits.MIN_YEAR <= day.year <= limits.MAX_YEAR:
        return bad("date_out_of_range")
    return good(day.isoformat())


def instant(raw: str, params: str) -> Outcome:
    """A date and time as text to ``YYYY-MM-DD HH:MM:SS.mmm`` in UTC.

    Args:
        raw: The text. A date alone is its midnight in UTC, as Braze reads it.
        params: The time zone of texts without an offset, and the order of dates: ``zone|order``.
    """
    zone, _, order = params.rpartition("|")
    text = " ".join(unicodedata.normalize("NFKC", raw).split())
    found = _INSTANT.fullmatch(text)
    if found is None:
        if ":" in text:
            return bad("time_unreadable")
        day = calendar_date(raw, order)
        return good(f"{day.value} 00:00:00.000") if day.value is not None else day
    try:
        moment = utc_moment(found, ZoneInfo(zone))
    except (ValueError, OverflowError):
        return bad("date_impossible")
    if not limits.MIN_YEAR <= moment.year <= limits.MAX_YEAR:
        return bad("time_out_of_range")
    return good(moment.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds"))


class _AmbiguousError(Exception):
    """Day and month cannot be distinguished."""


def _parts(text: str, order: str) -> tuple[int, int, int] | None:
    if found := _YEAR_FIRST.fullmatch(text):
        return int(found[1]), int(found[3]), int(found[4])
    if found := _COMPACT.fullmatch(text):
        return int(found[1]), int(found[2]), int(found[3])
    if found := _YEAR_LAST.fullmatch(text):
        first, second = int(found[1]), int(found[3])
        # No locale writes the month first between full stops.
        day, month = _day_and_month(first, second, "dmy" if found[2] == "." else order)
        return int(found[4]), month, day
    return _worded(text)


def _worded(text: str) -> tuple[int, int, int] | None:
    if (found := _DAY_WORD.fullmatch(text)) and (month := _MONTHS.get(found[2].lower())):
        return int(found[3]), int(month), int(found[1])
    if (found := _WORD_DAY.fullmatch(text)) and (month := _MONTHS.get(found[1].lower())):
        return int(found[3]), int(month), int(found[2])
    return None


def _day_and_month(first: int, second: int, order: str) -> tuple[int, int]:
    """Day and month from two numbers; one above 12 can only be the day, whatever the order."""
    months = 12
    if first == second or (first > months >= second):
        return first, second
    if second > months >= first:
        return second, first
    if order == "reject":
        raise _AmbiguousError
    return (first, second) if order == "dmy" else (second, first)
