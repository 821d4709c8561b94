"""What was used of a rate limit is one count for every process on the machine."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from braze_pipeline.errors import LedgerError, NewerVersion
from braze_pipeline.storage.limits import LimitsFile, limits_path
from braze_pipeline.storage.warehouse import Warehouse

TURNS = 200


def count_up(path: Path) -> None:
    file = LimitsFile(path)
    for _ in range(TURNS):
        file.update("a", one_more)
    file.close()


def one_more(text: str | None) -> str:
    return str(int(text or 0) + 1)


def read(path: Path, name: str) -> str | None:
    found: list[str | None] = []

    def look(text: str | None) -> str:
        found.append(text)
        return text or ""

    file = LimitsFile(path)
    file.update(name, look)
    file.close()
    return found[0]


def test_no_change_of_several_processes_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "w.limits.sqlite"
    processes = [
        multiprocessing.get_context("forkserver").Process(target=count_up, args=(path,))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert read(path, "a") == str(3 * TURNS)
    assert read(path, "b") is None
    assert path.stat().st_mode & 0o077 == 0


def test_databases_of_one_company_can_share_a_file(tmp_path: Path) -> None:
    one, other = (Warehouse(tmp_path / f"{name}.duckdb") for name in ("one", "other"))
    assert limits_path(one, {}) != limits_path(other, {})
    shared = {"BRAZE_PIPELINE_LIMITS": str(tmp_path / "company.sqlite")}
    assert limits_path(one, shared) == limits_path(other, shared) == tmp_path / "company.sqlite"


def fails(_: str | None) -> str:
    raise ZeroDivisionError


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    file = LimitsFile(tmp_path / "w.limits.sqlite")
    file.update("a", one_more)
    with pytest.raises(ZeroDivisionError):
        file.update("a", fails)
    file.update("a", one_more)
    file.close()
    assert read(tmp_path / "w.limits.sqlite", "a") == "2"


def damage(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)


def outdate(path: Path) -> None:
    con = sqlite3.connect(path)
    con.execute("PRAGMA user_version = 99")
    con.close()


@pytest.mark.parametrize(("spoil", "error"), [(damage, LedgerError), (outdate, NewerVersion)])
def test_a_file_that_cannot_be_used_is_named_with_what_to_do(
    tmp_path: Path, spoil: Callable[[Path], None], error: type[Exception]
) -> None:
    path = tmp_path / "w.limits.sqlite"
    spoil(path)
    with pytest.raises(error, match=r"w\.limits\.sqlite"):
        LimitsFile(path)
