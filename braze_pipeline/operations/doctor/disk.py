"""Room and rights where the database, its journal and its snapshots lie."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline import private
from braze_pipeline.errors import ConfigurationError, DiskFull
from braze_pipeline.operations.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from braze_pipeline.storage.warehouse import Warehouse

_MB: Final = 1024**2
LEAST: Final = 200 * _MB
"""Below this a run is about to fail."""

COMFORTABLE: Final = 2 * 1024 * _MB
"""Below this, or below the database's own size, it may: a day's tables and the plan come on top."""


def disk(warehouse: Warehouse) -> list[Finding]:
    """The folder can be written, and has room."""
    folder = _nearest(warehouse.path.resolve().parent)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return [failure("disk", _no_rights(folder))]
    free = shutil.disk_usage(folder).free
    size = warehouse.path.stat().st_size if warehouse.path.is_file() else 0
    saw = f"{_amount(free)} free in {folder}; the database has {_amount(size)}."
    if free < LEAST:
        full = DiskFull(saw, fix="Free some room: what Braze acknowledged must be written down.")
        return [failure("disk", full)]
    if free < max(COMFORTABLE, size):
        return [warning("disk", saw, "Make room for at least the database's size again.")]
    return [ok("disk", saw)]


def private_files(warehouse: Warehouse) -> list[Finding]:
    """Whether others can read the database or what is beside it of ours."""
    beside = warehouse.path.parent.glob(f"{warehouse.path.stem}.*")
    loose = sorted(file for file in beside if file.stat().st_mode & private.OTHERS)
    if not loose:
        return [ok("rights", "The database and what is beside it are readable for you alone.")]
    return [
        warning(
            "rights",
            "They hold customers' values, and others may read them: "
            f"{', '.join(file.name for file in loose)}.",
            f"chmod -R go-rwx {' '.join(str(file) for file in loose)}",
        )
    ]


def _nearest(folder: Path) -> Path:
    """The folder, or what of it there is already."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _no_rights(folder: Path) -> ConfigurationError:
    return ConfigurationError(
        f"Nothing can be written in {folder}.",
        fix="Give its rights to the user that runs the pipeline, or set BRAZE_PIPELINE_DATABASE "
        "to a file in a folder that has them.",
    )


def _amount(size: int) -> str:
    if size >= 1024 * _MB:
        return f"{size / (1024 * _MB):,.1f} GB"
    return f"{size / _MB:,.1f} MB"
