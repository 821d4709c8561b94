"""Word lists that ship as data: what tables write, and what it means.

A line of such a file is ``meaning: word, word``; one that begins with ``#`` is a comment.
"""

from __future__ import annotations

from pathlib import Path


def meanings(file: Path) -> dict[str, str]:
    """Each word of a list to its meaning, in the order of the file."""
    found: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        meaning, colon, words = line.partition(":")
        if colon and not line.startswith("#"):
            found |= {word.strip(): meaning for word in words.split(",")}
    return found
