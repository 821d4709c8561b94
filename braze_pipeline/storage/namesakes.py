"""Databases that would share the files beside them, which are named without a suffix."""

from __future__ import annotations

import os
from pathlib import Path


def namesakes(database: Path) -> list[Path]:
    """Other DuckDB files in the folder that differ in the suffix alone, such as ``shop.test``."""
    folder = database.parent
    return [
        file
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.stem == database.stem and file.name != database.name and _is_database(file)
    ]


def _is_database(file: Path) -> bool:
    if not file.is_file() or not os.access(file, os.R_OK):
        return False
    with file.open("rb") as opened:
        return opened.read(12)[8:] == b"DUCK"
