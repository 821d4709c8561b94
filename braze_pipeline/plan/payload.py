"""The JSON objects of a plan, made where the data is: one SQL expression per attribute.

Sources: Braze docs, "User attributes object" (identifiers, ``_update_existing_only``, null) and
"Custom attribute data types" (times as ISO 8601).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from braze_pipeline.settings import ValueType
from braze_pipeline.storage.sql_text import literal

if TYPE_CHECKING:
    from braze_pipeline.ledger.layout import Column
    from braze_pipeline.settings import DestinationSettings

HEAD: Final = b'{"attributes":['
TAIL: Final = b"]}"
FRAME_BYTES: Final = len(HEAD + TAIL)
"""What a request body has beside its objects and the commas between them."""


def object_sql(destination: DestinationSettings, columns: Sequence[Column]) -> str:
    """The object of a row: identifier, the create switch, and the attributes that changed."""
    only = "true" if destination.update_only else "false"
    head = literal(f'{{"{destination.identifier}":')
    switch = literal(f',"_update_existing_only":{only}')
    parts = [head, "to_json(__user_id)", switch]
    for c in columns:
        key = literal("," + json.dumps(c.name, ensure_ascii=False) + ":")
        value = value_sql(c.settings.type, c.new)
        # Name and value apart: joined here, each would be copied once more. NULL adds nothing.
        parts.append(f"CASE WHEN {c.changed} THEN {key} END")
        parts.append(f"CASE WHEN {c.changed} THEN coalesce({value}, 'null') END")
    return f"concat({', '.join(parts)}, '}}')"


def value_sql(type_: ValueType, expression: str) -> str:
    """A value as JSON text; SQL NULL stays NULL."""
    match type_:
        case ValueType.STRING | ValueType.ARRAY:
            return f"to_json({expression})::VARCHAR"
        case ValueType.INTEGER:
            return f"({expression})::BIGINT::VARCHAR"
        case ValueType.FLOAT | ValueType.BOOLEAN:
            return f"({expression})::VARCHAR"
        case ValueType.DATE:
            return f"strftime({expression}, '\"%Y-%m-%d\"')"
        case ValueType.TIME:
            return f"strftime({expression}, '\"%Y-%m-%dT%H:%M:%S.%gZ\"')"
        case ValueType.OBJECT | ValueType.OBJECTS:
            return f"({expression})"


def leave_value(c: Column) -> str:
    """The SQL value an attribute gets when its user leaves the audience (``on_leave``)."""
    if c.settings.on_leave != "set":
        return f"NULL::{c.stored}"
    value = c.settings.leave_value
    if c.settings.type in (ValueType.OBJECT, ValueType.OBJECTS):
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return literal(text)
    if isinstance(value, list):
        return f"[{', '.join(literal(str(item)) for item in value)}]::{c.stored}"
    if isinstance(value, bool):
        return f"{str(value).lower()}::{c.stored}"
    return f"CAST({literal(str(value))} AS {c.stored})"
