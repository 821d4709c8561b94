"""The value of ``on_leave: {set: ...}``, read and checked like a value of the column.

When users leave, and what is sent then, is decided by the plan.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze.nested import write
from braze_pipeline.braze.values import TYPE_WORDS, first_broken_rule
from braze_pipeline.profiles.columns import Source, map_column
from braze_pipeline.profiles.normalise import READERS
from braze_pipeline.profiles.reasons import message
from braze_pipeline.profiles.rules import rules_of
from braze_pipeline.settings import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable

    from braze_pipeline.settings import AttributeSettings, Json

_NESTED: Final = frozenset({ValueType.ARRAY, ValueType.OBJECT, ValueType.OBJECTS})
_PYTHON: Final[dict[ValueType, tuple[type, ...]]] = {
    ValueType.INTEGER: (int,),
    ValueType.FLOAT: (int, float),
    ValueType.BOOLEAN: (bool,),
}
"""The Python types of a value in YAML; text for all others."""
_PARSED: Final[dict[ValueType, Callable[[str], object]]] = {
    ValueType.DATE: date.fromisoformat,
    ValueType.TIME: datetime.fromisoformat,
    ValueType.ARRAY: json.loads,
}
"""From a reader's canonical text to the value that the rules test; text for all others."""


def leave_value(attribute: AttributeSettings, *, zone: str) -> Json:
    """The value that an attribute is set to, as it is sent.

    Args:
        attribute: The attribute, with the value as the template gives it.
        zone: The time zone of times without an offset.

    Raises:
        ValueError: it cannot be sent; the message says why.
    """
    if attribute.leave_value is None:
        raise ValueError("to remove the value, write `on_leave: clear`")
    mapping = map_column(Source(attribute=attribute, type="VARCHAR", number=0, zone=zone))
    if mapping.kind is None:
        value = _plain(attribute)
        _check(attribute, value)
        return value
    given = attribute.leave_value
    text = given if isinstance(given, str) else write(given)
    found = READERS[mapping.kind].read(text, mapping.params or "")
    if found.value is None:
        raise ValueError(message(found.problem or "", attribute))
    _check(attribute, _PARSED.get(attribute.type, str)(found.value))
    canonical: Json = json.loads(found.value) if attribute.type in _NESTED else found.value
    return canonical


def _plain(attribute: AttributeSettings) -> Json:
    """A value of a type that YAML has too."""
    value, type_ = attribute.leave_value, attribute.type
    # The exact type: to Python, true is an integer.
    if type(value) not in _PYTHON.get(type_, (str,)):
        raise ValueError(f"it must be {TYPE_WORDS[type_]}")
    if type_ is ValueType.FLOAT and isinstance(value, int | float):
        places = attribute.precision
        if places is not None and round(value, places) != value:
            raise ValueError(f"it has more decimal places than `precision: {places}`")
        return float(value)
    return value


def _check(attribute: AttributeSettings, value: object) -> None:
    code = first_broken_rule(rules_of(attribute), value)
    if code is not None:
        raise ValueError(message(code, attribute))
