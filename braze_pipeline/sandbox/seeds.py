"""Files of users: whom a sandbox knows from the start, and what it keeps across restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from braze_pipeline.sandbox.profiles import external_id
from braze_pipeline.sandbox.values import DataType
from braze_pipeline.sandbox.workspace import Workspace

User = str | Mapping[str, Any]
"""An external id, or an object in the form of an ``attributes`` entry."""

_HEADINGS: Final = frozenset({"user_id", "external_id"})
_ATTRIBUTES: Final = "custom_attributes"


def read(path: Path) -> Iterator[User]:
    """The users of a file: one external id a line (a heading is skipped), or JSON lines."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file):
            text = line.strip()
            if text.startswith("{"):
                yield json.loads(text)
            elif text and not (number == 0 and text.strip('"') in _HEADINGS):
                yield text.strip('"')


def save(workspace: Workspace, path: Path) -> None:
    """Write custom attributes (first line) and profiles (a line each) as JSON.

    The file is complete or not there: it is written under another name and renamed.
    """
    unfinished = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with workspace.lock, unfinished.open("w", encoding="utf-8") as file:
        attributes = {
            one.name: {"type": one.type, "blocklisted": one.blocklisted}
            for one in workspace.attributes.values()
        }
        file.write(json.dumps({_ATTRIBUTES: attributes}) + "\n")
        store = workspace.profiles
        for key, profile in store.items():
            user: dict[str, Any] = {"braze_id": store.braze_id(key)}
            if external_id(key) is not None:
                user["external_id"] = key
            for label, name in store.aliases(key)[:1]:
                user["user_alias"] = {"alias_label": label, "alias_name": name}
            file.write(json.dumps(user | profile.values, ensure_ascii=False) + "\n")
    unfinished.replace(path)


def load(workspace: Workspace, path: Path) -> None:
    """Read what ``save`` wrote into a workspace."""
    with workspace.lock, path.open(encoding="utf-8") as file:
        attributes = json.loads(file.readline())[_ATTRIBUTES]
        for name, known in attributes.items():
            attribute = workspace.attribute(name)
            attribute.type = None if known["type"] is None else DataType(known["type"])
            attribute.blocklisted = known["blocklisted"]
        workspace.seed(json.loads(line) for line in file)
