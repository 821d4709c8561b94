"""What the values of an attribute must be: its rules as data, and in words.

The rules themselves are in `braze.values`; here they are chosen for one attribute of a template.
How a column of values is tested is in `schema`.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.values import CUSTOM_RULES, TYPE_WORDS, Rule, field_rules
from braze_pipeline.profiles.normalise import places
from braze_pipeline.wording import counted

if TYPE_CHECKING:
    from braze_pipeline.settings import AttributeSettings


_CODES = {
    "country": places.country_codes,
    "language": places.language_codes,
    "time_zone": places.zone_names,
}
"""The fields whose codes come from a standard."""


def codes_of(name: str) -> tuple[str, ...]:
    """The codes that a profile field accepts, where its values are codes; else none."""
    return _CODES[name]() if name in _CODES else FIELDS[name].allowed or ()


def rules_of(attribute: AttributeSettings, *, today: date | None = None) -> tuple[Rule, ...]:
    """The rules for an attribute's values; ``today`` is the last possible birthdate."""
    if attribute.is_field:
        codes = codes_of(attribute.name) or None
        return field_rules(attribute.name, today=today, codes=codes)
    return CUSTOM_RULES[attribute.type]


def codes_by_day(attribute: AttributeSettings) -> tuple[str, ...]:
    """The codes of an attribute's rules that follow the as-of date.

    Such a rule may only loosen from a day to a later one (`unchanged` relies on it): what passed
    goes on to pass, and only what failed has to be tested again.
    """
    some, next_ = (rules_of(attribute, today=date(2000, 1, day)) for day in (1, 2))
    return tuple(a.code for a, b in zip(some, next_, strict=True) if a != b)


def rule_for(attribute: AttributeSettings) -> str:
    """What a value must be to be sent, in words."""
    if attribute.is_field:
        words = [FIELDS[attribute.name].rule]
    else:
        words = [TYPE_WORDS[attribute.type], *(rule.words for rule in rules_of(attribute))]
    if attribute.required:
        words.append("required")
    if attribute.precision is not None:
        words.append(f"rounded to {counted(attribute.precision, 'decimal place')}")
    # The rule of an object says what its type says.
    return "; ".join(dict.fromkeys(words))
