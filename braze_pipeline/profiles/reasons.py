"""What a rejection's code means, in words for the operator: the table in ``reasons.yaml``.

The rules of `braze.values` bring their own words; the table has the codes of reading raw values and
of whole rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml

from braze_pipeline.braze import limits
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.values import CUSTOM_RULES, field_rules, identifier_rules
from braze_pipeline.profiles.rules import rules_of

if TYPE_CHECKING:
    from braze_pipeline.settings import AttributeSettings


@cache
def reasons() -> Mapping[str, str]:
    """Code to what is wrong, for the codes that are not rules of `braze.values`."""
    table = yaml.safe_load(files(__package__).joinpath("reasons.yaml").read_text("utf-8"))
    return {code: words.format_map(vars(limits)) for code, words in table.items()}


def message(code: str, attribute: AttributeSettings | None = None) -> str:
    """The words for a rejection's code, with the limits of the attribute that was rejected.

    None for a whole row.
    """
    rules = [rule for some in CUSTOM_RULES.values() for rule in some]
    rules += [rule for name in FIELDS for rule in field_rules(name)]
    rules += identifier_rules("external_id")
    # The same rule has other limits for another attribute, so its own come last.
    rules += rules_of(attribute) if attribute is not None else ()
    words = {rule.code: f"must be: {rule.words}" for rule in rules} | dict(reasons())
    return words.get(code, code)
