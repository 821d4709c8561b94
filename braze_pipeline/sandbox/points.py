"""What one attribute of an accepted object costs in data points, operators included.

Plain values cost what ``braze.data_points`` says; here is what the operators add, which this
pipeline never sends but Braze takes.

Source: Braze docs, "Data points": an array is one an element with ``add`` and ``remove``, also
where nothing is removed; an array of objects is one an updated key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from braze_pipeline.braze import data_points as plain
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.sandbox.nested import OPERATORS
from braze_pipeline.settings import Json

_ARRAY_OPERATORS: Final = frozenset({"add", "remove"})


def data_points(name: str, value: Json) -> int:
    """Data points of setting ``name`` to ``value``, were the attribute not blocklisted."""
    is_field = name in FIELDS
    if isinstance(value, dict) and value and not is_field:
        if value.keys() == {"inc"}:
            return 1
        if value.keys() <= _ARRAY_OPERATORS:
            return sum(1 for _ in _operands(value))
        if value.keys() <= OPERATORS:
            return sum(_of_operand(operand) for operand in _operands(value))
    return plain.data_points(name, value, is_field=is_field)


def _operands(value: dict[str, Json]) -> Iterator[Json]:
    for operands in value.values():
        yield from operands if isinstance(operands, list) else ()


def _of_operand(operand: Json) -> int:
    if not isinstance(operand, dict):
        return 0
    if "$identifier_key" not in operand:
        return len(operand)
    replacement = operand.get("$new_object")
    return len(replacement) if isinstance(replacement, dict) else 1
