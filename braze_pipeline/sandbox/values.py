"""How a custom attribute takes in a value: types, coercion, arrays, increments.

What belongs here: what Braze does, after its 201, with one value of one custom attribute. What
does not: profile fields (``standard``), nested values (``nested``), which user is meant
(``profiles``).

Sources: Braze docs, "Custom attribute data types", "Managing custom data" (forced types),
"Arrays" and "API rate limits".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from braze_pipeline.braze.limits import MAX_ARRAY, MAX_STRING
from braze_pipeline.sandbox import nested
from braze_pipeline.sandbox.nested import DROPPED, Dropped
from braze_pipeline.sandbox.times import is_time
from braze_pipeline.settings import Json


class DataType(StrEnum):
    """The type of a custom attribute, in the words of ``GET /custom_attributes``."""

    STRING = "String"
    NUMBER = "Number"
    BOOLEAN = "Boolean"
    TIME = "Time"
    ARRAY = "Array"
    OBJECT = "Object"
    OBJECTS = "Object Array"


@dataclass
class CustomAttribute:
    """One custom attribute of the workspace.

    Attributes:
        name: Exact, case sensitive.
        type: Set by the first value that arrived, or by hand; None until then.
        blocklisted: Values are ignored and cost no data points.
        description: Free text of the dashboard.
        tags: Tags of the dashboard.
        array_length: Longest array that is kept.
    """

    name: str
    type: DataType | None = None
    blocklisted: bool = False
    description: str = ""
    tags: tuple[str, ...] = ()
    array_length: int = MAX_ARRAY

    def take(self, old: Json, new: Json, *, merge: bool) -> Json | Dropped:
        """The value to store, or ``DROPPED`` where Braze leaves the old one as it is.

        Args:
            old: What the profile has (None for nothing).
            new: What arrived; never None, which removes an attribute.
            merge: ``_merge_objects`` of the object that it arrived in.
        """
        if self.type is None:
            self.type = detect(new)
        return DROPPED if self.type is None else _TAKERS[self.type](self, old, new, merge)


def detect(value: Json) -> DataType | None:
    """The type that a first value gives to its attribute; None for null."""
    if isinstance(value, str):
        return DataType.TIME if is_time(value) else DataType.STRING
    if isinstance(value, list):
        return DataType.OBJECTS if value and isinstance(value[0], dict) else DataType.ARRAY
    if isinstance(value, dict):
        return _detect_object(value)
    if isinstance(value, bool):
        return DataType.BOOLEAN
    return None if value is None else DataType.NUMBER


def _detect_object(value: dict[str, Json]) -> DataType:
    if value.keys() & nested.OPERATORS:
        return DataType.OBJECTS
    if value and value.keys() <= {"add", "remove"}:
        return DataType.ARRAY
    return DataType.NUMBER if value.keys() == {"inc"} else DataType.OBJECT


def _string(new: Json) -> Json | Dropped:
    if isinstance(new, str):
        return new if len(new) <= MAX_STRING else DROPPED
    if isinstance(new, int | float) and not isinstance(new, bool):
        return str(new)
    return DROPPED


def _time(new: Json) -> Json | Dropped:
    return new if isinstance(new, str) and is_time(new) else DROPPED


def _number(old: Json, new: Json) -> Json | Dropped:
    if isinstance(new, bool):
        return DROPPED
    if isinstance(new, int | float):
        return new
    if isinstance(new, str):
        return _parse_number(new)
    if isinstance(new, dict):
        step = new.get("inc")
        start = old if isinstance(old, int) and not isinstance(old, bool) else 0
        if isinstance(step, int) and not isinstance(step, bool):
            return start + step
    return DROPPED


def _parse_number(text: str) -> Json | Dropped:
    try:
        number = float(text)
    except ValueError:
        return DROPPED
    if not math.isfinite(number):
        return DROPPED
    return int(text) if text.strip().lstrip("+-").isdecimal() else number


_TRUE = frozenset({"1", "true", "t"})
_FALSE = frozenset({"0", "false", "f"})


def _boolean(new: Json) -> Json | Dropped:
    if isinstance(new, bool):
        return new
    text = str(new).lower() if isinstance(new, str | int) else ""
    if text in _TRUE:
        return True
    return False if text in _FALSE else DROPPED


def _array(old: Json, new: Json, longest: int) -> Json | Dropped:
    if isinstance(new, list):
        return _bounded(new, longest)
    if not isinstance(new, dict) or not new or not new.keys() <= {"add", "remove"}:
        return DROPPED
    added, removed = new.get("add", []), new.get("remove", [])
    if not isinstance(added, list) or not isinstance(removed, list):
        return DROPPED
    kept = [item for item in old if item not in removed] if isinstance(old, list) else []
    return _bounded([*kept, *added], longest)


def _bounded(items: Sequence[Json], longest: int) -> Json | Dropped:
    """Unique values, one sent again at the end; the oldest beyond ``longest`` fall off."""
    unique: dict[tuple[type, Json], Json] = {}
    for item in items:
        if not isinstance(item, str | int | float):
            return DROPPED
        if isinstance(item, str) and len(item) > MAX_STRING:
            return DROPPED
        key = (type(item), item)
        unique.pop(key, None)
        unique[key] = item
    kept = list(unique.values())[-longest:]
    return kept if nested.fits(kept) else DROPPED


_Taker = Callable[[CustomAttribute, Json, Json, bool], Json | Dropped]

_TAKERS: Final[Mapping[DataType, _Taker]] = {
    DataType.STRING: lambda _, __, new, ___: _string(new),
    DataType.NUMBER: lambda _, old, new, __: _number(old, new),
    DataType.BOOLEAN: lambda _, __, new, ___: _boolean(new),
    DataType.TIME: lambda _, __, new, ___: _time(new),
    DataType.ARRAY: lambda attribute, old, new, _: _array(old, new, attribute.array_length),
    DataType.OBJECT: lambda _, old, new, merge: nested.take_object(old, new, merge=merge),
    DataType.OBJECTS: lambda _, old, new, merge: nested.take_objects(old, new, merge=merge),
}
