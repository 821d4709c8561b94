"""Which objects of ``attributes`` are refused by name in ``errors``, and in which words.

A refused object writes nothing. The sentence marked measured is that of a live workspace; for the
others Braze documents only the code, so the words are ours. What Braze takes and this pipeline
never sends (aliases, consent, merges, increments, array operators) is refused too: here it can
only be a bug of ours.

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

ONE_PRIMARY: Final = "You must specify only one of 'external_id', 'user_alias' or 'braze_id'"
"""Measured."""

NOT_AN_OBJECT: Final = "each entry must be an object"
NO_IDENTIFIER: Final = "'external_id' or 'braze_id' is required"
BAD_ID: Final = "'{}' must be a non-empty string"
LONG_ID: Final = f"'external_id' may not exceed {MAX_EXTERNAL_ID_BYTES} bytes"
BAD_EMAIL: Final = "'email' is not a valid email address"
BAD_LOCATION: Final = "'current_location' must have a numeric 'latitude' and 'longitude'"
NEVER_SENT: Final = "'{}' is not known to the sandbox, because this pipeline never sends it"

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
        return NOT_AN_OBJECT
    return _never_sent(entry) or _identity(entry) or _fields(entry)


def _never_sent(entry: Mapping[str, Json]) -> str | None:
    for name, value in entry.items():
        operator = isinstance(value, dict) and value and value.keys() <= _OPERATORS
        if operator or name in _NEVER_SENT:
            return NEVER_SENT.format(name)
    return None


def _identity(entry: Mapping[str, Json]) -> str | None:
    given = [name for name in PRIMARY if entry.get(name) is not None]
    if len(given) != 1:
        return ONE_PRIMARY if given else NO_IDENTIFIER
    name = given[0]
    value = entry[name]
    if not isinstance(value, str) or not value.strip():
        return BAD_ID.format(name)
    too_long = name == "external_id" and len(value.encode()) > MAX_EXTERNAL_ID_BYTES
    return LONG_ID if too_long else None


def _fields(entry: Mapping[str, Json]) -> str | None:
    email, location = entry.get("email"), entry.get("current_location")
    if email is not None and not (isinstance(email, str) and _EMAIL.fullmatch(email)):
        return BAD_EMAIL
    if location is not None and not (
        isinstance(location, dict)
        and _is_degrees(location.get("latitude"), most=90)
        and _is_degrees(location.get("longitude"), most=180)
    ):
        return BAD_LOCATION
    return None


def _is_degrees(value: Json, *, most: int) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -most <= value <= most
