"""Reads ``defs.yaml`` without Dagster: the same schema, the same errors, with line numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.config.problems import Key, Place, Problem, refuse
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.user_input import read_text

COMPONENT = "BrazeDestination"


def load_configs(file: Path) -> list[tuple[PipelineConfig, Place]]:
    """Every destination that a ``defs.yaml`` declares, checked against the schema.

    Raises:
        ConfigurationError: the file is missing, is no YAML, or does not fit the schema; names
            file, line, key, what is allowed and the nearest valid name.
    """
    loaded = [(_checked(data, place), place) for data, place in _documents(file)]
    if not loaded:
        raise ConfigurationError(
            f"{file} declares no Braze destination.",
            fix=f"Add a document with `type: braze_pipeline.orchestration.{COMPONENT}`.",
        )
    return loaded


def place_of(file: Path, destination: str) -> Place:
    """Where in a file the destination of that name stands, for a configuration read elsewhere."""
    if file.is_file():
        for data, place in _documents(file):
            declared = data.get("destination") if isinstance(data, dict) else None
            if isinstance(declared, dict) and declared.get("name", "braze") == destination:
                return place
    return Place()


def _documents(file: Path) -> Iterator[tuple[Any, Place]]:
    text = read_text(file)
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        values = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigurationError(
            f"{file}{line}: not valid YAML: {getattr(error, 'problem', None) or error}.",
            fix="Fix the line named above.",
        ) from error
    for node, value in zip(nodes, values, strict=True):
        if isinstance(value, dict) and str(value.get("type", "")).endswith(f".{COMPONENT}"):
            refuse([*_repeated(node, ())], Place(file, node))
            yield value.get("attributes"), Place(file, _attributes(node))


def _repeated(node: yaml.Node | None, path: Key) -> Iterator[Problem]:
    """Keys that are in one mapping twice: YAML would take the last one, and say nothing."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated(item, (*path, index))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for name, value in node.value:
            line = name.start_mark.line + 1
            if name.value in seen:
                yield Problem(
                    (*path, name.value),
                    f"This key is there twice (lines {seen[name.value]} and {line}). Remove one.",
                )
            seen.setdefault(name.value, line)
            yield from _repeated(value, (*path, name.value))


def _attributes(node: yaml.Node | None) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == "attributes":
                return value  # type: ignore[no-any-return]
    return None


def _checked(data: object, place: Place) -> PipelineConfig:
    try:
        return PipelineConfig.model_validate(data)
    except ValidationError as error:
        refuse([_problem(item) for item in error.errors(include_url=False)], place)
        raise


def _problem(item: Any) -> Problem:  # noqa: ANN401 - pydantic's ErrorDetails
    key: Key = tuple(step for step in item["loc"] if not _is_branch(step))
    text = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing":
        text = "This key is required here."
    if item["type"] == "unknown_key":
        key = (*key, item["ctx"]["key"])
    return Problem(key, text)


def _is_branch(step: str | int) -> bool:
    """Pydantic names the branch of a union in the path; it is no key of the file."""
    return isinstance(step, str) and ("[" in step or step in {"OnLeavePart", "str"})
