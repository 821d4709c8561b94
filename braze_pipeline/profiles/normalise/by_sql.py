"""Phone numbers and e-mail addresses that SQL can read: the plain ones, many at once on all cores.

The readers in `contact` take some 70 microseconds for a value; on a first day, when nearly every
value is new, that was most of the time. The expressions here give what those readers would give, or
NULL where they do not know; such values go to the readers. Numbering plans come from the same
library. A test compares both, for numbers of every country in many spellings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from braze_pipeline.profiles.normalise.contact import (
    FAST_EMAIL,
    INTERNATIONAL,
    SLOW_EMAIL_ENDS,
    fast_phone,
)
from braze_pipeline.storage.warehouse import literal

if TYPE_CHECKING:
    from collections.abc import Sequence


class InSql(NamedTuple):
    """How SQL reads raw values.

    Attributes:
        text: The part of ``raw`` that counts, computed once; NULL where SQL does not know.
        value: The canonical value, over ``text``, ``raw`` and ``params``; else NULL.
        problem: The code of what is wrong where there is no value; NULL where SQL does not know.
    """

    text: str
    value: str
    problem: str = "NULL"


_LONGEST: Final = 40
"""Longer phone numbers are left to the reader, which has a limit of its own."""

_DIGITS: Final = r"(\+[1-9]|\(?[0-9])[0-9 ().-]*[0-9]"
_E164: Final = r"\+[1-9][0-9]{5,14}"

_PARTS: Final = (
    "mobile", "fixed_line", "premium_rate", "toll_free", "shared_cost", "voip", "personal_number",
    "pager", "uan", "voicemail",
)  # fmt: skip
"""The parts of a numbering plan in which a number may be assigned."""


def email(_: Sequence[str]) -> InSql:
    """Addresses that are plain but for capitals, and text without an @."""
    # Both cases by name: (?i) would also take letters beyond ASCII, such as the Kelvin sign.
    plain = literal(FAST_EMAIL.replace("a-z", "a-zA-Z"))
    good = f"regexp_full_match(text, {plain}) AND length(text) <= 150"
    good += f" AND NOT regexp_matches(lower(text), {literal(SLOW_EMAIL_ENDS)})"
    bad = "regexp_full_match(text, '[ -?A-~]+')"
    return InSql(
        "raw",
        f"CASE WHEN {good} THEN lower(text) END",
        f"CASE WHEN {bad} THEN 'email_unreadable' END",
    )


def phone(params: Sequence[str]) -> InSql:
    """Digits with the usual separators.

    Args:
        params: The countries whose national numbers are read; ``""`` for numbers that begin with a
            calling code.
    """
    written = f"length(raw) <= {_LONGEST} AND regexp_full_match(raw, {literal(_DIGITS)})"
    cases = [(region, found) for region in params if (found := _number(region)) is not None]
    shown = " ".join(f"WHEN {literal(region)} THEN {found}" for region, found in cases)
    return InSql(
        text=f"CASE WHEN {written} THEN regexp_replace(raw, '[^0-9]', '', 'g') END",
        value=f"CASE params {shown} END" if cases else "NULL",
    )


def _number(region: str) -> str | None:
    """The number in E.164, over its digits; None for countries that need the library.

    It is what `phonenumbers` does where the calling code belongs to this country first, and the
    number begins with its national prefix (a few digits), or with nothing that could be one.
    """
    import phonenumbers

    if not region:
        called = "'+' || regexp_replace(text, '^00', '')"
        begins = f"regexp_matches(raw, {literal(INTERNATIONAL)})"
        known = f"regexp_full_match({called}, {literal(fast_phone())})"
        return f"CASE WHEN {begins} AND {known} THEN {called} END"
    plan: Any = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if plan is None or plan.leading_digits is not None:
        return None
    if phonenumbers.COUNTRY_CODE_TO_REGION_CODE[plan.country_code][0] != region:
        return None
    code, prefix = str(plan.country_code), plan.national_prefix_for_parsing
    home = [f"NOT regexp_matches(text, {_beginning(plan.international_prefix)})"]
    plain = [*home, f"NOT regexp_matches(text, {_beginning(prefix)})"] if prefix else home
    whens = [(plain, "text")]
    if prefix and prefix.isdigit() and not code.startswith(prefix):
        begins = f"starts_with(text, '{prefix}') AND NOT starts_with(text, '{code}')"
        whens.append(([*home, begins], f"substr(text, {len(prefix) + 1})"))
    shown = " ".join(
        f"WHEN {' AND '.join([*conditions, *_assigned(plan, code, national)])} "
        f"THEN '+{code}' || {national}"
        for conditions, national in whens
    )
    return f"CASE {shown} END"


def _beginning(pattern: str | None) -> str:
    """As the library does: what has no such prefix begins with none."""
    return literal(f"^(?:{pattern or 'NonMatch'})")


def _assigned(plan: Any, code: str, national: str) -> list[str]:  # noqa: ANN401 - untyped library
    """The conditions for a number that is possible and assigned in a plan."""
    parts = [_in_part(part, national) for name in _PARTS if (part := getattr(plan, name))]
    lengths = ", ".join(map(str, plan.general_desc.possible_length))
    return [
        f"length({national}) IN ({lengths})",
        _in_part(plan.general_desc, national),
        f"({' OR '.join(parts)})",
        f"regexp_full_match('+{code}' || {national}, {literal(_E164)})",
    ]


def _in_part(part: Any, national: str) -> str:  # noqa: ANN401 - untyped library
    if part.national_number_pattern is None:
        return "false"
    lengths = ", ".join(map(str, part.possible_length))
    possible = f"length({national}) IN ({lengths}) AND " if lengths else ""
    return f"({possible}regexp_full_match({national}, {literal(part.national_number_pattern)}))"
