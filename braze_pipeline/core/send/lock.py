"""One send a destination at a time: the holder of a file's lock.

The operating system lets the lock go when its holder ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from braze_pipeline.errors import SendBusy

WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.2


@contextmanager
def sending(path: Path, destination: str, *, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the destination's lock.

    Raises:
        SendBusy: another send still holds it after ``wait`` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(file, destination, wait)
        yield
    finally:
        os.close(file)


def _take(file: int, destination: str, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise SendBusy(
                    f"Another send to {destination} is under way; waited {wait:.0f} s for it.",
                    fix="Let it end, then run again; if it hangs, terminate its run.",
                ) from None
            time.sleep(_POLL_SECONDS)
        else:
            return
