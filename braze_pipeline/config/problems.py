"""Collects what is wrong with a configuration, and where: file, line and key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from braze_pipeline.errors import ConfigurationError

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the configuration.

    Attributes:
        key: The path of keys and list positions from the component's attributes.
        text: What is wrong and what is allowed.
        missing_identifier: Whether no unique identifier would be sent. If that is all that is
            wrong, the definitions load, and the template's runs fail with a workflow action.
    """

    key: Key
    text: str
    missing_identifier: bool = False


@dataclass(frozen=True)
class Problems:
    """Collects problems at one key of the configuration; ``at`` leads to the keys below it.

    Attributes:
        key: The key.
        found: All problems of the configuration so far, shared by all keys.
    """

    key: Key = ()
    found: list[Problem] = field(default_factory=list)

    def at(self, *steps: str | int) -> Problems:
        """The same collection, for a key below this one."""
        return Problems((*self.key, *steps), self.found)

    def add(self, text: str, *, missing_identifier: bool = False) -> None:
        """Note what is wrong at this key."""
        self.found.append(Problem(self.key, text, missing_identifier))

    def add_error(self, error: ConfigurationError) -> None:
        """Note what an error says, with its fix."""
        self.add(f"{error.what} {error.fix}")


@dataclass(frozen=True)
class Place:
    """The YAML document a configuration came from.

    Attributes:
        file: Its path, or None if there was no file.
        document: The node of its ``attributes`` mapping, for line numbers.
    """

    file: Path | None = None
    document: yaml.Node | None = None

    def describe(self, problem: Problem) -> str:
        """``defs.yaml:12: templates[0].attributes[3].as: text``."""
        steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem.key]
        text = f"{''.join(steps).lstrip('.') or '(top)'}: {problem.text}"
        return f"{self.where(problem.key)}: {text}" if self.file else text

    def where(self, key: Key) -> str:
        """``defs.yaml:12``."""
        return f"{self.file}:{self._line(key)}"

    def _line(self, key: Key) -> int:
        node, line = self.document, 1
        if node is not None:
            line = node.start_mark.line + 1
        for step in key:
            found = node_at(node, step)
            if found is None:
                break
            node, line = found
        return line


def node_at(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, int] | None:
    """What a node has under a key or at a list position, and its line; None if nothing."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == step:
                return value, name.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item, item.start_mark.line + 1
    return None


def refuse(problems: Sequence[Problem], place: Place) -> None:
    """Raise all problems as one error, if there are any.

    Raises:
        ConfigurationError: there is at least one.
    """
    if not problems:
        return
    lines = "\n".join(place.describe(problem) for problem in problems)
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise ConfigurationError(
        f"The configuration has {count}:\n{lines}\n",
        fix="Fix the keys named above, then run `braze-pipeline template check`.",
    )
