"""What the outcome of a row depends on besides the row: the template, and the software.

Where this digest is the same on two days, equal rows have equal outcomes, but for the rules that
follow the as-of date (``rules.codes_by_day``) and for repeated user identifiers; `unchanged` takes
care of these two. Too much in the digest costs a full build after a change; too little would send
outdated values. So it has the code of the whole package rather than version numbers that somebody
must remember to raise.

A plan is content with less: of each attribute, that the template still says what its values were
made by. An upgrade of the software alone does not outdate the profiles of earlier days.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze.fields import sendable
from braze_pipeline.profiles.software import software
from braze_pipeline.storage.sql_text import name_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from braze_pipeline.profiles.staging import StagedColumn
    from braze_pipeline.settings import TemplateSettings

_OF_THE_PLAN: Final = {"on_leave", "leave_value", "send_null", "pii", "pii_undecided"}
"""Settings of an attribute that decide no value: a plan uses those of now."""


def columns_of_row(t: TemplateSettings, columns: Iterable[StagedColumn]) -> tuple[str, ...]:
    """The columns of the customer attributes table that a row's outcome depends on, in order."""
    names = {name_key(t.identifier_column): t.identifier_column}
    for one in columns:
        for name in filter(None, (one.attribute.column, one.attribute.region_column)):
            names.setdefault(name_key(name), name)
    return tuple(sorted(names.values()))


def digest(t: TemplateSettings, columns: tuple[StagedColumn, ...], types: Mapping[str, str]) -> str:
    """Equal for two builds in which equal rows have equal outcomes; see ``attributes_in``."""
    type_of = {name_key(name): type_ for name, type_ in types.items()}
    settings = {
        "destination": [t.destination.name, t.destination.identifier],
        "template": [t.name, t.identifier_column, t.time_zone, t.default_region],
        "attributes": [one.attribute.model_dump(mode="json") for one in columns],
        "groups": [group.model_dump(mode="json") for group in t.groups],
        "types": {name: type_of[name_key(name)] for name in columns_of_row(t, columns)},
        "software": software(),
    }
    return ",".join([_sha(settings), *attribute_digests(t).values()])


def attribute_digests(t: TemplateSettings) -> dict[str, str]:
    """By Braze name, a digest of the settings that decide an attribute's values."""
    of_all = [
        t.destination.identifier, t.identifier_column, t.time_zone, t.default_region,
        [group.model_dump(mode="json") for group in t.groups],
    ]  # fmt: skip
    return {
        one.name: _sha([of_all, one.model_dump(mode="json", exclude=_OF_THE_PLAN)])[:16]
        for one in sendable(t)
    }


def attributes_in(made_from: str) -> frozenset[str]:
    """The digests of the attributes that a day was built with; none in days of earlier versions."""
    return frozenset(made_from.partition(" ")[0].split(",")[1:])


def _sha(settings: object) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
