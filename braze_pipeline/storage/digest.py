"""A digest of all bytes of a Parquet file, kept in the file itself.

It is before the footer, where Parquet's readers look at nothing that the footer does not name. So
it covers the footer too, depends on no library's hash, and everything reads the file as before.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO, Final

_TAIL: Final = 8
"""The length of the footer, in four bytes, and ``PAR1``."""
_SIZE: Final = hashlib.sha256().digest_size
_CHUNK: Final = 1 << 20


def add(file: Path) -> None:
    """Put the digest into a file that has none."""
    with file.open("r+b") as opened:
        start = _footer(opened)
        digest = _digest(opened, start, start)
        opened.seek(start)
        footer = opened.read()
        opened.seek(start)
        opened.write(digest + footer)


def matches(file: Path) -> bool:
    """Whether a file that has a digest is as it was when it was written."""
    with file.open("rb") as opened:
        start = _footer(opened)
        if start < _SIZE:
            return False
        opened.seek(start - _SIZE)
        return opened.read(_SIZE) == _digest(opened, start - _SIZE, start)


def _footer(opened: BinaryIO) -> int:
    size = opened.seek(-_TAIL, os.SEEK_END)
    return size - int.from_bytes(opened.read(4), "little")


def _digest(opened: BinaryIO, end: int, footer: int) -> bytes:
    """Of everything but what is between ``end`` and ``footer``."""
    digest = hashlib.sha256()
    opened.seek(0)
    while end and (chunk := opened.read(min(end, _CHUNK))):
        digest.update(chunk)
        end -= len(chunk)
    opened.seek(footer)
    while chunk := opened.read(_CHUNK):
        digest.update(chunk)
    return digest.digest()
