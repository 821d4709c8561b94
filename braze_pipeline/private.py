"""Files that only their owner can read, whatever the umask: they contain customers' values.

DuckDB creates and removes its WAL and temporary files as it needs them, so nobody can create them
beforehand: while it is open, the process has a strict umask. SQLite's -wal and -shm files take the
mode of their database.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OTHERS = 0o077
"""The permissions of everybody but the owner."""
_lock = threading.Lock()
_before: list[int] = []


@contextmanager
def new_files() -> Iterator[None]:
    """Files created in the block are private; several threads may be in it."""
    with _lock:
        _before.append(os.umask(OTHERS))
    try:
        yield
    finally:
        with _lock:
            before = _before.pop()
            if not _before:
                os.umask(before)


def tighten(*paths: Path) -> None:
    """Remove the permissions of others from the files that exist and are ours.

    It uses the path: opening and closing a database's file would release the locks on it.
    """
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            mode = path.stat().st_mode
            if mode & OTHERS:
                path.chmod(mode & 0o777 & ~OTHERS)


def file(path: Path) -> Path:
    """Create an empty file and its folder if absent; make it private if it exists."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    tighten(path, *(path.with_name(path.name + end) for end in ("-wal", "-shm")))
    return path


def folder(path: Path) -> Path:
    """Create a folder and those above it if absent; make it private if it exists."""
    with new_files():
        path.mkdir(parents=True, exist_ok=True)
    tighten(path)
    return path
