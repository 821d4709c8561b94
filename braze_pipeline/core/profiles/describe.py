"""The rules of an attribute in words, for ``template describe`` and the UI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.core.profiles.schema import rules_of

if TYPE_CHECKING:
    from braze_pipeline.settings import AttributeSettings


def rule_for(attribute: AttributeSettings) -> str:
    """What a value must be to leave."""
    words = (
        FIELDS[attribute.name].rule
        if attribute.is_field
        else "; ".join(rule.words for rule in rules_of(attribute))
    )
    more = []
    if attribute.required:
        more.append("required")
    if attribute.precision is not None:
        more.append(f"rounded to {attribute.precision} places")
    return "; ".join([words, *more])
