"""The shapes of the profile fields whose values are objects.

Every function takes parsed JSON, returns it in its shape, and raises `NestedProblem` if it has
another shape. Sources: Braze docs, "User attributes object" and "Create and update users".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from braze_pipeline.braze import limits
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.nested import NestedProblem, number, plain_text
from braze_pipeline.settings import Json, ValueType

MAX_TOKEN: Final = 4096
"""Characters of a push token. Not documented; web push tokens are longer than a string's 255."""

_Read = Callable[..., Json]


def canonical_field(name: str, value: Json) -> Json:
    """The value of an object field (``current_location``, ``facebook``, ...) in its shape.

    Raises:
        NestedProblem: it has another shape, or a part of it breaks a rule.
    """
    if FIELDS[name].type is ValueType.OBJECT:
        return _record(name, value)
    if not isinstance(value, list):
        raise NestedProblem("not_an_array_of_objects")
    return [_record(name, item) for item in value]


def _record(name: str, value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise NestedProblem("not_an_object")
    required, optional = _SHAPES[name]
    parts = required | optional
    if not value or not required.keys() <= value.keys() <= parts.keys():
        raise NestedProblem("field_shape")
    return {key: parts[key](part) for key, part in value.items()}


def _words(value: Json, *, longest: int = limits.MAX_STRING) -> str:
    if not isinstance(value, str) or not value.strip():
        raise NestedProblem("field_shape")
    return plain_text(value, longest=longest)


def _whole(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise NestedProblem("field_shape")
    return int(number(value))


def _count(value: Json) -> int:
    count = _whole(value)
    if count < 0:
        raise NestedProblem("field_shape")
    return count


def _degrees(most: float) -> _Read:
    def check(value: Json) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NestedProblem("field_shape")
        if not -most <= value <= most:
            raise NestedProblem("location_out_of_range")
        return float(value) + 0.0

    return check


def _device(value: Json) -> str:
    device = _words(value)
    if not limits.MIN_DEVICE_ID <= len(device.encode()) <= limits.MAX_DEVICE_ID:
        raise NestedProblem("field_shape")
    return device


def _likes(value: Json) -> Json:
    if not isinstance(value, list):
        raise NestedProblem("field_shape")
    return [_words(item) for item in value]


_SHAPES: Final[dict[str, tuple[dict[str, _Read], dict[str, _Read]]]] = {
    "current_location": ({"longitude": _degrees(180.0), "latitude": _degrees(90.0)}, {}),
    "facebook": ({}, {"id": _words, "likes": _likes, "num_friends": _count}),
    "twitter": (
        {},
        {
            "id": _whole,
            "screen_name": _words,
            "followers_count": _count,
            "friends_count": _count,
            "statuses_count": _count,
        },
    ),
    "push_tokens": (
        {"app_id": _words, "token": partial(_words, longest=MAX_TOKEN)},
        {"device_id": _device},
    ),
}
"""Required and optional keys of each object field, with the function that reads each value."""

SHAPED_FIELDS: Final = tuple(_SHAPES)
"""The profile fields whose values are objects of a given shape."""
