"""Reads ``defs.yaml`` without Dagster: the same schema, the same errors, with line numbers."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any, Final

import yaml
from pydantic import ValidationError

from braze_pipeline.config.models import OnLeave, PipelineConfig
from braze_pipeline.config.problems import Key, Place, Problem, node_at, refuse
from braze_pipeline.config.project import project_of
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.settings import AlertSettings, Guards, SourceChecks
from braze_pipeline.settings.project import ProjectSettings
from braze_pipeline.settings.section import AT_KEY, forms_of
from braze_pipeline.user_input import read_text

COMPONENT = "BrazeDestination"

_SWITCHED_OFF: Final = {
    (name,)
    for section in (ProjectSettings, AlertSettings, Guards, SourceChecks)
    for name, field in section.model_fields.items()
    if field.default is not None and NoneType in forms_of(field.annotation)
}
"""Keys for which nothing at all is not the default but `null`, the end of a guard or a schedule."""

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Reads a date as text, as Dagster does: what it is depends on its key."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


_MESSAGES = {
    "missing": "This key is required here.",
    "model_type": "Keys are expected here, each as `key: value`.",
    "list_type": "A list is expected here.",
    "tuple_type": "A list is expected here.",
    "too_short": "Too few entries: at least {min_length} needed.",
    "bool_type": "Expected true or false.",
    "bool_parsing": "Expected true or false.",
    "string_type": "Expected text. Numbers, dates, yes and no need quotes.",
    "int_type": "Expected a whole number.",
    "int_parsing": "Expected a whole number.",
    "int_from_float": "Expected a whole number.",
    "float_type": "Expected a number.",
    "float_parsing": "Expected a number.",
    "greater_than": "Expected more than {gt}.",
    "greater_than_equal": "Expected at least {ge}.",
    "less_than": "Expected less than {lt}.",
    "less_than_equal": "Expected at most {le}.",
}
"""Plainer messages for some of pydantic's types of error."""


def load_configs(file: Path) -> list[tuple[PipelineConfig, Place]]:
    """Every destination that a ``defs.yaml`` declares, checked against the schema.

    Raises:
        ConfigurationError: the file is missing, is not YAML, does not fit the schema, or shares a
            destination with another file of its project; names file, line, key, what is allowed
            and the nearest valid name.
    """
    loaded = [(_checked(data, place), place) for data, place in _documents(file)]
    if not loaded:
        raise ConfigurationError(
            f"{file} declares no Braze destination.",
            fix=f"Add a document with `type: braze_pipeline.orchestration.{COMPONENT}`.",
        )
    others = [one.resolve() for one in project_files(file.parent)]
    # A file that Dagster does not load, such as a trial beside it, may repeat a destination.
    loads = file.resolve() in others
    _refuse_repeated([file, *(one for one in others if loads and one != file.resolve())])
    return loaded


def project_files(folder: Path) -> list[Path]:
    """Every ``defs.yaml`` with a Braze destination in the Dagster project of a folder.

    Raises:
        ConfigurationError: the project's ``pyproject.toml`` cannot be read.
    """
    project = project_of(folder)
    if project is None or not (project / "pyproject.toml").is_file():
        return []
    try:
        tools = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{project / 'pyproject.toml'} is not valid TOML: {error}.", fix="Fix that line."
        ) from error
    module = tools.get("tool", {}).get("dg", {}).get("project", {}).get("root_module")
    if not isinstance(module, str):
        return []
    below = Path(*module.split("."), "defs")
    return [file for root in (project, project / "src") for file in _files_below(root / below)]


def refuse_repeated(defs: Path) -> None:
    """Refuse destinations that have one name in a folder of definitions.

    Raises:
        ConfigurationError: names both places.
    """
    _refuse_repeated(_files_below(defs))


def place_of(file: Path, destination: str) -> Place:
    """The document that declares the destination of that name, if the file has one."""
    declared = _declared(file) if file.is_file() else ()
    return next((place for name, place in declared if name == destination), Place())


def _files_below(defs: Path) -> list[Path]:
    files = sorted(defs.rglob("defs.yaml"))
    return [file for file in files if f".{COMPONENT}" in file.read_text(encoding="utf-8")]


def _declared(file: Path) -> tuple[tuple[str, Place], ...]:
    """The names of the destinations that a file declares, and where; it may not fit the schema."""
    return _declared_at(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _declared_at(file: Path, _changed: int) -> tuple[tuple[str, Place], ...]:
    """Read once, although every component of a project looks at all of its files."""
    documents = [
        (data["destination"], place)
        for data, place in _documents(file)
        if isinstance(data, dict) and isinstance(data.get("destination"), dict)
    ]
    return tuple((str(one.get("name", "braze")), place) for one, place in documents)


def _refuse_repeated(files: Iterable[Path]) -> None:
    """A destination has one document: its templates share ledger, tables and assets, and rules
    such as one owner for each attribute are checked within a document.
    """
    key: Key = ("destination", "name")
    first: dict[str, Place] = {}
    for name, place in (one for file in files for one in _declared(file)):
        if first.setdefault(name, place) is not place:
            text = (
                f"The destination {name!r} is defined twice (also in {first[name].where(key)}). "
                "Put all its templates into one document, or give one destination another `name`."
            )
            refuse([Problem(key, text)], place)


def _documents(file: Path) -> Iterator[tuple[Any, Place]]:
    text = read_text(file)
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
        values = list(yaml.load_all(text, Loader=_Loader))
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
            found = node_at(node, "attributes")
            attributes = found[0] if found else None
            refuse([*_misread(attributes, ())], Place(file, attributes))
            yield value.get("attributes"), Place(file, attributes)


def _repeated(node: yaml.Node | None, path: Key) -> Iterator[Problem]:
    """Keys that appear twice in a mapping: YAML would silently use the last one."""
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
                    f"This key appears twice (lines {seen[name.value]} and {line}). Remove one.",
                )
            seen.setdefault(name.value, line)
            yield from _repeated(value, (*path, name.value))


def _misread(node: yaml.Node | None, path: Key) -> Iterator[Problem]:
    """What YAML reads as another number than it looks like, or as a switch nobody turned."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _misread(item, (*path, index))
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _misread(value, (*path, name.value))
    if isinstance(node, yaml.ScalarNode):
        is_number = node.tag.endswith((":int", ":float"))
        if is_number and ":" in node.value:
            yield Problem(
                path,
                f"YAML reads {node.value} in base 60. Write a time of day as HH:MM in quotes, and "
                "anything else as a decimal number.",
            )
        elif node.tag.endswith(":int") and re.match("[-+]?0[0-9_]", node.value):
            yield Problem(path, f"YAML reads {node.value} in base 8. Remove the leading zero.")
        elif node.tag.endswith(":null") and not node.value and path[-1:] in _SWITCHED_OFF:
            yield Problem(
                path,
                "Nothing follows this key, which would switch it off. Write `null` for that; "
                "otherwise remove the key.",
            )


def _checked(data: object, place: Place) -> PipelineConfig:
    try:
        return PipelineConfig.model_validate(data)
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors(include_url=False)]
        # Where a value may have two forms, pydantic reports what is wrong for each of them.
        first = {problem.key: problem for problem in reversed(problems)}
        refuse([problem for problem in problems if first[problem.key] is problem], place)
        raise


def _problem(item: Any) -> Problem:  # noqa: ANN401 - pydantic's ErrorDetails
    key: Key = tuple(step for step in item["loc"] if not _is_branch(step))
    if item["type"] == AT_KEY:
        key += item["ctx"]["key"]
    if plain := _MESSAGES.get(item["type"]):
        return Problem(key, plain.format_map(item.get("ctx", {})))
    return Problem(key, str(item["msg"]).removeprefix("Value error, "))


def _is_branch(step: str | int) -> bool:
    """Pydantic adds the branch of a union to the path; it is not a key of the file."""
    return isinstance(step, str) and ("[" in step or step in {OnLeave.__name__, "str"})
