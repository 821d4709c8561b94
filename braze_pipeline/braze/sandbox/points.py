"""What one attribute of an accepted object costs in data points.

Counted here on its own, from what arrived, so that a forecast made before the send can be held
against it.

Source: Braze docs, "Data points": each attribute set is one, changed or not; an array is one when
sent whole and one an element with ``add`` and ``remove``; an object is one a key, at every level;
null is one; consent and identifiers are none.
"""

from __future__ import annotations

from collections.abc import Sequence

from braze_pipeline.braze.fields import FIELDS, ProfileField
from braze_pipeline.braze.sandbox.nested import OPERATORS
from braze_pipeline.settings import Json


def data_points(name: str, value: Json) -> int:
    """Data points of setting ``name`` to ``value``, were the attribute not blocklisted."""
    field = FIELDS.get(name)
    if field is not None:
        return _of_field(field, value) if field.billable else 0
    if isinstance(value, dict):
        return _of_object(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sum(_keys(item) for item in value)
    return 1


def _of_field(field: ProfileField, value: Json) -> int:
    if not field.free_keys or not isinstance(value, dict):
        return 1
    return sum(key not in field.free_keys for key in value)


def _of_object(value: dict[str, Json]) -> int:
    if value.keys() == {"inc"}:
        return 1
    if value and value.keys() <= {"add", "remove"}:
        return sum(len(operand) for operand in _lists(value))
    if value.keys() & OPERATORS:
        return sum(_of_operand(item) for operand in _lists(value) for item in operand)
    return _keys(value)


def _of_operand(item: Json) -> int:
    if not isinstance(item, dict) or "$identifier_key" not in item:
        return _keys(item)
    return _keys(item["$new_object"]) if "$new_object" in item else 1


def _lists(value: dict[str, Json]) -> Sequence[list[Json]]:
    return [operand for operand in value.values() if isinstance(operand, list)]


def _keys(value: Json) -> int:
    """Keys at every level of an object; a ``$time`` wrapper is no key."""
    if isinstance(value, list):
        return sum(_keys(item) for item in value)
    if not isinstance(value, dict):
        return 0
    return sum(_key(item) for item in value.values())


def _key(item: Json) -> int:
    return 1 if isinstance(item, dict) and "$time" in item else 1 + _keys(item)
