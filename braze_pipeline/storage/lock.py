"""One send per destination at a time, and no command that changes its ledger meanwhile.

Both hold the lock of a file. The operating system releases it when the process ends, however it
ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from braze_pipeline import private
from braze_pipeline.errors import SendBusy
from braze_pipeline.storage.warehouse import refusals

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.storage.warehouse import Warehouse

WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.2


@contextmanager
def sending(path: Path, destination: str, *, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the destination's lock during the block.

    Raises:
        SendBusy: another process still holds it after ``wait`` seconds.
        LedgerError: its file cannot be opened.
    """
    with refusals(path):
        file = os.open(private.file(path), os.O_RDWR | os.O_CLOEXEC)
    try:
        _take(file, destination, wait)
        yield
    finally:
        os.close(file)


@contextmanager
def between_sends(
    warehouse: Warehouse, destinations: Iterable[str]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the database while nothing is sent to the destinations.

    The locks are taken first, because a send needs the database before it can end.

    Raises:
        SendBusy: a send is still running after a minute.
    """
    with ExitStack() as stack:
        for name in sorted(set(destinations)):
            stack.enter_context(sending(warehouse.lock_path(name), name))
        yield stack.enter_context(warehouse.connect())


def _take(file: int, destination: str, wait: float) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise SendBusy(
                    f"A send to {destination}, or a command on its ledger, is still running after "
                    f"{wait:.0f} s.",
                    fix="Wait until it ends, then run again. If it hangs, terminate its run.",
                ) from None
            time.sleep(_POLL_SECONDS)
        else:
            return
