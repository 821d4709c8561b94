"""Where in the file a problem is: file, line and key, as an operator reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        missing_identifier: Whether no unique identifier would be sent: a workflow action of the
            template's runs, so that the definitions load where nothing else is wrong.
    """

    key: Key
    text: str
    missing_identifier: bool = False


@dataclass(frozen=True)
class Place:
    """The YAML document a configuration came from.

    Attributes:
        file: Its path, or None where there was no file.
        document: The node of its ``attributes`` mapping, for line numbers.
    """

    file: Path | None = None
    document: yaml.Node | None = None

    def describe(self, problem: Problem) -> str:
        """``defs.yaml:12: templates[0].attributes[3].as: text``."""
        shown = dotted(problem.key)
        if self.file is None:
            return f"{shown}: {problem.text}"
        return f"{self.file}:{self._line(problem.key)}: {shown}: {problem.text}"

    def _line(self, key: Key) -> int:
        node, line = self.document, 1
        if node is not None:
            line = node.start_mark.line + 1
        for step in key:
            found = _step(node, step)
            if found is None:
                break
            node, line = found
        return line


def _step(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == step:
                return value, name.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item, item.start_mark.line + 1
    return None


def dotted(key: Key) -> str:
    """``('templates', 0, 'name')`` as ``templates[0].name``."""
    shown = ""
    for step in key:
        shown += f"[{step}]" if isinstance(step, int) else f".{step}"
    return shown.lstrip(".") or "(top)"


def refuse(problems: Sequence[Problem], place: Place) -> None:
    """Raise all problems as one error, if there are any.

    Raises:
        ConfigurationError: there are.
    """
    if not problems:
        return
    lines = "\n".join(place.describe(problem) for problem in problems)
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise ConfigurationError(
        f"The configuration has {count}:\n{lines}\n",
        fix="Mend the keys named above; `braze-pipeline template check` tries again.",
    )
