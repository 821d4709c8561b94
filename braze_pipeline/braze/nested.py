"""Rules for nested values: arrays, objects and arrays of objects.

Every function takes parsed JSON and returns it in the one form that is sent: equal values are equal
texts, times are ``{"$time": ...}`` in UTC. A value that breaks a rule raises `NestedProblem` with
the rule's code, because Braze silently drops a whole nested value for one bad part.

Source: Braze docs, "Nested custom attributes".
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze import limits
from braze_pipeline.braze.values import CONTROL

if TYPE_CHECKING:
    from braze_pipeline.settings import Json

TIME_KEY: Final = "$time"

OPERATORS: Final = frozenset({"add", "remove", "inc"})
"""Keys by which Braze changes an attribute instead of setting it, where an object has no others.

Source: Braze docs, "User attributes object" (arrays, increments).
"""

_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.:,](\d{1,9}))?)?"
    r" ?(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_CONTROL: Final = re.compile(CONTROL)
_BAD_KEY_CHARACTER: Final = re.compile(rf"[.$\s]|{CONTROL}")


class NestedProblem(ValueError):
    """A nested value breaks the rule with this code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def read(text: str) -> Json:
    """Parse JSON strictly: no duplicate keys, no NaN or Infinity.

    Raises:
        NestedProblem: ``json_unreadable``, ``nested_duplicate_key``, ``number_not_finite``,
            ``number_inexact`` or ``nested_too_deep``.
    """
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except NestedProblem:
        raise
    except RecursionError:
        raise NestedProblem("nested_too_deep") from None
    except ValueError:
        raise NestedProblem("json_unreadable") from None
    return value


def write(value: Json) -> str:
    """Canonical JSON: sorted keys, no white space, no escapes for non-ASCII characters."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def canonical_object(value: Json, *, zone: tzinfo = UTC) -> dict[str, Json]:
    """An object for a custom attribute; ``zone`` is that of date-times with no offset."""
    if not isinstance(value, dict):
        raise NestedProblem("not_an_object")
    if value and value.keys() <= OPERATORS:
        raise NestedProblem("nested_operator")
    return _object(value, zone, 1)


def canonical_objects(value: Json, *, zone: tzinfo = UTC) -> list[Json]:
    """An array of objects for a custom attribute."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise NestedProblem("not_an_array_of_objects")
    return [_object(item, zone, 2) for item in value if isinstance(item, dict)]


def canonical_array(value: Json) -> list[str]:
    """An array of text. Numbers and booleans become text; the last of equal elements stays.

    Braze does the same: an element that it already has moves to the end.
    """
    if not isinstance(value, list):
        raise NestedProblem("not_an_array")
    items = [_item(item) for item in value]
    return list(reversed(list(dict.fromkeys(reversed(items)))))


def canonical_time(text: str, *, zone: tzinfo = UTC) -> str:
    """A nested time as ``YYYY-MM-DDTHH:MM:SS.mmmZ``.

    A date alone is its midnight in UTC; a time with no offset is one of ``zone``.
    """
    found = _ISO.fullmatch(text.strip())
    if found is None:
        raise NestedProblem("nested_time_unreadable")
    try:
        moment = utc_moment(found, UTC if found[4] is None else zone)
    except (ValueError, OverflowError):
        raise NestedProblem("nested_time_unreadable") from None
    if not limits.MIN_YEAR <= moment.year <= limits.MAX_YEAR:
        raise NestedProblem("time_out_of_range")
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def utc_moment(found: re.Match[str], zone: tzinfo) -> datetime:
    """The instant in UTC that a match of eight groups means: year, month, day, hour, minute,
    second, fraction and offset. A time without an offset is one of ``zone``.

    Raises:
        ValueError: there is no such day, time of day or offset.
        OverflowError: in UTC it would lie outside the years 1 to 9999.
    """
    *numbers, fraction, offset = found.groups()
    year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
    micro = int((fraction or "").ljust(6, "0")[:6])
    away: tzinfo | None = zone
    if offset is not None:
        named_utc = offset.upper() in {"Z", "UTC", "GMT"}
        away = UTC if named_utc else datetime.fromisoformat(f"2000-01-01T00:00{offset}").tzinfo
    return datetime(year, month, day, hour, minute, second, micro, away).astimezone(UTC)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NestedProblem("nested_duplicate_key")
    return made


def _no_constant(_: str) -> float:
    raise NestedProblem("number_not_finite")


def _integer(text: str) -> int:
    # Python refuses to read integers of thousands of digits; they would be inexact anyway.
    if len(text) > 17:  # noqa: PLR2004 - 2^53 has 16 digits and a sign
        raise NestedProblem("number_inexact")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    # A DOUBLE is written so that it reads as itself; a DECIMAL may have digits that are lost.
    large = limits.MAX_EXACT_INTEGER < abs(value) < math.inf
    if large and Decimal(repr(value)) != Decimal(text):
        raise NestedProblem("number_inexact")
    return value


def _object(value: dict[str, Json], zone: tzinfo, depth: int) -> dict[str, Json]:
    for key in value:
        if not key or _BAD_KEY_CHARACTER.search(key):
            raise NestedProblem("nested_key")
        if len(key) > limits.MAX_NAME:
            raise NestedProblem("nested_key_too_long")
        _encodable(key)
    return {key: _part(part, zone, depth + 1) for key, part in value.items()}


def _part(part: Json, zone: tzinfo, depth: int) -> Json:
    if depth > limits.MAX_DEPTH:
        raise NestedProblem("nested_too_deep")
    match part:
        case None:
            raise NestedProblem("nested_null")
        case bool():
            return part
        case int() | float():
            return number(part)
        case str():
            return _text_or_time(part, zone)
        case list():
            return [_part(item, zone, depth + 1) for item in part]
        case _:
            if TIME_KEY in part:
                return _explicit_time(part)
            return _object(part, zone, depth)


def _explicit_time(part: dict[str, Json]) -> Json:
    text = part[TIME_KEY]
    if len(part) != 1 or not isinstance(text, str):
        raise NestedProblem("nested_time_unreadable")
    # Braze reads a time without an offset as UTC, and this one is marked as a time for Braze.
    return {TIME_KEY: canonical_time(text)}


def _text_or_time(part: str, zone: tzinfo) -> Json:
    if _ISO.fullmatch(part) is not None:
        try:
            return {TIME_KEY: canonical_time(part, zone=zone)}
        except NestedProblem:
            # 2024-13-45 is no time, so it is text; Braze does not type nested text by itself.
            pass
    return plain_text(part)


def plain_text(text: str, *, longest: int = limits.MAX_STRING) -> str:
    """A text inside a nested value: short enough, no control characters, whole characters."""
    if len(text) > longest:
        raise NestedProblem("nested_text_too_long")
    if _CONTROL.search(text):
        raise NestedProblem("nested_text_control")
    _encodable(text)
    return text


def number(value: float) -> float:
    """A number that every JSON reader holds exactly; a whole float stays a float."""
    if isinstance(value, int):
        if abs(value) > limits.MAX_EXACT_INTEGER:
            raise NestedProblem("number_inexact")
        return value
    if not math.isfinite(value):
        raise NestedProblem("number_not_finite")
    return value + 0.0


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NestedProblem("lone_surrogate") from None


def _item(item: Json) -> str:
    match item:
        case None:
            raise NestedProblem("array_has_null")
        case bool():
            text = "true" if item else "false"
        case int() | float():
            text = json.dumps(number(item))
        case str():
            text = item
        case _:
            raise NestedProblem("not_an_array")
    _encodable(text)
    return text
