"""The steps that resolve each class of workflow action: the table in ``resolutions.yaml``.

It is read on first use; most runs never need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from braze_pipeline.alerts.action_classes import UNKNOWN, error_of


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What is known about one class of workflow action.

    Attributes:
        title: The class in words.
        meaning: What it means, in a sentence or two, with ``{placeholders}``.
        steps: What to do, in order, with ``{placeholders}``.
        section: The documented workflow action that it corresponds to; empty if there is none.
        retry: Whether "resolve" can retry the run.
        whole: Whether a retry repeats all steps of the run, because the fault is in the data that
            its earlier steps made.
    """

    title: str
    meaning: str
    steps: tuple[str, ...]
    section: str = ""
    retry: bool = True
    whole: bool = False

    def steps_for(self, facts: Mapping[str, str]) -> tuple[str, ...]:
        """The steps with their placeholders filled in; an unknown one stays readable."""
        return tuple(step.format_map(_Facts(facts)) for step in self.steps)

    def meaning_for(self, facts: Mapping[str, str]) -> str:
        """The meaning with its placeholders filled in."""
        return self.meaning.format_map(_Facts(facts))


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key.upper()


@cache
def resolutions() -> Mapping[str, Resolution]:
    """Every class with its resolution."""
    table = yaml.safe_load(files(__package__).joinpath("resolutions.yaml").read_text("utf-8"))
    return {
        action: Resolution(
            **{"title": error_of(action).title, **known, "steps": tuple(known["steps"])}
        )
        for action, known in table["classes"].items()
    }


def resolution_of(action: str) -> Resolution:
    """The resolution of a class; that of an unexpected failure if the class is not listed."""
    return resolutions().get(action, resolutions()[UNKNOWN])
