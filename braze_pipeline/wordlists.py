"""Word lists that ship as data files: what source tables contain, and what it means.

Each line of such a file is ``meaning: word, word``; a line that starts with ``#`` is a comment.
"""

from __future__ import annotations

from pathlib import Path


def meanings(file: Path) -> dict[str, str]:
    """A word list as a mapping from each word to its meaning, in the order of the file."""
    by_word: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        meaning, colon, words = line.partition(":")
        if colon and not line.startswith("#"):
            by_word |= {word.strip(): meaning for word in words.split(",")}
    return by_word
