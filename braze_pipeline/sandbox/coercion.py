"""What Braze stores after a 201: the value as it came, the value coerced, or nothing.

What belongs here: one value of one field or custom attribute. What does not: objects that are
refused by name (``refusals``), which user is meant (``workspace``).

Sources: Braze docs, "Custom attribute data types", "Managing custom data" (forced types),
"Arrays", "Nested custom attributes", "Standard attributes" and "User attributes object".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum, StrEnum
from functools import cache
from typing import Final, Literal
from zoneinfo import available_timezones

import pycountry

from braze_pipeline.braze.fields import FIELDS, ProfileField
from braze_pipeline.braze.limits import MAX_ARRAY, MAX_NAME, MAX_OBJECT_BYTES, MAX_STRING
from braze_pipeline.braze.values import READS_AS_TIME, json_bytes
from braze_pipeline.settings import Json, ValueType


class _Sentinel(Enum):
    DROPPED = "dropped"


DROPPED: Final = _Sentinel.DROPPED
"""The value is not stored, and the old one stays. Braze does not report it."""
Dropped = Literal[_Sentinel.DROPPED]


class DataType(StrEnum):
    """The type of a custom attribute, in the words of ``GET /custom_attributes``."""

    STRING = "String"
    NUMBER = "Number"
    BOOLEAN = "Boolean"
    TIME = "Time"
    ARRAY = "Array"
    OBJECT = "Object"
    ARRAY_OF_OBJECTS = "Object Array"


@dataclass
class CustomAttribute:
    """One custom attribute of the workspace.

    Attributes:
        name: Its exact name; case matters.
        type: Set by the first value that arrives, or by hand; None until then.
        blocklisted: Values are ignored and cost no data points.
    """

    name: str
    type: DataType | None = None
    blocklisted: bool = False

    def coerce(self, value: Json) -> Json | Dropped:
        """The value to store; None to remove it; ``DROPPED`` to keep the old one."""
        if value is None:
            return None
        if self.type is None:
            self.type = detect(value)
        return _COERCE[self.type](value)


def detect(value: Json) -> DataType:
    """The type that an attribute gets from its first value."""
    match value:
        case bool():
            return DataType.BOOLEAN
        case str():
            return DataType.TIME if _is_time(value) else DataType.STRING
        case [dict(), *_]:
            return DataType.ARRAY_OF_OBJECTS
        case list():
            return DataType.ARRAY
        case dict():
            return DataType.OBJECT
        case _:
            return DataType.NUMBER


def coerce_field(name: str, value: Json) -> Json | Dropped:
    """The value to store in a profile field; None to remove it; ``DROPPED`` to keep the old one."""
    field = FIELDS[name]
    if value is None:
        return None
    match field.type:
        case ValueType.STRING:
            fits = isinstance(value, str) and _is_field_text(field, value)
            # The documented exception: a country that Braze cannot map is stored as null.
            return value if fits else None if name == "country" else DROPPED
        case ValueType.BOOLEAN:
            return value if isinstance(value, bool) else DROPPED
        case ValueType.DATE:
            return value if isinstance(value, str) and _is_date(value) else DROPPED
        case ValueType.TIME:
            return _time(value)
        case _:
            return value


def _is_field_text(field: ProfileField, text: str) -> bool:
    codes = field.allowed or _codes(field.name)
    return (
        len(text) <= (field.max_chars or MAX_STRING)
        and (field.pattern is None or re.fullmatch(field.pattern, text) is not None)
        and (codes is None or text in codes)
    )


@cache
def _codes(name: str) -> frozenset[str] | None:
    """All codes of a field that has too many for the table of fields; None for other fields."""
    if name == "country":
        return frozenset(country.alpha_2 for country in pycountry.countries)
    if name == "time_zone":
        return frozenset(available_timezones())
    return None


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_time(text: str) -> bool:
    return re.fullmatch(READS_AS_TIME, text) is not None


def _time(value: Json) -> Json | Dropped:
    return value if isinstance(value, str) and _is_time(value) else DROPPED


def _string(value: Json) -> Json | Dropped:
    if isinstance(value, str):
        return value if len(value) <= MAX_STRING else DROPPED
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return DROPPED


def _number(value: Json) -> Json | Dropped:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return DROPPED
    return number if math.isfinite(number) else DROPPED


def _boolean(value: Json) -> Json | Dropped:
    words = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    return words.get(str(value).lower(), DROPPED)


def _array(value: Json) -> Json | Dropped:
    """Each element once, where it came last; the first ones go if there are too many."""
    if not isinstance(value, list):
        return DROPPED
    for item in value:
        if not isinstance(item, int | float) and _string(item) is DROPPED:
            return DROPPED
    unique = {(type(item), item): item for item in reversed(value)}
    kept = list(reversed(unique.values()))[-MAX_ARRAY:]
    return kept if _fits(kept) else DROPPED


def _object(value: Json) -> Json | Dropped:
    return value if isinstance(value, dict) and _is_nested(value) and _fits(value) else DROPPED


def _objects(value: Json) -> Json | Dropped:
    is_array = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    return value if is_array and _is_nested(value) and _fits(value) else DROPPED


def _is_nested(value: Json) -> bool:
    """Whether a nested value is stored: a single null or bad ``$time`` drops all of it."""
    match value:
        case None:
            return False
        case str():
            return len(value) <= MAX_STRING
        case list():
            return all(_is_nested(item) for item in value)
        case {"$time": str(text), **others}:
            return not others and _is_time(text)
        case dict():
            return all(
                0 < len(key) <= MAX_NAME and not re.search(r"[.$ ]", key) and _is_nested(item)
                for key, item in value.items()
            )
        case _:
            return True


def _fits(value: Json) -> bool:
    return json_bytes(value) <= MAX_OBJECT_BYTES


_COERCE: Final[Mapping[DataType, Callable[[Json], Json | Dropped]]] = {
    DataType.STRING: _string,
    DataType.NUMBER: _number,
    DataType.BOOLEAN: _boolean,
    DataType.TIME: _time,
    DataType.ARRAY: _array,
    DataType.OBJECT: _object,
    DataType.ARRAY_OF_OBJECTS: _objects,
}
