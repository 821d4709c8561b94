"""How nested custom attributes take in a value: objects and arrays of objects.

Sources: Braze docs, "Nested custom attributes" and "Array of objects".
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Final, Literal, TypeGuard

from braze_pipeline.braze.limits import MAX_NAME, MAX_OBJECT_BYTES, MAX_STRING
from braze_pipeline.sandbox.times import is_time
from braze_pipeline.settings import Json

OPERATORS: Final = frozenset({"$add", "$remove", "$update"})


class _Sentinel(Enum):
    DROPPED = "dropped"


DROPPED: Final = _Sentinel.DROPPED
"""What arrived is not stored, and what was there stays: Braze says nothing about it."""
Dropped = Literal[_Sentinel.DROPPED]

JsonObject = dict[str, Json]


def fits(value: Json) -> bool:
    """Whether a nested value or array is within 100 KB."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) <= (
        MAX_OBJECT_BYTES
    )


def take_object(old: Json, new: Json, *, merge: bool) -> Json | Dropped:
    """An object as a whole, or merged in depth into the one that is there."""
    if not isinstance(new, dict) or not storable(new):
        return DROPPED
    value = merged(old, new) if merge and isinstance(old, dict) else new
    return value if fits(value) else DROPPED


def take_objects(old: Json, new: Json, *, merge: bool) -> Json | Dropped:
    """An array of objects as a whole, or changed by ``$add``, ``$remove`` and ``$update``."""
    if isinstance(new, list):
        value: list[Json] = list(new)
        if not all(isinstance(item, dict) for item in value):
            return DROPPED
    elif isinstance(new, dict) and new and new.keys() <= OPERATORS:
        changed = _operated(_objects(old), new, merge=merge)
        if changed is None:
            return DROPPED
        value = list(changed)
    else:
        return DROPPED
    return value if storable(value) and fits(value) else DROPPED


def storable(value: Json) -> bool:
    """Whether a nested value is stored: one null or bad ``$time`` in it and nothing is."""
    if value is None:
        return False
    if isinstance(value, str):
        return len(value) <= MAX_STRING
    if isinstance(value, list):
        return all(storable(item) for item in value)
    if isinstance(value, dict):
        if "$time" in value:
            return _is_nested_time(value)
        return all(_key_allowed(key) and storable(item) for key, item in value.items())
    return True


def merged(old: Json, new: Json) -> Json:
    """``new`` laid over ``old``, object by object."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    value = dict(old)
    for key, item in new.items():
        value[key] = merged(old.get(key), item)
    return value


def _is_nested_time(value: JsonObject) -> bool:
    text = value["$time"]
    return len(value) == 1 and isinstance(text, str) and is_time(text)


def _key_allowed(key: str) -> bool:
    return 0 < len(key) <= MAX_NAME and not any(sign in key for sign in ".$ ")


def _objects(value: Json) -> list[JsonObject]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def _operated(
    items: list[JsonObject], operators: JsonObject, *, merge: bool
) -> list[JsonObject] | None:
    """In Braze's order: add, then remove, then update. None when one is malformed."""
    for name in ("$add", "$remove", "$update"):
        operands = operators.get(name, [])
        if not _is_objects(operands):
            return None
        if name == "$add":
            items = [*items, *operands]
            continue
        for operand in operands:
            if name == "$remove":
                items = [item for item in items if not _meant(item, operand)]
            else:
                items = [_updated(item, operand, merge=merge) for item in items]
    return items


def _is_objects(value: Json) -> TypeGuard[list[JsonObject]]:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _meant(item: JsonObject, operand: JsonObject) -> bool:
    key = operand.get("$identifier_key")
    return isinstance(key, str) and key in item and item[key] == operand.get("$identifier_value")


def _updated(item: JsonObject, operand: JsonObject, *, merge: bool) -> JsonObject:
    replacement = operand.get("$new_object")
    if not isinstance(replacement, dict) or not _meant(item, operand):
        return item
    value = merged(item, replacement) if merge else replacement
    return value if isinstance(value, dict) else item
