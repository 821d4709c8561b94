"""Files that only their owner reads, whatever the umask: they hold customers' values.

DuckDB makes and removes its WAL and temporary files as it needs them, so that nothing can be made
for it beforehand: while it is open, the umask of the process is the strict one. SQLite's -wal and
-shm take the mode of their database.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OTHERS = 0o077
"""The rights of everybody but the owner."""
_lock = threading.Lock()
_before: list[int] = []


@contextmanager
def made() -> Iterator[None]:
    """What is made meanwhile is private; also where several threads are in here."""
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
    """Take the rights of others away, from what is there and is ours.

    By its path: to open a database and close it again would let go of the locks on it.
    """
    for path in paths:
        with suppress(FileNotFoundError, PermissionError):
            mode = path.stat().st_mode
            if mode & OTHERS:
                path.chmod(mode & 0o777 & ~OTHERS)


def file(path: Path) -> Path:
    """Make a file, empty, where there is none, with its folder; tighten it where there is one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    tighten(path, *(path.with_name(path.name + end) for end in ("-wal", "-shm")))
    return path


def folder(path: Path) -> Path:
    """Make a folder where there is none; tighten it where there is one."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    tighten(path)
    return path
