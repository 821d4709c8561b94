"""The sandbox's reading endpoints, and an export file as ``/users/export/segment`` would make.

Sources: Braze docs, "Export users by identifier", "Export custom attributes", "User export object".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.limits import CUSTOM_ATTRIBUTES_PAGE, EXPORT_IDS
from braze_pipeline.sandbox import answers
from braze_pipeline.sandbox.answers import Answer
from braze_pipeline.sandbox.profiles import Alias, ProfileStore, external_id
from braze_pipeline.sandbox.values import CustomAttribute, DataType
from braze_pipeline.sandbox.workspace import Workspace

_LOOKUPS: Final = ("external_ids", "user_aliases", "braze_id", "email_address", "phone")


def export_ids(
    workspace: Workspace, document: Mapping[str, Any], *, fields_required: bool
) -> Answer:
    """``POST /users/export/ids``: the users that are known, and the ids that are not."""
    if not any(document.get(name) for name in _LOOKUPS):
        return answers.message(400, "No valid user identifiers were provided")
    asked = document.get("fields_to_export")
    if asked is None and fields_required:
        return answers.message(400, "'fields_to_export' must be provided")
    if asked is not None and not _are_strings(asked):
        return answers.message(400, "'fields_to_export' must be an array of strings")
    ids, aliases = document.get("external_ids") or [], document.get("user_aliases") or []
    if not _are_strings(ids) or not isinstance(aliases, list):
        return answers.message(400, "'external_ids' must be an array of strings")
    if len(ids) + len(aliases) > EXPORT_IDS:
        return answers.message(400, answers.TOO_MANY)
    with workspace.lock:
        store = workspace.profiles
        everybody = workspace.assume_all
        found = dict.fromkeys(
            key for key in _keys(store, document, everybody=everybody) if everybody or key in store
        )
        users = [_user(workspace, key, asked) for key in found]
        unknown = [one for one in ids if one not in found]
    body: dict[str, Any] = {"users": users, "message": "success"}
    if unknown:
        body["invalid_user_ids"] = unknown
    return answers.json_answer(201, body)


def _are_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _keys(store: ProfileStore, document: Mapping[str, Any], *, everybody: bool) -> Iterator[str]:
    """The keys of the users asked for; with ``everybody`` also those that have no profile yet."""
    by_braze_id = store.key_of_braze_id if everybody else store.by_braze_id
    yield from document.get("external_ids") or ()
    for alias in document.get("user_aliases") or ():
        if isinstance(alias, dict):
            found = store.by_alias((alias.get("alias_label", ""), alias.get("alias_name", "")))
            yield from () if found is None else (found,)
    for name, find in (
        ("braze_id", by_braze_id),
        ("email_address", lambda value: store.by_value("email", value)),
        ("phone", lambda value: store.by_value("phone", value)),
    ):
        value = document.get(name)
        found = find(value) if isinstance(value, str) and value else None
        yield from () if found is None else (found,)


def _user(workspace: Workspace, key: str, asked: Iterable[str] | None) -> dict[str, Any]:
    user = exported(workspace, key)
    return user if asked is None else {name: user.get(name) for name in asked}


def exported(workspace: Workspace, key: str) -> dict[str, Any]:
    """A profile as an export shows it; the workspace's lock is held."""
    store = workspace.profiles
    profile = store.get(key)
    values = {} if profile is None else profile.values
    user: dict[str, Any] = {"external_id": external_id(key), "braze_id": store.braze_id(key)}
    aliases = store.aliases(key)
    if aliases:
        user["user_aliases"] = [_alias(alias) for alias in aliases]
    user |= {name: value for name, value in values.items() if name in FIELDS}
    custom = {name: value for name, value in values.items() if name not in FIELDS}
    if custom:
        user["custom_attributes"] = custom
    return user


def _alias(alias: Alias) -> dict[str, str]:
    return {"alias_label": alias[0], "alias_name": alias[1]}


def write_export(workspace: Workspace, path: Path) -> int:
    """Write all profiles as JSON lines, one user a line; returns how many.

    The form is that of the files that ``/users/export/segment`` leaves in a bucket.
    """
    with workspace.lock:
        with path.open("w", encoding="utf-8") as file:
            for key in workspace.profiles:
                file.write(json.dumps(exported(workspace, key), ensure_ascii=False) + "\n")
        return len(workspace.profiles)


def custom_attributes(workspace: Workspace, query: str, headers: Mapping[str, str]) -> Answer:
    """``GET /custom_attributes``: a page of 50, in alphabetical order, the next one in ``Link``."""
    skip = _skip(parse_qs(query).get("cursor", [""])[0])
    if skip is None:
        return answers.message(400, "Invalid cursor")
    with workspace.lock:
        known = sorted(workspace.attributes.values(), key=lambda one: one.name)
        page = [_described(one) for one in known[skip : skip + CUSTOM_ATTRIBUTES_PAGE]]
    answer = answers.json_answer(200, {"attributes": page, "message": "success"})
    links = []
    address = f"http://{headers.get('host', '127.0.0.1')}/custom_attributes"
    if skip > 0:
        before = max(0, skip - CUSTOM_ATTRIBUTES_PAGE)
        links.append(f'<{address}?cursor={_cursor(before)}>; rel="prev"')
    if skip + CUSTOM_ATTRIBUTES_PAGE < len(known):
        after = skip + CUSTOM_ATTRIBUTES_PAGE
        links.append(f'<{address}?cursor={_cursor(after)}>; rel="next"')
    if links:
        answer.headers["Link"] = ",".join(links)
    return answer


def _described(attribute: CustomAttribute) -> dict[str, Any]:
    return {
        "array_length": attribute.array_length if attribute.type is DataType.ARRAY else None,
        "data_type": str(attribute.type or DataType.STRING),
        "description": attribute.description or None,
        "name": attribute.name,
        "status": "Blocklisted" if attribute.blocklisted else "Active",
        "tag_names": list(attribute.tags),
    }


def _cursor(skip: int) -> str:
    return base64.urlsafe_b64encode(f"skip:{skip}".encode()).decode()


def _skip(cursor: str) -> int | None:
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    word, _, number = text.partition(":")
    return int(number) if word == "skip" and number.isdecimal() else None
