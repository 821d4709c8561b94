"""A small brand with a sandbox, for tests that run the pipeline as its people do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from braze_pipeline.sandbox import Sandbox
from braze_pipeline_tests.small_brand import SmallBrand, small_brand


@pytest.fixture
def brand(tmp_path: Path) -> SmallBrand:
    """The brand, in a folder of its own."""
    return small_brand(tmp_path / "brand")


@pytest.fixture
def sandbox(brand: SmallBrand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that has every user; the process's environment points at it."""
    with Sandbox(assume_all=True) as found:
        brand.enter(monkeypatch, found.endpoint, found.api_key)
        yield found
