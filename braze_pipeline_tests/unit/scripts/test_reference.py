"""docs/reference is complete and current: keys, commands, variables and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from braze_pipeline.alerts import notify
from braze_pipeline.config.models import PipelineConfig
from scripts import reference

ROOT = Path(__file__).parents[3]
PAGES = reference.pages()


def missing(page: str, names: set[str]) -> set[str]:
    """The names that no code in a page is."""
    return names - set(re.findall(r"`([^`\n]+)`", page))


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Every key of a model and of those inside it, by the classes, and not by the schema."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in models(field.annotation):
            yield from keys(inner)


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    written = (reference.FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name], "run: python -m scripts.reference"


def test_every_key_of_defs_yaml_is_in_its_page() -> None:
    names = set(keys(PipelineConfig))
    assert {"instance", "requests_per_hour", "on_leave", "uri_env", "min_audience_share"} <= names
    assert missing(PAGES["defs-yaml.md"], names) == set()
    assert missing(PAGES["defs-yaml.md"], {"no_such_key"}) == {"no_such_key"}


def test_every_key_says_what_it_means() -> None:
    undescribed = re.findall(r"^\| \**`(\w+)`\** \|.*\|  \|$", PAGES["defs-yaml.md"], re.MULTILINE)
    assert undescribed == []


def test_every_command_is_in_its_page_with_every_option() -> None:
    for path, command in reference.every_command():
        section = PAGES["commands.md"].partition(f"## {path}\n")[2].partition("\n## ")[0]
        assert section, path
        for option in command.params:
            assert all(name in section for name in option.opts if name.startswith("-")), path


def test_every_variable_that_the_package_reads_is_in_the_page() -> None:
    page = (reference.FOLDER / "environment.md").read_text(encoding="utf-8")
    named = {
        name
        for file in (ROOT / "braze_pipeline").rglob("*.py")
        for name in re.findall(r'"((?:BRAZE|DAGSTER)_[A-Z_]+[A-Z])"', file.read_text("utf-8"))
    }
    named |= set(re.findall(r"BRAZE_PIPELINE_[A-Z_]+[A-Z]", notify.__doc__ or ""))
    assert {"BRAZE_API_KEY", "BRAZE_PIPELINE_SMTP_PASSWORD", "DAGSTER_HOME"} <= named
    assert missing(page, named) == set()
