"""What the name of a column says about it, by word lists; and the words for yes and no."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Final, Literal, get_args

from braze_pipeline.braze.names import comparison_key
from braze_pipeline.wordlists import meanings

Meaning = Literal[
    "identifier", "consent", "refusal", "channel", "may send", "count", "secret", "personal",
    "personal alone",
]  # fmt: skip
_FOLDER: Final = Path(__file__).parent
ANSWERS: Final = meanings(_FOLDER / "answer_words.txt")
"""Words for yes and no, in lower case, with their meaning: ``yes`` or ``no``."""
_PARTS: Final = re.compile(r"[^\W\d_]?[^\W\d_A-Z]+|[A-Z]+|\d+")
"""The words of a name, in any of the usual spellings: `email_opt_in`, `emailOptIn`."""
_CLEAR: Final = 6
"""Words of so many letters are recognised inside longer ones: `newsletteranmeldung`."""


def is_named(name: str, meaning: Meaning) -> bool:
    """Whether a whole name is a word of that meaning."""
    return _key(name) in _WORDS[meaning]


def contains(name: str, meaning: Meaning) -> bool:
    """Whether a name has a word of that meaning in it."""
    parts = words_of(name)
    runs = {
        "".join(parts[start:end])
        for start in range(len(parts))
        for end in range(start + 1, start + 4)
    }
    return any(
        word in runs or (len(word) >= _CLEAR and any(word in part for part in parts))
        for word in _WORDS[meaning]
    )


def words_of(name: str) -> list[str]:
    """The words of a name, without case and accents."""
    return [_key(part) for part in _PARTS.findall(_without_accents(name))]


def _key(word: str) -> str:
    return comparison_key(_without_accents(word))


def _without_accents(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text)
    return "".join(char for char in letters if unicodedata.category(char) != "Mn")


def _words() -> dict[str, set[str]]:
    """The words of each meaning; one may have several, such as `email`."""
    words: dict[str, set[str]] = {meaning: set() for meaning in get_args(Meaning)}
    for file in ("column_words.txt", "consent_words.txt"):
        for word, meaning in meanings(_FOLDER / file).items():
            words[meaning].add(_key(word))
    return words


_WORDS: Final = _words()
