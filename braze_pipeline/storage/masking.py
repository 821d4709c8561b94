"""How a personal value is shown: its shape, never its content.

Letters and their marks become ``x`` and digits ``9``, in every script. Other characters stay,
because an operator needs the format to fix a value ("99999 999999" is a phone number without a
country code).
"""

from __future__ import annotations

import re
import traceback
import unicodedata
from pathlib import Path

from braze_pipeline.errors import PipelineError

MASK_LENGTH = 40

_QUOTED = re.compile(r"""(["'`])(.*?)\1(?!\w)""", re.DOTALL)
_WORD_WITH_DATA = re.compile(r"\S*[@\d]\S*")
_MAX_TEXT = 500


class _Shapes(dict[int, int]):
    """What each character is shown as, for ``str.translate``; filled as characters are seen."""

    def __missing__(self, code: int) -> int:
        kind = unicodedata.category(chr(code))
        # DuckDB may know letters of a newer Unicode, which this Python has as unassigned: Cn.
        letter = kind[0] in "LM" or kind == "Cn"
        return self.setdefault(code, ord("x") if letter else ord("9") if kind[0] == "N" else code)


_SHAPES = _Shapes()


def mask(value: object) -> str | None:
    """The shape of a value, at most 40 characters long; None stays None."""
    return shortened(None if value is None else str(value).translate(_SHAPES))


def shortened(text: str | None) -> str | None:
    """At most 40 characters of a text; None stays None."""
    if text is None or len(text) <= MASK_LENGTH:
        return text
    return text[: MASK_LENGTH - 1] + "…"


def mask_sql(expression: str) -> str:
    r"""The same in DuckDB SQL, for an expression of any type."""
    # Characters are replaced one by one, so a text may be cut off before; and `…` stays as it is.
    text = f"({expression})::VARCHAR"
    shown = (
        f"CASE WHEN length({text}) <= {MASK_LENGTH} THEN {text} "
        f"ELSE left({text}, {MASK_LENGTH - 1}) || '…' END"
    )
    letters = f"regexp_replace({shown}, '[\\p{{L}}\\p{{M}}]', 'x', 'g')"
    return f"regexp_replace({letters}, '\\p{{N}}', '9', 'g')"


def mask_text(text: str) -> str:
    """A text from elsewhere, with quoted parts and words with digits or an @ masked."""
    masked = _QUOTED.sub(lambda m: f"{m.group(1)}{mask(m.group(2))}{m.group(1)}", text)
    masked = _WORD_WITH_DATA.sub(lambda m: mask(m.group(0)) or "", masked)
    return masked[:_MAX_TEXT]


def unexpected(error: BaseException) -> PipelineError:
    """An exception of any other type: its type, where it arose, and its text with values masked."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
    return PipelineError(
        f"{type(error).__name__} at {place}: {mask_text(str(error))}",
        fix="This is a defect or an unexpected state. Please report it with the text above.",
    )
