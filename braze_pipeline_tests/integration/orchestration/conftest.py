from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from braze_pipeline_tests.receivers import (
    HttpReceiver,
    MailReceiver,
    http_receiver,
    mail_receiver,
)
from braze_pipeline_tests.watched_world import World


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """In memory: a tenth of the time of one on disk, and the same SQL."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def persistent_instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """On disk, with the storage that ``make ui`` has."""
    home = tmp_path / "home"
    home.mkdir()
    with dg.instance_for_test(temp_dir=str(home)) as found:
        yield found


@pytest.fixture
def make_world(instance: dg.DagsterInstance, tmp_path: Path) -> Callable[..., World]:
    def make(**more: Any) -> World:
        more.setdefault("folder", tmp_path)
        return World(instance=more.pop("instance", instance), **more)

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    with http_receiver() as found:
        yield found


@pytest.fixture
def smtp() -> Iterator[MailReceiver]:
    with mail_receiver() as found:
        yield found
