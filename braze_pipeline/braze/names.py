"""Rules for the names that attributes have in Braze.

What belongs here: whether a name may be used, and what to use instead. What does not: where the
name is in a file; the configuration turns these problems into errors with file and line.

A name that exists in Braze must be usable. So only names that Braze itself would change or misread
are refused. Probable mistakes are refused unless the template says ``custom: true``.

Sources: Braze docs, "Custom attributes" (length, trimming, case) and "Standard attributes" (a
mis-cased field name becomes a custom attribute). For characters of top-level names the docs state
no rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from braze_pipeline.braze import limits
from braze_pipeline.braze.fields import CONTROL_KEYS, FIELDS, SENDABLE
from braze_pipeline.wordlists import meanings

RESERVED_PREFIX: Final = "__"
"""Prefix of the columns of our own tables."""


@dataclass(frozen=True, kw_only=True)
class NameProblem:
    """Why a name cannot be used.

    Attributes:
        code: Which rule it breaks, e.g. ``near_field``.
        message: What is wrong, in a sentence.
        suggestion: The name to use instead, None where there is none.
        optional: Whether it is only probably a mistake, and allowed with ``custom: true``.
    """

    code: str
    message: str
    suggestion: str | None = None
    optional: bool = False


_MEANT: Final = "%‰٪#&@*"
"""Punctuation that is no matter of spelling: `Share %` is not `Share`."""
_MINUS: Final = "\N{MINUS SIGN}"
"""A symbol to Unicode, but a hyphen in a name."""


def comparison_key(name: str) -> str:
    """A name without case, width, spacing, ``_``, ``-`` and other punctuation of spelling.

    Symbols stay: `Spend €` is not `Spend ($)`. A name of nothing but spelling is its own key.
    """
    flat = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    # Marks stay: in many scripts they are vowels.
    return _only(flat.replace(_MINUS, ""), "LNMS", and_also=_MEANT) or name


def _words_key(name: str) -> str:
    """The key of a name's words alone: a `Phone #` is probably the profile field."""
    return _only(comparison_key(name), "LNM")


def _only(text: str, categories: str, and_also: str = "") -> str:
    kept = (c for c in text if unicodedata.category(c)[0] in categories or c in and_also)
    # Characters that are now adjacent may combine into one letter.
    return unicodedata.normalize("NFKC", "".join(kept))


FIELD_WORDS: Final = MappingProxyType(meanings(Path(__file__).with_name("field_words.txt")))
"""Common column names of profile fields, with Braze's name."""

_BY_KEY: Final[Mapping[str, str]] = MappingProxyType(
    {comparison_key(name): name for name in FIELDS}
    | {comparison_key(word): field for word, field in FIELD_WORDS.items()}
)
_CONTROL_BY_KEY: Final = MappingProxyType({comparison_key(key): key for key in CONTROL_KEYS})
_OWNER: Final = re.compile(
    "^(customer|client|user|member|contact|subscriber|shopper|buyer|guest|person|personal|profile|"
    "primary|main|current|my)"
)
_SHORTEST: Final = 5
_RIGHT: Final = {key: name for name in SENDABLE if len(key := comparison_key(name)) >= _SHORTEST}
"""Field names that are long enough for a misspelling to be recognisable."""


def field_for(name: str) -> str | None:
    """The profile field that a name is, means or nearly spells; None for any other name."""
    if name in FIELDS:
        return name
    key = _words_key(name)
    bare = _OWNER.sub("", key)
    meant = (_BY_KEY.get(one) or _misspelled(one) for one in (key, bare, bare.removeprefix("s")))
    return next((field for field in meant if field), None)


def _misspelled(key: str) -> str | None:
    """The field whose name differs by one missing or extra letter, or two swapped letters."""
    return next((name for right, name in _RIGHT.items() if _one_slip(key, right)), None)


def _one_slip(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    # A digit is not a typo: `Phone 2` is another number.
    if len(long) == len(short) + 1:
        return any(
            long[:n] + long[n + 1 :] == short and long[n].isalpha() for n in range(len(long))
        )
    swapped = (one[:n] + one[n + 1] + one[n] + one[n + 2 :] for n in range(len(one) - 1))
    return len(one) == len(other) and other in swapped


def check_name(name: str, *, custom: bool = False) -> tuple[NameProblem, ...]:
    """All problems of a Braze name, of a profile field or a custom attribute.

    Args:
        name: The name.
        custom: Whether the template says that it is a custom attribute of the brand's own.
    """
    if name in FIELDS:
        return _field_problems(name)
    problems = (*_spelling_problems(name), *_near_problems(name))
    return tuple(problem for problem in problems if not (custom and problem.optional))


def _field_problems(name: str) -> tuple[NameProblem, ...]:
    field = FIELDS[name]
    if field.sendable:
        return ()
    what = {
        "settable": "names the user, and an object names its user once"
        if field.identifier
        else "is never sent",
        "excluded": "cannot be in an object that names its user by another identifier",
        "read_only": "is read-only",
        "export_only": "is only exported by Braze",
        "refused": "is refused by Braze",
    }[field.access]
    instead = "current_location" if name == "last_coordinates" else None
    return (
        NameProblem(
            code=f"field_{'unsent' if field.settable else field.access}",
            message=f"The profile field {name!r} {what}: {field.rule}.",
            suggestion=instead,
        ),
    )


def _spelling_problems(name: str) -> Iterator[NameProblem]:
    if not name.strip():
        yield NameProblem(code="name_empty", message="A name must not be empty.")
        return
    if name != name.strip():
        yield NameProblem(
            code="name_untrimmed",
            message=f"The name {name!r} begins or ends with white space, which Braze trims.",
            suggestion=name.strip(),
        )
    if len(name) > limits.MAX_NAME:
        yield NameProblem(
            code="name_too_long",
            message=f"The name has {len(name)} characters; Braze takes {limits.MAX_NAME}.",
        )
    if name.startswith(RESERVED_PREFIX):
        yield NameProblem(
            code="name_reserved",
            message=f"The name {name!r} begins with {RESERVED_PREFIX!r}, which this pipeline keeps "
            "for itself.",
            suggestion=name.lstrip("_") or None,
        )
    clean = "".join(char for char in name if not _unprintable(char)).strip()
    for code, optional in (("name_control", False), ("name_invisible", True)):
        if any(_unprintable(char) == code for char in name):
            yield NameProblem(
                code=code,
                message=f"The name {name!r} contains a control or invisible character.",
                suggestion=clean or None,
                optional=optional,
            )


def _unprintable(char: str) -> str | None:
    """``name_control`` for control characters and surrogates, ``name_invisible`` for the rest."""
    category = unicodedata.category(char)
    if category in {"Cc", "Cs"}:
        return "name_control"
    seen = category[0] != "C" and category not in {"Zl", "Zp"} and (category != "Zs" or char == " ")
    return None if seen else "name_invisible"


def _near_problems(name: str) -> Iterator[NameProblem]:
    if name in CONTROL_KEYS:
        yield NameProblem(
            code="control_key",
            message=f"{name!r} is a key that controls Braze, not an attribute.",
        )
        return
    field = _CONTROL_BY_KEY.get(_words_key(name)) or field_for(name)
    if field is None:
        return
    usable = field in FIELDS and FIELDS[field].settable and not FIELDS[field].consent
    yield NameProblem(
        code="near_field",
        message=f"{name!r} is not Braze's {field!r} but close to it: Braze would store it as a "
        f"custom attribute and leave {field!r} as it is. "
        + (f"Use {field!r}, or add" if usable else f"{field!r} cannot be sent; add")
        + " `custom: true` if you mean a custom attribute of that name.",
        suggestion=field if usable else None,
        optional=True,
    )
