"""Which objects of ``attributes`` are refused by name in ``errors``, and in which words.

A refused object writes nothing. For most errors Braze documents only the code, so the words are
ours. What Braze accepts but this pipeline never sends (aliases, consent, merges, increments, array
operators) is refused too: here it can only be a bug of ours.

Source: Braze docs, "Create and update users" (endpoint-specific errors).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from braze_pipeline.braze.fields import CONTROL_KEYS, FIELDS
from braze_pipeline.braze.limits import MAX_EXTERNAL_ID_BYTES
from braze_pipeline.braze.nested import OPERATORS
from braze_pipeline.settings import Json

PRIMARY: Final = ("external_id", "braze_id")
"""The primary identifiers that this pipeline sends: exactly one to an object."""

UPDATE_ONLY: Final = "_update_existing_only"

_NEVER_SENT: Final = frozenset(
    {*CONTROL_KEYS, *(name for name, field in FIELDS.items() if not field.sendable)}
).difference(PRIMARY, {UPDATE_ONLY})
_OPERATORS: Final = OPERATORS | {"$add", "$remove", "$update"}
_EMAIL: Final = re.compile(
    r"[^@\s,;<>()\[\]\\\"]{1,64}@[^@\s,;<>()\[\]\\\"_]+\.[^@\s.,;<>()\[\]\\\"_]{2,}"
)


def user_of(entry: Mapping[str, Json]) -> str:
    """The user of an entry of ``attributes``: its external id, else its braze id."""
    return str(entry.get("external_id") or entry.get("braze_id"))


def refusal(entry: Json) -> str | None:
    """The sentence with which an entry of ``attributes`` is refused; None for one that is taken."""
    if not isinstance(entry, dict):
        return "each entry must be an object"
    return _identity(entry) or _never_sent(entry) or _fields(entry)


def _never_sent(entry: Mapping[str, Json]) -> str | None:
    for name, value in entry.items():
        operator = isinstance(value, dict) and value and value.keys() <= _OPERATORS
        if operator or name in _NEVER_SENT:
            return f"{name!r} is not known to the sandbox, because this pipeline never sends it"
    return None


def _identity(entry: Mapping[str, Json]) -> str | None:
    given = [name for name in (*PRIMARY, "user_alias") if entry.get(name) is not None]
    if not given:
        return "'external_id' or 'braze_id' is required"
    if len(given) > 1:
        # The words of a live workspace.
        return "You must specify only one of 'external_id', 'user_alias' or 'braze_id'"
    name = given[0]
    if name not in PRIMARY:
        return None
    value = entry[name]
    if not isinstance(value, str) or not value.strip():
        return f"{name!r} must be a non-empty string"
    if name == "external_id" and len(value.encode()) > MAX_EXTERNAL_ID_BYTES:
        return f"'external_id' may not exceed {MAX_EXTERNAL_ID_BYTES} bytes"
    return None


def _fields(entry: Mapping[str, Json]) -> str | None:
    email, location = entry.get("email"), entry.get("current_location")
    if email is not None and not (isinstance(email, str) and _EMAIL.fullmatch(email)):
        return "'email' is not a valid email address"
    if location is not None and not (
        isinstance(location, dict)
        and _is_degrees(location.get("latitude"), most=90)
        and _is_degrees(location.get("longitude"), most=180)
    ):
        return "'current_location' must have a numeric 'latitude' and 'longitude'"
    return None


def _is_degrees(value: Json, *, most: int) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -most <= value <= most
