"""The table of places in docs/sources.md says what the code and pyproject.toml say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from braze_pipeline.config.sources import PLACES
from braze_pipeline.settings.places import DatabaseType
from braze_pipeline.settings.sources import SCHEMES, SourceConfig
from braze_pipeline.sources.remote.databases import DRIVERS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]


def rows(heading: str, page: str = PAGE) -> list[list[str]]:
    """The rows of the first table below a heading."""
    below = page.partition(f"{heading}\n")[2].lstrip().splitlines()
    lines = below[next(n for n, line in enumerate(below) if line.startswith("|")) :]
    end = next(n for n, line in enumerate(lines) if not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:end]]


TABLE = rows("## The table of places")


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_it_has_every_key_that_names_a_place() -> None:
    assert {one for row in TABLE for one in named(row[0])} == set(PLACES)


def test_it_has_every_scheme() -> None:
    found = [one for row in TABLE if row[0] == "`path`" for one in named(row[1])]
    assert sorted(found) == sorted(SCHEMES)


def test_it_has_every_type_of_connection_with_the_extra_that_the_error_names() -> None:
    found = {named(row[1])[0]: named(row[3])[0] for row in TABLE if row[0] == "`connection`"}
    wanted = {type_: driver.extra for type_, driver in DRIVERS.items()} | {"spark": "spark"}
    assert found == wanted
    assert set(wanted) == set(get_args(DatabaseType))


def test_each_extra_installs_the_library_that_stands_beside_it() -> None:
    for row in TABLE:
        for extra in named(row[3]):
            assert any(re.match(rf"{row[2]}\W", one) for one in EXTRAS[extra]), row
    assert {one for row in TABLE for one in named(row[3])} == set(EXTRAS) - {
        "bench",
        "predicted-value",
        "build",
        "dev",
    }


def test_what_no_test_installs_is_called_not_tested() -> None:
    dev = ",".join(re.findall(r"braze-pipeline\[([\w,]+)\]", " ".join(EXTRAS["dev"])))
    for row in TABLE:
        if set(named(row[3])) - set(dev.split(",")):
            assert row[4].startswith("not tested"), row


def test_the_table_of_keys_has_every_key_of_a_source() -> None:
    found = {
        one for row in rows("## Any tables, and four with known columns") for one in named(row[0])
    }
    assert found == set(SourceConfig.model_fields) - {"relation", "query"}


@pytest.mark.parametrize(
    "changed", [("`redshift` | adbc", "`mysql` | adbc"), ("`s3://` |", "`s4://` |")]
)
def test_a_row_too_many_would_be_found(changed: tuple[str, str]) -> None:
    page = PAGE.replace(*changed)
    assert rows("## The table of places", page) != TABLE
