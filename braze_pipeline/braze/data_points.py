"""The cost of an attribute in data points, for contracts that bill them.

Source: Braze docs, "Data points (Legacy)": each attribute that is set counts as one, whether or not
it changed. An array that is set as a whole counts as one, an object as one per key, an array of
objects as one per key of each object, null as one. Some profile fields, and some keys of others,
are not billable.
"""

from __future__ import annotations

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.settings import Json, ValueType


def billable(name: str, *, is_field: bool) -> bool:
    """Whether setting this attribute counts at all."""
    return FIELDS[name].billable if is_field and name in FIELDS else True


def free_keys(name: str, *, is_field: bool) -> tuple[str, ...]:
    """Keys of a nested profile field that do not count."""
    return FIELDS[name].free_keys if is_field and name in FIELDS else ()


def counts_keys(name: str, type_: ValueType, *, is_field: bool) -> bool:
    """Whether the cost depends on the value: nested custom attributes are billed by key.

    A nested profile field counts as one field (``current_location``: the most recent location),
    unless the docs count its keys separately.
    """
    if is_field:
        return bool(free_keys(name, is_field=True))
    return type_ in (ValueType.OBJECT, ValueType.OBJECTS)


def data_points(name: str, value: Json, *, is_field: bool) -> int:
    """The data points of one value."""
    if not billable(name, is_field=is_field):
        return 0
    free = free_keys(name, is_field=is_field)
    if isinstance(value, dict) and (free or not is_field):
        return max(0 if free else 1, sum(key not in free for key in value))
    if isinstance(value, list) and not is_field:
        return max(1, sum(len(item) for item in value if isinstance(item, dict)))
    return 1
