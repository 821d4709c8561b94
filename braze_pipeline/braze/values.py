"""Rules for the values that attributes have in Braze, as data and as pure functions.

What belongs here: what a value must be when it is sent. What does not: how a raw value gets into
that form (``profiles.normalise``), or how a whole column is checked (``profiles.schema`` turns
these rules into pandera checks).

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
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.settings import Json, ValueType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Test = Literal[
    "max_chars", "max_bytes", "matches", "lacks", "one_of", "between", "finite", "max_items",
    "unique_items", "no_null_items", "items_max_chars", "items_lack", "max_json_bytes",
]  # fmt: skip
Bound = int | float | date | datetime

CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
"""Control characters except tab and line ends (RE2 and Python)."""

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
"""Text that Braze reads as a time (RE2 and Python).

If the first value of a string attribute reads as a time, Braze makes the attribute a time attribute
for good, and later texts are lost. So such text is refused: declare the attribute as ``date`` or
``time``.
"""


@dataclass(frozen=True)
class Rule:
    """One rule for the values of an attribute. NULL satisfies every rule.

    Attributes:
        code: Its name in rejections, schema and docs.
        words: What a value must be.
        test: How it is tested.
        argument: The number, pattern or list that the test needs.
    """

    code: str
    words: str
    test: Test
    argument: int | str | tuple[str, ...] | tuple[Bound | None, Bound | None] | None = None


def _lacks_control(code: str = "text_control") -> Rule:
    return Rule(code, "no control characters", "lacks", CONTROL)


def _max_chars(number: int) -> Rule:
    return Rule("text_too_long", f"at most {number} characters", "max_chars", number)


_READS_AS_TIME_RULE: Final = Rule(
    "text_reads_as_time",
    "not in one of Braze's date formats (else declare it as date or time)",
    "lacks",
    READS_AS_TIME,
)
_INTEGER: Final = Rule(
    "number_inexact",
    "from -2^53 to 2^53",
    "between",
    (-limits.MAX_EXACT_INTEGER, limits.MAX_EXACT_INTEGER),
)
_FINITE: Final = Rule("number_not_finite", "finite", "finite")
_YEARS: Final = f"years {limits.MIN_YEAR} to {limits.MAX_YEAR}"
_DATE: Final = Rule(
    "date_out_of_range",
    _YEARS,
    "between",
    (date(limits.MIN_YEAR, 1, 1), date(limits.MAX_YEAR, 12, 31)),
)
_TIME: Final = Rule(
    "time_out_of_range",
    _YEARS,
    "between",
    # Columns hold UTC without an offset.
    (
        datetime(limits.MIN_YEAR, 1, 1),  # noqa: DTZ001
        datetime(limits.MAX_YEAR, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
    ),
)
_JSON_BYTES: Final = f"at most {limits.MAX_OBJECT_BYTES:,} bytes of JSON"
_JSON_SIZE: Final = Rule("object_too_large", _JSON_BYTES, "max_bytes", limits.MAX_OBJECT_BYTES)
_OBJECT: Final = Rule("not_an_object", "an object", "matches", r"(?s)\{.*\}")
_OBJECTS: Final = Rule(
    "not_an_array_of_objects", "an array of objects", "matches", r"(?s)\[(\{.*\})?\]"
)
_ARRAY: Final = (
    Rule("array_has_null", "no nulls in it", "no_null_items"),
    Rule("array_too_long", f"at most {limits.MAX_ARRAY} elements", "max_items", limits.MAX_ARRAY),
    Rule("array_not_unique", "each element once", "unique_items"),
    Rule(
        "array_text_too_long",
        f"elements of at most {limits.MAX_STRING} characters",
        "items_max_chars",
        limits.MAX_STRING,
    ),
    Rule("array_text_control", "no control characters in elements", "items_lack", CONTROL),
    Rule("array_too_large", _JSON_BYTES, "max_json_bytes", limits.MAX_OBJECT_BYTES),
)

CUSTOM_RULES: Final[dict[ValueType, tuple[Rule, ...]]] = {
    ValueType.STRING: (_max_chars(limits.MAX_STRING), _lacks_control(), _READS_AS_TIME_RULE),
    ValueType.INTEGER: (_INTEGER,),
    ValueType.FLOAT: (_FINITE,),
    ValueType.BOOLEAN: (),
    ValueType.DATE: (_DATE,),
    ValueType.TIME: (_TIME,),
    ValueType.ARRAY: _ARRAY,
    ValueType.OBJECT: (_JSON_SIZE, _OBJECT),
    ValueType.OBJECTS: (_JSON_SIZE, _OBJECTS),
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

EMAIL_PATTERN: Final = (
    r"[^@\s\x00-\x1fA-Z]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)*\.([a-z]{2,}|xn--[a-z0-9-]+)"
)
"""The outline of a normalised address; email-validator checks the rest, but not that a top-level
domain has two letters or more, without which Braze rejects the whole object.
"""

PLACEHOLDER: Final = (
    r"^(NULL|null|None|\\N|NaN|nan|undefined|#?N/A|n/a|#REF!|[-_.?!*#/ " + "\u2013\u2014]+)$"
)
"""What systems write where a name is missing (RE2 and Python).

Exactly as they spell it: Null and Nan are people's names.
"""

_NAMES: Final = frozenset({"first_name", "last_name", "home_city"})

EARLIEST_BIRTH: Final = date(1900, 1, 2)
"""Systems fill in 1900-01-01 when they do not know the date."""


def identifier_rules(identifier: str) -> tuple[Rule, ...]:
    """What an ``external_id`` or ``braze_id`` must satisfy."""
    most = FIELDS[identifier].max_bytes or limits.MAX_EXTERNAL_ID_BYTES
    return (
        Rule("user_id_empty", "not empty", "matches", r"(?s).*[^ \t\n\r\f\v\xa0].*"),
        Rule("user_id_too_long", f"at most {most} bytes", "max_bytes", most),
        _lacks_control("user_id_control"),
    )


def field_rules(
    name: str, *, today: date | None = None, codes: tuple[str, ...] | None = None
) -> tuple[Rule, ...]:
    """What the values of a profile field must satisfy.

    Args:
        name: The field.
        today: The latest possible birth date.
        codes: The existing codes, for ``country``, ``language`` and ``time_zone``.
    """
    field = FIELDS[name]
    if name == "dob":
        words = "after 1900-01-01 and not after the as-of date"
        return (Rule("dob_implausible", words, "between", (EARLIEST_BIRTH, today)),)
    if field.type is not ValueType.STRING:
        return CUSTOM_RULES[field.type]
    allowed = field.allowed or codes
    if allowed is not None:
        return (Rule(f"{name}_unknown", field.rule, "one_of", allowed),)
    rules = [] if field.max_chars is None else [_max_chars(field.max_chars)]
    rules.append(_lacks_control())
    if name in _NAMES:
        words = "not a placeholder such as NULL, N/A or -"
        rules.append(Rule("text_placeholder", words, "lacks", PLACEHOLDER))
    pattern = EMAIL_PATTERN if name == "email" else field.pattern
    if pattern is not None:
        rules.append(Rule(f"{name}_unreadable", field.rule, "matches", pattern))
    return tuple(rules)


def first_broken_rule(rules: Sequence[Rule], value: object) -> str | None:
    """The code of the first rule that a value breaks; None if it breaks none.

    This is the reference for the checks of whole columns.
    """
    if value is None:
        return None
    return next((rule.code for rule in rules if not _TESTS[rule.test](value, rule.argument)), None)


def _between(value: Any, argument: tuple[Any, Any]) -> bool:  # noqa: ANN401 - any ordered type
    least, most = argument
    return (least is None or value >= least) and (most is None or value <= most)


def json_bytes(value: Json) -> int:
    """The bytes of a value in compact JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


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
    "max_json_bytes": lambda value, most: json_bytes(list(value)) <= most,
}
