"""Which objects Braze refuses by name in ``errors``, and in which words.

A refused object writes nothing. The sentences marked measured are those of a live workspace; of
the others Braze documents only the code, so the words here are ours.

Source: Braze docs, "Create and update users" (endpoint-specific errors).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from braze_pipeline.braze.limits import MAX_EXTERNAL_ID_BYTES
from braze_pipeline.settings import Json

PRIMARY: Final = ("external_id", "user_alias", "braze_id")
"""The primary identifiers: exactly one to an object."""

SECONDARY: Final = ("email", "phone")
"""Identifiers that look a user up where no primary one is there."""

STATES: Final = ("opted_in", "subscribed", "unsubscribed")

ONE_PRIMARY: Final = "You must specify only one of 'external_id', 'user_alias' or 'braze_id'"
"""Measured."""

SUBSCRIBE: Final = "'{}' must be 'subscribed', 'unsubscribed', or 'opted_in'"
"""Measured, for ``email_subscribe`` and ``push_subscribe``."""

NO_IDENTIFIER: Final = "'external_id', 'user_alias', 'braze_id', 'email' or 'phone' is required"
BAD_EMAIL: Final = "'email' is not a valid email address"
LONG_ID: Final = f"'external_id' may not exceed {MAX_EXTERNAL_ID_BYTES} bytes"
BAD_ID: Final = "'{}' must be a non-empty string"
BAD_ALIAS: Final = "'user_alias' must have a string 'alias_name' and a string 'alias_label'"
BLOCKED_ID: Final = "provided external_id is blacklisted and disallowed"
BAD_LOCATION: Final = "'current_location' must have a numeric 'latitude' and 'longitude'"
BAD_GROUPS: Final = "'subscription_groups' must be an array of objects with an id and a state"
SUBSCRIPTION_INFO: Final = "'email_subscription_info' is not a valid attribute"
NOT_AN_OBJECT: Final = "each entry must be an object"
BAD_IMPORT: Final = "'push_token_import' needs a push token and no 'external_id' or 'braze_id'"
MISSING_PART: Final = "'{}' is required"

_EMAIL = re.compile(
    r"[^@\s,;<>()\[\]\\\"]{1,64}@[^@\s,;<>()\[\]\\\"_]+\.[^@\s.,;<>()\[\]\\\"_]{2,}"
)

REQUIRED_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "attributes": (),
    "events": ("name", "time"),
    "purchases": ("product_id", "currency", "price", "time"),
}


def refusal(entry: Json, array: str, blocked_users: Collection[str]) -> str | None:
    """The sentence with which Braze refuses an object; None for one that it takes.

    Args:
        entry: One entry of an input array.
        array: ``attributes``, ``events`` or ``purchases``.
        blocked_users: External ids that Braze blocked as dummy users.
    """
    if not isinstance(entry, dict):
        return NOT_AN_OBJECT
    found = _identity(entry, blocked_users)
    if found is not None:
        return found
    for part in REQUIRED_PARTS[array]:
        if entry.get(part) is None:
            return MISSING_PART.format(part)
    return _values(entry) if array == "attributes" else None


def _identity(entry: Mapping[str, Json], blocked_users: Collection[str]) -> str | None:
    given = [name for name in PRIMARY if entry.get(name) is not None]
    if len(given) > 1:
        return ONE_PRIMARY
    if entry.get("push_token_import") is True:
        return BAD_IMPORT if given or not entry.get("push_tokens") else None
    if not given:
        known = any(entry.get(name) for name in SECONDARY)
        return None if known else NO_IDENTIFIER
    if given[0] == "user_alias":
        return None if _is_alias(entry["user_alias"]) else BAD_ALIAS
    return _id(given[0], entry[given[0]], blocked_users)


def _id(name: str, value: Json, blocked_users: Collection[str]) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return BAD_ID.format(name)
    if name == "external_id" and len(value.encode()) > MAX_EXTERNAL_ID_BYTES:
        return LONG_ID
    return BLOCKED_ID if value in blocked_users else None


def _is_alias(value: Json) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(part), str) and value[part] for part in ("alias_name", "alias_label")
    )


def _values(entry: Mapping[str, Json]) -> str | None:
    for name in ("email_subscribe", "push_subscribe"):
        if entry.get(name) is not None and entry[name] not in STATES:
            return SUBSCRIBE.format(name)
    email = entry.get("email")
    if email is not None and not (isinstance(email, str) and _EMAIL.fullmatch(email)):
        return BAD_EMAIL
    if "email_subscription_info" in entry:
        return SUBSCRIPTION_INFO
    location = entry.get("current_location")
    if location is not None and not _is_location(location):
        return BAD_LOCATION
    groups = entry.get("subscription_groups")
    return None if groups is None or _are_groups(groups) else BAD_GROUPS


def _is_location(value: Json) -> bool:
    if not isinstance(value, dict):
        return False
    bounds = {"latitude": 90, "longitude": 180}
    for part, bound in bounds.items():
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
