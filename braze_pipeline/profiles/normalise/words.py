"""Words for gender, in the languages that tables come in, to Braze's codes."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

from braze_pipeline.profiles.normalise.outcome import Outcome, bad, good
from braze_pipeline.wordlists import meanings

_LIST: Final = Path(__file__).with_name("genders.txt")

_NOT_STATED: Final = "-"


@cache
def _codes() -> dict[str, str]:
    return {_word(word): code for word, code in meanings(_LIST).items()}


def _word(text: str) -> str:
    return "_".join(unicodedata.normalize("NFKC", text).casefold().strip().rstrip(".").split())


def gender(raw: str, _: str = "") -> Outcome:
    """A word or letter for a gender to Braze's code.

    "Unknown" is not a code that Braze accepts but the lack of one: it is refused, so that Braze
    keeps what it has. Digits are refused too: systems disagree on which means what.
    """
    code = _codes().get(_word(raw))
    if code == _NOT_STATED:
        return bad("gender_not_stated")
    return good(code) if code is not None else bad("gender_unreadable")
