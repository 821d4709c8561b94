"""Phone numbers and e-mail addresses that SQL can read: the plain ones, many at once on all cores.

The readers in `contact` take some 70 microseconds for a value; on a first day, when nearly every
value is new, that was most of the time. The expressions here give what those readers would give, or
NULL where they do not know; such values go to the readers. Numbering plans come from the same
library. A test compares both, for numbers of every country in many spellings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from braze_pipeline.braze.fields import E164
from braze_pipeline.profiles.normalise.contact import (
    FAST_EMAIL,
    INTERNATIONAL,
    SECOND_ENDING,
    SLOW_EMAIL_ENDS,
    fast_phone,
)
from braze_pipeline.storage.sql_text import literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


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
    written = (
        f"length(raw) <= {_LONGEST} AND regexp_full_match(raw, {literal(_DIGITS)}) "
        f"AND NOT regexp_matches(raw, {literal(SECOND_ENDING)})"
    )
    found = {region: one for region in params if (one := _number(region)) is not None}
    if not found:
        return InSql(text="NULL", value="NULL")
    values, problems = (
        " ".join(f"WHEN {literal(region)} THEN {one[part]}" for region, one in found.items())
        for part in (0, 1)
    )
    return InSql(
        text=f"CASE WHEN {written} THEN regexp_replace(raw, '[^0-9]', '', 'g') END",
        value=f"CASE params {values} END",
        problem=f"CASE params {problems} END",
    )


def _number(region: str) -> tuple[str, str] | None:
    """The number in E.164 and what is wrong, over its digits; None for countries that need the
    library.

    It is what `phonenumbers` does where the calling code belongs to this country first, and the
    number begins with its national prefix (if that is digits), or with nothing that could be one.
    """
    import phonenumbers

    if not region:
        called = "'+' || regexp_replace(text, '^00', '')"
        begins = f"regexp_matches(raw, {literal(INTERNATIONAL)})"
        known = f"regexp_full_match({called}, {literal(fast_phone())})"
        return f"CASE WHEN {begins} AND {known} THEN {called} END", "NULL"
    plan: Any = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if plan is None or plan.leading_digits is not None:
        return None
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[plan.country_code]
    if regions[0] != region:
        return None
    plans = [phonenumbers.PhoneMetadata.metadata_for_region(one) for one in regions]
    code, prefix = str(plan.country_code), plan.national_prefix_for_parsing
    home = [f"NOT regexp_matches(text, {_beginning(plan.international_prefix)})"]
    other = f"NOT starts_with(text, '{code}')"
    plain = [*home, f"NOT regexp_matches(text, {_beginning(prefix)})"] if prefix else home
    values = [(plain, "text")]
    problems = [([*plain, other], _problem(plan, plans, "text"))]
    before: list[str] = []
    for one in _alternatives(prefix or ""):
        begins = f"starts_with(text, '{one}')"
        if one.isdigit() and not code.startswith(one):
            conditions, rest = [begins, *before, *home, other], f"substr(text, {len(one) + 1})"
            values.append((conditions, rest))
            problems.append((conditions, _problem(plan, plans, rest)))
        before.append(f"NOT regexp_matches(text, {_beginning(one)})")
    shown = " ".join(
        f"WHEN {' AND '.join([*conditions, *_assigned(plan, code, national)])} "
        f"THEN '+{code}' || {national}"
        for conditions, national in values
    )
    wrong = " ".join(f"WHEN {' AND '.join(some)} THEN {found}" for some, found in problems)
    return f"CASE {shown} END", f"CASE WHEN length(text) BETWEEN 3 AND 17 THEN CASE {wrong} END END"


def _problem(plan: Any, plans: Sequence[Any], national: str) -> str:  # noqa: ANN401
    """What is wrong with a number, where that is sure; ``plans`` are all that share its code.

    The library keeps a national prefix that the number needs in order to have a possible length, or
    to match the plan. So a length is wrong only if it is so with the prefix too, and the number is
    taken without it only where it does not match the plan with it.
    """
    lengths = ", ".join(map(str, plan.general_desc.possible_length))
    nowhere = " AND ".join(
        f"NOT ({_in_part(one.general_desc, national)} AND ({_in_any_part(one, national)}))"
        for one in plans
    )
    kept = "false" if national == "text" else _in_part(plan.general_desc, "text")
    return (
        f"CASE WHEN length(text) NOT IN ({lengths}) AND length({national}) NOT IN ({lengths}) "
        f"THEN 'phone_wrong_length' WHEN length({national}) IN ({lengths}) AND NOT ({kept}) "
        f"AND {nowhere} THEN 'phone_not_assigned' END"
    )


def _alternatives(pattern: str) -> Iterator[str]:
    """The parts of a pattern between the bars that are outside of parentheses."""
    start = depth = 0
    for place, sign in enumerate(pattern):
        depth += (sign == "(") - (sign == ")")
        if sign == "|" and not depth:
            yield pattern[start:place]
            start = place + 1
    yield pattern[start:]


def _beginning(pattern: str | None) -> str:
    """As the library does: what has no such prefix begins with none."""
    return literal(f"^(?:{pattern or 'NonMatch'})")


def _assigned(plan: Any, code: str, national: str) -> list[str]:  # noqa: ANN401 - untyped library
    """The conditions for a number that is possible and assigned in a plan."""
    lengths = ", ".join(map(str, plan.general_desc.possible_length))
    return [
        f"length({national}) IN ({lengths})",
        _in_part(plan.general_desc, national),
        f"({_in_any_part(plan, national)})",
        f"regexp_full_match('+{code}' || {national}, {literal(E164)})",
    ]


def _in_any_part(plan: Any, national: str) -> str:  # noqa: ANN401 - untyped library
    parts = (getattr(plan, name) for name in _PARTS)
    return " OR ".join(_in_part(part, national) for part in parts if part) or "false"


def _in_part(part: Any, national: str) -> str:  # noqa: ANN401 - untyped library
    if part.national_number_pattern is None:
        return "false"
    lengths = ", ".join(map(str, part.possible_length))
    possible = f"length({national}) IN ({lengths}) AND " if lengths else ""
    return f"({possible}regexp_full_match({national}, {literal(part.national_number_pattern)}))"
