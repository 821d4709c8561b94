"""Free space and permissions where the database, its journal and its snapshots are."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

from braze_pipeline import private
from braze_pipeline.errors import ConfigurationError, DiskFull
from braze_pipeline.operations.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from braze_pipeline.storage.warehouse import Warehouse

_MB: Final = 1024**2
MINIMUM: Final = 200 * _MB
"""With less free space a run is about to fail."""

COMFORTABLE: Final = 2 * 1024 * _MB
"""With less than this, or less than the database's own size, a run may fail: it adds a day's tables
and the plan."""


def disk(warehouse: Warehouse) -> list[Finding]:
    """Whether the folder is writable and has free space."""
    folder = next(one for one in warehouse.path.resolve().parents if one.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        refused = ConfigurationError(
            f"The folder {folder} is not writable.",
            fix="Give the user that runs the pipeline permission to write there, or set "
            "BRAZE_PIPELINE_DATABASE to a file in another folder.",
        )
        return [failure("disk", refused)]
    free = shutil.disk_usage(folder).free
    size = warehouse.path.stat().st_size if warehouse.path.is_file() else 0
    saw = f"{_amount(free)} free in {folder}; the database takes {_amount(size)}"
    copies = sum(one.stat().st_size for one in warehouse.extracts.rglob("*") if one.is_file())
    saw += f", copies of source tables take {_amount(copies)}." if copies else "."
    if free < MINIMUM:
        full = DiskFull(saw, fix="Free some space: what Braze acknowledges must be recorded.")
        return [failure("disk", full)]
    if free < max(COMFORTABLE, size):
        return [warning("disk", saw, "Free at least as much space as the database takes.")]
    return [ok("disk", saw)]


def private_files(warehouse: Warehouse) -> list[Finding]:
    """Whether other users can read the database or our files beside it."""
    beside = warehouse.path.parent.glob(f"{warehouse.path.stem}.*")
    loose = sorted(file for file in beside if file.stat().st_mode & private.OTHERS)
    if not loose:
        return [ok("rights", "Only you can read the database and the files beside it.")]
    return [
        warning(
            "rights",
            "Other users may read these files, which hold customers' values: "
            f"{', '.join(file.name for file in loose)}.",
            f"chmod -R go-rwx {' '.join(str(file) for file in loose)}",
        )
    ]


def _amount(size: int) -> str:
    if size >= 1024 * _MB:
        return f"{size / (1024 * _MB):,.1f} GB"
    return f"{size / _MB:,.1f} MB"
