"""The shapes of the profile fields whose values are objects.

Every function takes parsed JSON, gives it back in its shape, and raises `NestedProblem` where it
has another. Sources: Braze docs, "User attributes object" and "Create and update users".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from braze_pipeline.braze import limits
from braze_pipeline.braze.nested import NestedProblem, number, plain_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from braze_pipeline.settings import Json

MAX_TOKEN: Final = 4096
"""Characters of a push token. Not documented; web push tokens outgrow a string's 255."""


def canonical_field(name: str, value: Json) -> Json:
    """The value of an object field (``current_location``, ``facebook``, ...) in its shape.

    Raises:
        NestedProblem: it has another shape, or a part of it breaks a rule.
    """
    return _SHAPES[name](value)


def _record(
    value: Json, required: dict[str, Callable[[Json], Json]], **optional: Callable[[Json], Json]
) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise NestedProblem("not_an_object")
    parts = required | optional
    if not value or not required.keys() <= value.keys() <= parts.keys():
        raise NestedProblem("field_shape")
    return {key: parts[key](part) for key, part in value.items()}


def _records(value: Json, read_one: Callable[[Json], Json]) -> list[Json]:
    if not isinstance(value, list):
        raise NestedProblem("not_an_array_of_objects")
    return [read_one(item) for item in value]


def _words(value: Json) -> str:
    if not isinstance(value, str) or not value.strip():
        raise NestedProblem("field_shape")
    return plain_text(value)


def _push_token(value: Json) -> str:
    if not isinstance(value, str) or not value.strip():
        raise NestedProblem("field_shape")
    return plain_text(value, longest=MAX_TOKEN)


def _whole(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise NestedProblem("field_shape")
    return int(number(value))


def _count(value: Json) -> int:
    if _whole(value) < 0:
        raise NestedProblem("field_shape")
    return _whole(value)


def _degrees(most: float) -> Callable[[Json], Json]:
    def check(value: Json) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NestedProblem("field_shape")
        if not -most <= value <= most:
            raise NestedProblem("location_out_of_range")
        return float(value) + 0.0

    return check


def _device(value: Json) -> str:
    if not limits.MIN_DEVICE_ID <= len(_words(value).encode()) <= limits.MAX_DEVICE_ID:
        raise NestedProblem("field_shape")
    return str(value)


def _likes(value: Json) -> Json:
    if not isinstance(value, list):
        raise NestedProblem("field_shape")
    return [_words(item) for item in value]


def _location(value: Json) -> Json:
    return _record(value, {"longitude": _degrees(180.0), "latitude": _degrees(90.0)})


def _facebook(value: Json) -> Json:
    return _record(value, {}, id=_words, likes=_likes, num_friends=_count)


def _twitter(value: Json) -> Json:
    return _record(
        value,
        {},
        id=_whole,
        screen_name=_words,
        followers_count=_count,
        friends_count=_count,
        statuses_count=_count,
    )


def _token(value: Json) -> Json:
    return _record(value, {"app_id": _words, "token": _push_token}, device_id=_device)


_SHAPES: Final[dict[str, Callable[[Json], Json]]] = {
    "current_location": _location,
    "facebook": _facebook,
    "twitter": _twitter,
    "push_tokens": lambda value: _records(value, _token),
}

SHAPED_FIELDS: Final = tuple(_SHAPES)
"""The profile fields whose values are objects of a given shape."""
