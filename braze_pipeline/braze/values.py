"""Rules for the values that attributes have in Braze, as data and as pure functions.

What belongs here: what a value must be when it leaves. What does not: how a raw value is brought
into that form (``profiles.normalise``), or how a column of values is checked at once
(``profiles.schema`` turns these rules into pandera checks).

Sources: Braze docs, "Custom data types", "Custom attributes", "Standard attributes".
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from braze_pipeline.braze import limits
from braze_pipeline.braze.fields import FIELDS, ProfileField
from braze_pipeline.settings import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Test = Literal[
    "max_chars", "max_bytes", "matches", "lacks", "one_of", "between", "finite", "max_items",
    "unique_items", "no_null_items", "items_max_chars", "items_lack", "max_json_bytes",
]  # fmt: skip
Bound = int | float | date | datetime

CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
"""Control characters but tab and line ends (RE2 and Python)."""

_DAY: Final = r"(0[1-9]|[12][0-9]|3[01])"
_MONTH: Final = r"(0[1-9]|1[0-2])"
_YEAR: Final = r"([0-2][0-9]{3}|3000)"
_CLOCK: Final = (
    r"[T ][0-2][0-9]:[0-5][0-9](:[0-6][0-9]([.:,][0-9]{1,9})?)?( ?(Z|[+-][0-9]{2}:?[0-9]{2}))?"
)
_BLANK: Final = r"[ \t\n\r]"
READS_AS_TIME: Final = (
    rf"^{_BLANK}*({_YEAR}-{_MONTH}-{_DAY}({_CLOCK})?"
    rf"|(0?[1-9]|1[0-2])/(0?[1-9]|[12][0-9]|3[01])/{_YEAR}"
    rf"|(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ({_MONTH}|[A-Z][a-z]{{2}}) {_DAY} "
    rf"[0-2][0-9]:[0-5][0-9]:[0-6][0-9][. ]\S{{1,6}} {_YEAR}){_BLANK}*$"
)
"""Text that Braze takes for a time (RE2 and Python).

The first such value of a string attribute would make it a time attribute for good, and later
texts would be lost. So it is refused: the attribute is to be declared as ``date`` or ``time``.
"""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule for the values of an attribute. NULL satisfies each of them.

    Attributes:
        code: Its name in rejections, schema and docs.
        words: What a value must be.
        test: How it is tested.
        argument: The number, pattern or listing that the test needs.
    """

    code: str
    words: str
    test: Test
    argument: int | str | tuple[str, ...] | tuple[Bound | None, Bound | None] | None = None


def _lacks_control(code: str = "text_control") -> Rule:
    return Rule(code=code, words="no control characters", test="lacks", argument=CONTROL)


def _max_chars(number: int) -> Rule:
    return Rule(
        code="text_too_long",
        words=f"at most {number} characters",
        test="max_chars",
        argument=number,
    )


_READS_AS_TIME_RULE: Final = Rule(
    code="text_reads_as_time",
    words="not in one of Braze's date formats (else declare it as date or time)",
    test="lacks",
    argument=READS_AS_TIME,
)
_INTEGER: Final = Rule(
    code="number_inexact",
    words="an integer of at most 2^53 either way",
    test="between",
    argument=(-limits.MAX_EXACT_INTEGER, limits.MAX_EXACT_INTEGER),
)
_FINITE: Final = Rule(code="number_not_finite", words="a finite number", test="finite")
_DATE: Final = Rule(
    code="date_out_of_range",
    words=f"years {limits.MIN_YEAR} to {limits.MAX_YEAR}",
    test="between",
    argument=(date(limits.MIN_YEAR, 1, 1), date(limits.MAX_YEAR, 12, 31)),
)
_TIME: Final = Rule(
    code="time_out_of_range",
    words=f"years {limits.MIN_YEAR} to {limits.MAX_YEAR}",
    test="between",
    argument=(
        datetime(limits.MIN_YEAR, 1, 1),  # noqa: DTZ001 - columns hold UTC without saying so
        datetime(limits.MAX_YEAR, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
    ),
)
_JSON_SIZE: Final = Rule(
    code="object_too_large",
    words=f"at most {limits.MAX_OBJECT_BYTES:,} bytes of JSON",
    test="max_bytes",
    argument=limits.MAX_OBJECT_BYTES,
)
_ARRAY: Final = (
    Rule(code="array_has_null", words="no nulls in it", test="no_null_items"),
    Rule(
        code="array_too_long",
        words=f"at most {limits.MAX_ARRAY} elements",
        test="max_items",
        argument=limits.MAX_ARRAY,
    ),
    Rule(code="array_not_unique", words="each element once", test="unique_items"),
    Rule(
        code="array_text_too_long",
        words=f"elements of at most {limits.MAX_STRING} characters",
        test="items_max_chars",
        argument=limits.MAX_STRING,
    ),
    Rule(
        code="array_text_control",
        words="no control characters in elements",
        test="items_lack",
        argument=CONTROL,
    ),
    Rule(
        code="array_too_large",
        words=f"at most {limits.MAX_OBJECT_BYTES:,} bytes of JSON",
        test="max_json_bytes",
        argument=limits.MAX_OBJECT_BYTES,
    ),
)

CUSTOM_RULES: Final[dict[ValueType, tuple[Rule, ...]]] = {
    ValueType.STRING: (_max_chars(limits.MAX_STRING), _lacks_control(), _READS_AS_TIME_RULE),
    ValueType.INTEGER: (_INTEGER,),
    ValueType.FLOAT: (_FINITE,),
    ValueType.BOOLEAN: (),
    ValueType.DATE: (_DATE,),
    ValueType.TIME: (_TIME,),
    ValueType.ARRAY: _ARRAY,
    ValueType.OBJECT: (
        _JSON_SIZE,
        Rule(code="not_an_object", words="a JSON object", test="matches", argument=r"(?s)\{.*\}"),
    ),
    ValueType.OBJECTS: (
        _JSON_SIZE,
        Rule(
            code="not_an_array_of_objects",
            words="a JSON array of objects",
            test="matches",
            argument=r"(?s)\[(\{.*\})?\]",
        ),
    ),
}
"""What the values of a custom attribute must satisfy, by type."""

TYPE_WORDS: Final[dict[ValueType, str]] = {
    ValueType.STRING: "text",
    ValueType.INTEGER: "an integer",
    ValueType.FLOAT: "a number",
    ValueType.BOOLEAN: "true or false",
    ValueType.DATE: "a date, sent as YYYY-MM-DD",
    ValueType.TIME: "an instant, sent in ISO 8601 and UTC",
    ValueType.ARRAY: "an array of text",
    ValueType.OBJECT: "an object",
    ValueType.OBJECTS: "an array of objects",
}
"""What a value of each type is, in words."""

EMAIL_PATTERN: Final = r"[^@\s\x00-\x1fA-Z]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+"
"""The outline of an address that was normalised; email-validator decides on the rest."""

EARLIEST_BIRTH: Final = date(1900, 1, 2)
"""1900-01-01 is what systems fill in where they know no date."""


def identifier_rules(identifier: str) -> tuple[Rule, ...]:
    """What an ``external_id`` or ``braze_id`` must satisfy."""
    longest = FIELDS[identifier].max_bytes or limits.MAX_EXTERNAL_ID_BYTES
    return (
        Rule(
            code="user_id_empty",
            words="not empty",
            test="matches",
            argument=r"(?s).*[^ \t\n\r\f\v\xa0].*",
        ),
        Rule(
            code="user_id_too_long",
            words=f"at most {longest} bytes",
            test="max_bytes",
            argument=longest,
        ),
        _lacks_control("user_id_control"),
    )


def field_rules(
    name: str, *, today: date | None = None, codes: tuple[str, ...] | None = None
) -> tuple[Rule, ...]:
    """What the values of a profile field must satisfy.

    Args:
        name: The field.
        today: No birth date lies after it.
        codes: The codes there are, for ``country``, ``language`` and ``time_zone``.
    """
    field = FIELDS[name]
    if name == "dob":
        return (
            Rule(
                code="dob_implausible",
                words="after 1900-01-01 and not after the as-of date",
                test="between",
                argument=(EARLIEST_BIRTH, today),
            ),
        )
    if field.type is not ValueType.STRING:
        return CUSTOM_RULES[field.type]
    allowed = field.allowed or codes
    if allowed is not None:
        return (Rule(code=f"{name}_unknown", words=field.rule, test="one_of", argument=allowed),)
    return _text_rules(field)


def _text_rules(field: ProfileField) -> tuple[Rule, ...]:
    pattern = EMAIL_PATTERN if field.name == "email" else field.pattern
    rules = [_lacks_control()]
    if field.max_chars is not None:
        rules.insert(0, _max_chars(field.max_chars))
    if pattern is not None:
        rules.append(
            Rule(
                code=f"{field.name}_unreadable",
                words=field.rule,
                test="matches",
                argument=pattern,
            )
        )
    return tuple(rules)


def broken(rule: Rule, value: object) -> bool:
    """Whether one value breaks a rule; the reference for what is checked by the column."""
    if value is None:
        return False
    return not _TESTS[rule.test](value, rule.argument)


def first_broken_rule(rules: Sequence[Rule], value: object) -> str | None:
    """The code of the first rule that a value breaks; None for a good value."""
    return next((rule.code for rule in rules if broken(rule, value)), None)


def _between(value: Any, argument: tuple[Any, Any]) -> bool:  # noqa: ANN401 - any ordered type
    least, most = argument
    return (least is None or value >= least) and (most is None or value <= most)


def _json_bytes(items: Sequence[str]) -> int:

    text = json.dumps(list(items), ensure_ascii=False, separators=(",", ":"))
    return len(text.encode())


_TESTS: Final[dict[Test, Callable[..., bool]]] = {
    "max_chars": lambda value, most: len(value) <= most,
    "max_bytes": lambda value, most: len(value.encode()) <= most,
    "matches": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "lacks": lambda value, pattern: re.search(pattern, value) is None,
    "one_of": lambda value, allowed: value in allowed,
    "between": _between,
    "finite": lambda value, _: math.isfinite(value),
    "max_items": lambda value, most: len(value) <= most,
    "unique_items": lambda value, _: len(set(value)) == len(value),
    "no_null_items": lambda value, _: None not in value,
    "items_max_chars": lambda value, most: all(len(item) <= most for item in value if item),
    "items_lack": lambda value, pattern: not any(re.search(pattern, i) for i in value if i),
    "max_json_bytes": lambda value, most: _json_bytes(value) <= most,
}
