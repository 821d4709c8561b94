"""The software that decides what values become: this package, its libraries and Python."""

from __future__ import annotations

import hashlib
import sys
import zlib
import zoneinfo
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_READERS: Final = ("email-validator", "idna", "phonenumbers", "pycountry", "tzdata")
LIBRARIES: Final = ("duckdb", "numpy", "pandas", "pandera", "pyarrow", *_READERS)
"""Libraries that decide values; Python itself brings Unicode's tables."""

_PACKAGE: Final = Path(__file__).parents[1]
_CODE: Final = frozenset({".py", ".sql", ".txt", ".yaml"})
_BRAND: Final = "defs"
"""The folder that a brand edits; what counts of it is in the template."""


@cache
def software() -> list[str]:
    """A digest of the code, and the versions."""
    code = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*")):
        place = path.relative_to(_PACKAGE)
        if path.suffix in _CODE and place.parts[0] != _BRAND:
            code.update(f"{place}\0".encode() + path.read_bytes())
    return [code.hexdigest(), sys.version, _time_zones(), *map(_version, LIBRARIES)]


def reader_version(version: int) -> int:
    """A reader's version and those of the libraries that it reads with, as one INTEGER."""
    with_what = [version, sys.version, _time_zones(), *map(_version, _READERS)]
    return zlib.crc32(repr(with_what).encode()) >> 1


def _version(library: str) -> str:
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError:  # tzdata, where the system has the time zones
        return library


def _time_zones() -> str:
    """The release of the system's time zone database; empty where it does not say."""
    for folder in zoneinfo.TZPATH:
        release = Path(folder) / "tzdata.zi"
        if release.is_file():
            with release.open(encoding="utf-8") as lines:
                return lines.readline().strip()
    return ""
