"""Files of users: who exists from the start, and what a sandbox keeps across restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from braze_pipeline import private
from braze_pipeline.sandbox.coercion import DataType
from braze_pipeline.sandbox.profiles import external_id
from braze_pipeline.sandbox.workspace import User, Workspace

_HEADINGS: Final = frozenset({"user_id", "external_id"})
_ATTRIBUTES: Final = "custom_attributes"


def read_users(path: Path) -> Iterator[User]:
    """The users in a file: one external id per line (a heading is skipped), or JSON lines."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file):
            text = line.strip()
            if text.startswith("{"):
                yield json.loads(text)
            elif text and not (number == 0 and text.strip('"') in _HEADINGS):
                yield text.strip('"')


def save(workspace: Workspace, path: Path) -> None:
    """Write custom attributes (first line) and profiles (one line each) as JSON.

    The file is written under another name and then renamed, so it is never incomplete.
    """
    unfinished = path.with_name(path.name + ".part")
    with workspace.lock, private.file(unfinished).open("w", encoding="utf-8") as file:
        attributes = {
            one.name: {"type": one.type, "blocklisted": one.blocklisted}
            for one in workspace.attributes.values()
        }
        file.write(json.dumps({_ATTRIBUTES: attributes}) + "\n")
        for key, profile in workspace.profiles.items():
            ids = {"external_id": external_id(key), "braze_id": workspace.profiles.braze_id(key)}
            file.write(json.dumps(ids | profile.values, ensure_ascii=False) + "\n")
    unfinished.replace(path)


def load(workspace: Workspace, path: Path) -> None:
    """Read what ``save`` wrote into a workspace."""
    with workspace.lock, path.open(encoding="utf-8") as file:
        for name, known in json.loads(file.readline())[_ATTRIBUTES].items():
            attribute = workspace.attribute(name)
            attribute.type = None if known["type"] is None else DataType(known["type"])
            attribute.blocklisted = known["blocklisted"]
        workspace.seed(json.loads(line) for line in file)
