"""Compares our custom attributes with the ones that Braze already has.

Braze answers 201 and silently drops values of a blocklisted attribute, or of a type that differs
from the attribute's. A name that differs only in case creates a second attribute.
``GET /custom_attributes`` shows all of this before anything is sent.

Sources: Braze docs, "Export custom attributes" (names, types, status, array length), "Managing
custom data" (types), "Blocklist custom data".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.braze.limits import MAX_ARRAY
from braze_pipeline.braze.names import comparison_key
from braze_pipeline.settings import ValueType
from braze_pipeline.wordlists import meanings

if TYPE_CHECKING:
    from braze_pipeline.settings import AttributeSettings


class AttributeState(StrEnum):
    """How one of our names compares with what Braze has."""

    NEW = "new"
    MISSING = "missing_in_braze"
    BLOCKLISTED = "blocklisted"
    OTHER_TYPE = "type_differs_in_braze"
    OTHER_CASE = "differs_in_case_only"
    SHORT_ARRAY = "short_array"
    UNCLEAR = "not_compared"


LOST: Final = frozenset(
    {AttributeState.BLOCKLISTED, AttributeState.OTHER_TYPE, AttributeState.OTHER_CASE}
)
"""States in which Braze would drop the values, or store them under a second name."""

SHOWN_AFTER: Final = timedelta(days=1)
"""Braze writes values after it has answered: this much later it surely lists the attribute."""


@dataclass(frozen=True, kw_only=True)
class AttributeFinding:
    """A custom attribute that needs attention.

    Attributes:
        name: Our name.
        state: What was found.
        text: What it means and what to do.
        blocked: Whether its values are not sent until this is fixed.
    """

    name: str
    state: AttributeState
    text: str
    blocked: bool


_OUR_TYPES: Final[Mapping[ValueType, str]] = {
    ValueType.INTEGER: "number",
    ValueType.FLOAT: "number",
    ValueType.DATE: "time",
    ValueType.OBJECTS: "array of objects",
}
"""Our types that Braze has under another name."""

_SEND_AGAIN: Final = (
    "If values were sent before, run `braze-pipeline ledger reset --attribute NAME` after that: "
    "those that Braze dropped are then sent again."
)

_BRAZE_TYPES: Final = meanings(Path(__file__).with_name("type_words.txt"))


def compare(
    wanted: Sequence[AttributeSettings], listed: Iterable[Mapping[str, Any]], *, block: bool
) -> tuple[AttributeFinding, ...]:
    """Findings about our custom attributes, in their order.

    Args:
        wanted: Attributes of a template; profile fields are skipped.
        listed: What ``GET /custom_attributes`` returned, from all pages.
        block: Whether to block an attribute whose values Braze would lose.
    """
    in_braze = {one["name"]: one for one in listed if isinstance(one.get("name"), str)}
    by_key: dict[str, list[str]] = {}
    for name in in_braze:
        by_key.setdefault(comparison_key(name), []).append(name)
    findings = []
    for name, type_ in ((one.name, one.type) for one in wanted if not one.is_field):
        if name in in_braze:
            problem = _present(name, type_, in_braze[name])
        else:
            problem = _absent(name, by_key.get(comparison_key(name), []))
        if problem is not None:
            state, text = problem
            blocked = block and state in LOST
            findings.append(AttributeFinding(name=name, state=state, text=text, blocked=blocked))
    return tuple(findings)


def new(name: str) -> AttributeFinding:
    """Braze never had the attribute."""
    text = f"{name} is new: Braze creates it when the first value arrives."
    return AttributeFinding(name=name, state=AttributeState.NEW, text=text, blocked=False)


def missing(name: str, *, block: bool) -> AttributeFinding:
    """Braze acknowledged values of it once, and does not have the attribute.

    The next value would create it again, for those users alone whose value changes.
    """
    text = (
        f"{name} is missing in Braze, which acknowledged values of it more than a day ago. "
        "Either it was deleted there, or the API key belongs to another workspace: check that "
        "first. If it was deleted, remove it from the template; or run `braze-pipeline ledger "
        "reset --attribute NAME`, and the next run sends it to everybody again."
    )
    return AttributeFinding(name=name, state=AttributeState.MISSING, text=text, blocked=block)


def _absent(name: str, alike: Sequence[str]) -> tuple[AttributeState, str]:
    if not alike:
        return AttributeState.NEW, new(name).text
    return AttributeState.OTHER_CASE, (
        f"{name}: Braze spells it {', '.join(sorted(alike))}; sending would create a second "
        "attribute. Use Braze's spelling in `as`. If you mean a second attribute, create it "
        "in Braze first (Data Settings > Custom Attributes)."
    )


def _present(
    name: str, type_: ValueType, listed: Mapping[str, Any]
) -> tuple[AttributeState, str] | None:
    if "block" in str(listed.get("status") or "").lower():
        return AttributeState.BLOCKLISTED, (
            f"{name} is on Braze's blocklist: Braze silently drops its values. Remove it from the "
            f"template, or from the blocklist (Data Settings > Custom Attributes). {_SEND_AGAIN}"
        )
    stated = str(listed.get("data_type") or "")
    braze_type = _BRAZE_TYPES.get(re.sub(r"\(.*?\)|[^a-z]", "", stated.lower()))
    our_type = _OUR_TYPES.get(type_, str(type_))
    if braze_type is None:
        return AttributeState.UNCLEAR, (
            f'{name}: Braze gives its type as "{stated[:40]}", which is not compared.'
        )
    if braze_type != our_type:
        return AttributeState.OTHER_TYPE, (
            f"{name}: the type is {braze_type} in Braze and {our_type} here: Braze drops values "
            "that it cannot convert. Set `type` to Braze's type, or change the type in Braze "
            f"(Data Settings > Custom Attributes). {_SEND_AGAIN}"
        )
    length = listed.get("array_length")
    if our_type == "array" and isinstance(length, int) and length < MAX_ARRAY:
        return AttributeState.SHORT_ARRAY, (
            f"{name}: Braze keeps only the last {length} elements of an array."
        )
    return None
