"""What Braze already has under the names that would be sent, and what that means.

Braze answers 201 and drops a value of a blocklisted attribute, or of another type than the one it
has; and a name that differs in case only becomes a second attribute. ``GET /custom_attributes``
tells all of that before anything is sent.

Sources: Braze docs, "Export custom attributes" (names, types, status, array length), "Managing
custom data" (types), "Blocklist custom data".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.braze.limits import MAX_ARRAY
from braze_pipeline.braze.names import comparison_key
from braze_pipeline.settings import ValueType

if TYPE_CHECKING:
    from braze_pipeline.settings import AttributeSettings


class AttributeState(StrEnum):
    """How a name of ours stands to what Braze has."""

    NEW = "new"
    BLOCKLISTED = "blocklisted"
    OTHER_TYPE = "type_differs_in_braze"
    OTHER_CASE = "differs_in_case_only"
    SHORT_ARRAY = "short_array"
    UNCLEAR = "not_compared"


LOST: Final = frozenset(
    {AttributeState.BLOCKLISTED, AttributeState.OTHER_TYPE, AttributeState.OTHER_CASE}
)
"""What is sent all the same is lost, or lands under a second name."""


@dataclass(frozen=True, kw_only=True)
class AttributeFinding:
    """One custom attribute of which there is something to say.

    Attributes:
        name: Our name.
        state: What was found.
        text: A sentence with what to do.
        stops: Nothing of it is sent as long as that is so.
    """

    name: str
    state: AttributeState
    text: str
    stops: bool


_KINDS: Final[Mapping[ValueType, str]] = MappingProxyType(
    {
        ValueType.STRING: "string",
        ValueType.INTEGER: "number",
        ValueType.FLOAT: "number",
        ValueType.BOOLEAN: "boolean",
        ValueType.DATE: "time",
        ValueType.TIME: "time",
        ValueType.ARRAY: "array",
        ValueType.OBJECT: "object",
        ValueType.OBJECTS: "array of objects",
    }
)

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "string": "string",
        "number": "number",
        "integer": "number",
        "float": "number",
        "boolean": "boolean",
        "bool": "boolean",
        "time": "time",
        "date": "time",
        "datetime": "time",
        "array": "array",
        "stringarray": "array",
        "arrayofstrings": "array",
        "object": "object",
        "nestedobject": "object",
        "objectarray": "array of objects",
        "arrayofobjects": "array of objects",
    }
)


def compare(
    wanted: Sequence[AttributeSettings], listed: Iterable[Mapping[str, Any]], *, stop: bool
) -> tuple[AttributeFinding, ...]:
    """What is to be said of our custom attributes, in their order.

    Args:
        wanted: Attributes of a template; profile fields are no concern of this.
        listed: What ``GET /custom_attributes`` returned, from all pages.
        stop: Whether an attribute of which Braze would lose the values is held back.
    """
    there = {one["name"]: one for one in listed if isinstance(one.get("name"), str)}
    by_key: dict[str, list[str]] = {}
    for name in there:
        by_key.setdefault(comparison_key(name), []).append(name)
    found = []
    for a in wanted:
        if a.is_field:
            continue
        one = there.get(a.name)
        told = _absent(a, by_key.get(comparison_key(a.name), [])) if one is None else _there(a, one)
        if told is not None:
            state, text = told
            found.append(
                AttributeFinding(name=a.name, state=state, text=text, stops=stop and state in LOST)
            )
    return tuple(found)


def _absent(a: AttributeSettings, alike: Sequence[str]) -> tuple[AttributeState, str]:
    if not alike:
        return AttributeState.NEW, f"{a.name} is new: Braze creates it when it first arrives."
    return AttributeState.OTHER_CASE, (
        f"{a.name}: Braze has it as {', '.join(sorted(alike))}; sending would create a second "
        "attribute. Use Braze's spelling in `name`."
    )


def _there(a: AttributeSettings, one: Mapping[str, Any]) -> tuple[AttributeState, str] | None:
    if "block" in str(one.get("status") or "").lower():
        return AttributeState.BLOCKLISTED, (
            f"{a.name} is on Braze's blocklist: Braze drops its values without a word. Take it off "
            "the blocklist (Data Settings > Custom Attributes), or out of the template."
        )
    said = str(one.get("data_type") or "")
    theirs = _WORDS.get(re.sub(r"\(.*?\)|[^a-z]", "", said.lower()))
    ours = _KINDS[a.type]
    if theirs is None:
        return AttributeState.UNCLEAR, (
            f'{a.name}: Braze gives its type as "{said[:40]}", which is not compared.'
        )
    if theirs != ours:
        return AttributeState.OTHER_TYPE, (
            f"{a.name}: the type is {theirs} in Braze and {ours} here: Braze drops what it cannot "
            "convert. Set `type` to what Braze has, or change the type in Braze (Data Settings > "
            "Custom Attributes)."
        )
    if ours == "array" and _length(one) < MAX_ARRAY:
        return AttributeState.SHORT_ARRAY, (
            f"{a.name}: Braze keeps the last {_length(one)} elements of an array."
        )
    return None


def _length(one: Mapping[str, Any]) -> int:
    length = one.get("array_length")
    return length if isinstance(length, int) else MAX_ARRAY
