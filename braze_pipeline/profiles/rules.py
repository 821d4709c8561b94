"""What the values of an attribute must be: its rules as data, and in words.

The rules themselves are in `braze.values`; here they are chosen for one attribute of a template.
How a column of values is tested is in `schema`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.values import CUSTOM_RULES, TYPE_WORDS, Rule, field_rules
from braze_pipeline.profiles.normalise import places

if TYPE_CHECKING:
    from datetime import date

    from braze_pipeline.settings import AttributeSettings


def codes_of(name: str) -> tuple[str, ...]:
    """The codes that a profile field accepts, where its values are codes; else none."""
    match name:
        case "country":
            return places.country_codes()
        case "language":
            return places.language_codes()
        case "time_zone":
            return places.zone_names()
        case _:
            return FIELDS[name].allowed or ()


def rules_of(attribute: AttributeSettings, *, today: date | None = None) -> tuple[Rule, ...]:
    """The rules for an attribute's values; ``today`` is the last possible birthdate."""
    if attribute.is_field:
        codes = codes_of(attribute.name) or None
        return field_rules(attribute.name, today=today, codes=codes)
    return CUSTOM_RULES[attribute.type]


def rule_for(attribute: AttributeSettings) -> str:
    """What a value must be to be sent, in words."""
    if attribute.is_field:
        words = [FIELDS[attribute.name].rule]
    else:
        words = [TYPE_WORDS[attribute.type], *(rule.words for rule in rules_of(attribute))]
    if attribute.required:
        words.append("required")
    if attribute.precision is not None:
        words.append(f"rounded to {attribute.precision} places")
    return "; ".join(words)
