"""The two locks: what a run needs, and that with the development tools beside it."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements-runtime.lock", "requirements.lock")
PINNED = re.compile(
    r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)((?: ; [^\\\n]+)?(?: \\\n    --hash=\S+)+)$", re.MULTILINE
)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def pins(lock: str) -> frozenset[tuple[str, str, str]]:
    """Name, version and hashes of each line; one name may have several versions, by markers."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    found = PINNED.findall(text)
    assert len(found) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)), (
        "a line without version or hash"
    )
    return frozenset(
        (normal(name), version, " ".join(sorted(re.findall(r"sha256:\w+", rest))))
        for name, version, rest in found
    )


def test_a_run_has_the_versions_that_were_tested() -> None:
    assert pins("requirements-runtime.lock") < pins("requirements.lock")


def test_production_gets_no_development_tool() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    tools = {normal(re.split(r"[\[<>=! ]", line)[0]) for line in extras["dev"]} - {"braze-pipeline"}
    assert {"pytest", "ruff", "mypy", "playwright"} <= tools
    assert tools.isdisjoint(name for name, _, _ in pins("requirements-runtime.lock"))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)
