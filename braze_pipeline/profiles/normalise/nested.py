"""Nested values as JSON text, to their canonical JSON text.

The rules for nested values are in `braze.nested` and `braze.shapes`; here text becomes JSON and
back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from braze_pipeline.braze.nested import (
    NestedProblem,
    canonical_array,
    canonical_object,
    canonical_objects,
    read,
    write,
)
from braze_pipeline.braze.shapes import canonical_field
from braze_pipeline.profiles.normalise.outcome import Outcome, bad, good

if TYPE_CHECKING:
    from collections.abc import Callable

    from braze_pipeline.settings import Json


def object_(raw: str, zone: str) -> Outcome:
    """A JSON object; times in it without an offset are in the time zone ``zone``."""
    return _outcome(raw, lambda value: canonical_object(value, zone=ZoneInfo(zone)))


def objects(raw: str, zone: str) -> Outcome:
    """A JSON array of objects; see `object_`."""
    return _outcome(raw, lambda value: list(canonical_objects(value, zone=ZoneInfo(zone))))


def array(raw: str, order: str) -> Outcome:
    """A JSON array of text, each element once; ``order`` is ``set`` (sorted) or ``list``."""

    def canonical(value: Json) -> Json:
        items = canonical_array(value)
        return list(sorted(items) if order == "set" else items)

    return _outcome(raw, canonical)


def field(raw: str, name: str) -> Outcome:
    """The value of an object field such as ``current_location``, in its shape."""
    return _outcome(raw, lambda value: canonical_field(name, value))


def _outcome(raw: str, canonical: Callable[[Json], Json]) -> Outcome:
    try:
        return good(write(canonical(read(raw))))
    except NestedProblem as problem:
        return bad(problem.code)
    except RecursionError:
        return bad("nested_too_deep")
