"""How a profile field takes in a value, after the 201: what is stored and what is silently not.

Which fields there are, and their types, is the table in ``braze.fields``; here is only what Braze
does with a value that it did not refuse. What it does refuse is in ``refusals``.

Sources: Braze docs, "Standard attributes" and "User attributes object".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import Final
from zoneinfo import available_timezones

from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.limits import MAX_IMAGE_URL, MAX_STRING
from braze_pipeline.sandbox.nested import DROPPED, Dropped
from braze_pipeline.sandbox.times import is_time
from braze_pipeline.settings import Json, ValueType

Taker = Callable[[Json], Json | Dropped]


def take_field(name: str, value: Json) -> Json | Dropped:
    """The value to store for a profile field, None to remove it, ``DROPPED`` to leave it alone.

    Args:
        name: A name of ``FIELDS`` that is no identifier.
        value: What arrived; None removes.
    """
    field = FIELDS[name]
    if not field.settable:
        return DROPPED
    if value is None:
        return None
    special = _SPECIAL.get(name)
    return special(value) if special is not None else _BY_TYPE[field.type](value)


def _text(value: Json) -> Json | Dropped:
    if isinstance(value, str):
        return value if len(value) <= MAX_STRING else DROPPED
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return DROPPED


def _flag(value: Json) -> Json | Dropped:
    return value if isinstance(value, bool) else DROPPED


def _moment(value: Json) -> Json | Dropped:
    return value if isinstance(value, str) and is_time(value) else DROPPED


def _as_is(value: Json) -> Json | Dropped:
    return value


_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _birthday(value: Json) -> Json | Dropped:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return DROPPED
    try:
        date.fromisoformat(value)
    except ValueError:
        return DROPPED
    return value


def _gender(value: Json) -> Json | Dropped:
    return value if value in ("M", "F", "O", "N", "P") else DROPPED


def _country(value: Json) -> Json | Dropped:
    """An alpha-2 code; names and alpha-3 codes are mapped; what has no match is stored as NULL."""
    if not isinstance(value, str):
        return None
    return _countries().get(value.strip().casefold())


@cache
def _countries() -> Mapping[str, str]:
    import pycountry

    codes: dict[str, str] = {}
    for country in pycountry.countries:
        for known in (country.alpha_2, country.alpha_3, country.name):
            codes[known.casefold()] = country.alpha_2
    return codes


_LANGUAGE = re.compile(r"[a-z]{2}")


def _language(value: Json) -> Json | Dropped:
    return value if isinstance(value, str) and _LANGUAGE.fullmatch(value) else DROPPED


_RAILS_ZONES: Final = frozenset(
    f"{zone} Time (US & Canada)" for zone in ("Eastern", "Central", "Mountain", "Pacific")
)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) | _RAILS_ZONES


def _time_zone(value: Json) -> Json | Dropped:
    return value if isinstance(value, str) and value in _zones() else DROPPED


def _image_url(value: Json) -> Json | Dropped:
    return value if isinstance(value, str) and len(value) <= MAX_IMAGE_URL else DROPPED


_BY_TYPE: Mapping[ValueType, Taker] = {
    ValueType.STRING: _text,
    ValueType.INTEGER: _as_is,
    ValueType.FLOAT: _as_is,
    ValueType.BOOLEAN: _flag,
    ValueType.DATE: _birthday,
    ValueType.TIME: _moment,
    ValueType.ARRAY: _as_is,
    ValueType.OBJECT: _as_is,
    ValueType.OBJECTS: _as_is,
}

_SPECIAL: Mapping[str, Taker] = {
    "dob": _birthday,
    "gender": _gender,
    "country": _country,
    "language": _language,
    "time_zone": _time_zone,
    "image_url": _image_url,
    "date_of_first_session": _moment,
    "date_of_last_session": _moment,
    "marked_email_as_spam_at": _moment,
}
