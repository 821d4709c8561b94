"""Which objects of ``attributes`` are refused by name in ``errors``, and in which words.

A refused object writes nothing. The sentences marked measured are those of a live workspace; of
the others Braze documents only the code, so the words are ours. What Braze takes and this pipeline
never sends (aliases, merges, increments, array operators) is refused too: here it can only be a
bug of ours.

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

PRIMARY: Final = ("external_id", "user_alias", "braze_id")
"""The primary identifiers: exactly one to an object."""

UPDATE_ONLY: Final = "_update_existing_only"

ONE_PRIMARY: Final = "You must specify only one of 'external_id', 'user_alias' or 'braze_id'"
"""Measured."""

SUBSCRIBE: Final = "'{}' must be 'subscribed', 'unsubscribed', or 'opted_in'"
"""Measured, for ``email_subscribe`` and ``push_subscribe``."""

NOT_AN_OBJECT: Final = "each entry must be an object"
NO_IDENTIFIER: Final = "'external_id' or 'braze_id' is required"
BAD_ID: Final = "'{}' must be a non-empty string"
LONG_ID: Final = f"'external_id' may not exceed {MAX_EXTERNAL_ID_BYTES} bytes"
BAD_EMAIL: Final = "'email' is not a valid email address"
BAD_LOCATION: Final = "'current_location' must have a numeric 'latitude' and 'longitude'"
BAD_GROUPS: Final = "'subscription_groups' must be an array of objects with an id and a state"
BAD_FIELD: Final = "'{}' is not a valid attribute"
NEVER_SENT: Final = "'{}' is not known to the sandbox, because this pipeline never sends it"

_OPERATORS: Final = OPERATORS | {"$add", "$remove", "$update"}

_EMAIL: Final = re.compile(
    r"[^@\s,;<>()\[\]\\\"]{1,64}@[^@\s,;<>()\[\]\\\"_]+\.[^@\s.,;<>()\[\]\\\"_]{2,}"
)


def refusal(entry: Json) -> str | None:
    """The sentence with which an entry of ``attributes`` is refused; None for one that is taken."""
    if not isinstance(entry, dict):
        return NOT_AN_OBJECT
    return _identity(entry) or _fields(entry) or _never_sent(entry)


def _identity(entry: Mapping[str, Json]) -> str | None:
    given = [name for name in PRIMARY if entry.get(name) is not None]
    if len(given) > 1:
        return ONE_PRIMARY
    if not given:
        return NO_IDENTIFIER
    name, value = given[0], entry[given[0]]
    if name == "user_alias":
        return NEVER_SENT.format(name)
    if not isinstance(value, str) or not value.strip():
        return BAD_ID.format(name)
    too_long = name == "external_id" and len(value.encode()) > MAX_EXTERNAL_ID_BYTES
    return LONG_ID if too_long else None


def _fields(entry: Mapping[str, Json]) -> str | None:
    for name in ("email_subscribe", "push_subscribe"):
        if entry.get(name) not in (None, *(FIELDS[name].allowed or ())):
            return SUBSCRIBE.format(name)
    email, location, groups = (
        entry.get(name) for name in ("email", "current_location", "subscription_groups")
    )
    if email is not None and not (isinstance(email, str) and _EMAIL.fullmatch(email)):
        return BAD_EMAIL
    if location is not None and not _is_location(location):
        return BAD_LOCATION
    if groups is not None and not _are_groups(groups):
        return BAD_GROUPS
    refused = (n for n in entry if n in FIELDS and FIELDS[n].access == "refused")
    return next((BAD_FIELD.format(name) for name in refused), None)


def _never_sent(entry: Mapping[str, Json]) -> str | None:
    for name, value in entry.items():
        operator = isinstance(value, dict) and value and value.keys() <= _OPERATORS
        if operator or (name in CONTROL_KEYS and name != UPDATE_ONLY):
            return NEVER_SENT.format(name)
    return None


def _is_location(value: Json) -> bool:
    if not isinstance(value, dict):
        return False
    for part, bound in (("latitude", 90), ("longitude", 180)):
        degrees = value.get(part)
        if isinstance(degrees, bool) or not isinstance(degrees, int | float):
            return False
        if not -bound <= degrees <= bound:
            return False
    return True


def _are_groups(value: Json) -> bool:
    return isinstance(value, list) and all(
        isinstance(group, dict)
        and isinstance(group.get("subscription_group_id"), str)
        and group.get("subscription_state") in ("subscribed", "unsubscribed")
        for group in value
    )
