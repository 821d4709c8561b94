"""Who opens a SQLite file while others create it gets a connection."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from braze_pipeline.storage.limits import LimitsFile
from braze_pipeline.storage.sqlite_files import connect

AT_ONCE, TURNS = 6, 30


def test_several_that_create_a_file_at_the_same_moment_all_get_it(tmp_path: Path) -> None:
    done: list[int] = []
    for turn in range(TURNS):
        path = tmp_path / f"{turn}.sqlite"
        together = threading.Barrier(AT_ONCE)

        def one(turn: int = turn, path: Path = path, wait: threading.Barrier = together) -> None:
            wait.wait(60)
            LimitsFile(path).close()
            done.append(turn)

        threads = [threading.Thread(target=one) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(done) == TURNS * AT_ONCE


def test_a_file_that_is_no_database_fails_at_once(tmp_path: Path) -> None:
    path = tmp_path / "no.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        connect(path)
