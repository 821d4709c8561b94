"""How a personal value is shown: its shape, never its content.

Letters become ``x``, digits ``9``; other signs stay, because the format is what an operator needs
in order to mend a value ("99999 999999" tells of a phone with no country code).
"""

from __future__ import annotations

import re

MASK_LENGTH = 40

_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")


def mask(value: object) -> str | None:
    """The shape of a value, at most 40 signs of it; None stays None."""
    if value is None:
        return None
    shape = _DIGIT.sub("9", _LETTER.sub("x", str(value)))
    return shape if len(shape) <= MASK_LENGTH else shape[: MASK_LENGTH - 1] + "…"


def mask_sql(expression: str) -> str:
    r"""The same in DuckDB SQL, for an expression of any type."""
    text = f"({expression})::VARCHAR"
    letters = f"regexp_replace({text}, '[\\p{{L}}\\p{{M}}]', 'x', 'g')"
    shape = f"regexp_replace({letters}, '\\p{{N}}', '9', 'g')"
    return (
        f"CASE WHEN length({shape}) <= {MASK_LENGTH} THEN {shape} "
        f"ELSE left({shape}, {MASK_LENGTH - 1}) || '…' END"
    )
