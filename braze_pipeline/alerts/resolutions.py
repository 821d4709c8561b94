"""The steps that resolve each class of workflow action: the table in ``resolutions.yaml``.

It is read when first asked for, which most runs never do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import yaml

from braze_pipeline.alerts.action_classes import UNKNOWN, Resolution, error_of


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
    """The resolution of a class; an unlisted class is told like an unexpected failure."""
    return resolutions().get(action, resolutions()[UNKNOWN])
