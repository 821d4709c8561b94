"""Raw values to canonical ones, one value at a time, as pure functions.

What belongs here: readers of what people and systems write. What does not: when they are called; a
value is read once and then cached (`profiles.cache`).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from braze_pipeline.profiles.normalise import by_sql, contact, dates, nested, places, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from braze_pipeline.profiles.normalise.by_sql import InSql
    from braze_pipeline.profiles.normalise.outcome import Outcome


@dataclass(frozen=True)
class Reader:
    """One way to read raw values.

    Attributes:
        name: Its name in the cache.
        version: Raise it whenever the outcome for some raw value changes: cached outcomes of
            older versions are then read again.
        read: From raw text and parameters to an outcome; never raises.
        too_long: The code for text that is too long to be read at all.
        longest: The longest text that is read, in characters.
        by_sql: How SQL reads the plain values with some of the parameters, with the same outcomes.
    """

    name: str
    version: int
    read: Callable[[str, str], Outcome]
    too_long: str
    longest: int = 320
    by_sql: Callable[[Sequence[str]], InSql] | None = None


_JSON: Final = 1_000_000
"""Characters of JSON text: white space may make it longer than what may be sent."""

_ALL: Final = (
    Reader("email", 2, contact.email, "email_unreadable", by_sql=by_sql.email),
    Reader("phone", 3, contact.phone, "phone_unreadable", by_sql=by_sql.phone),
    Reader("country", 3, places.country, "country_unreadable"),
    Reader("language", 3, places.language, "language_unreadable"),
    Reader("time_zone", 1, places.time_zone, "time_zone_unreadable"),
    Reader("gender", 1, words.gender, "gender_unreadable"),
    Reader("date", 1, dates.calendar_date, "date_unreadable"),
    Reader("time", 1, dates.instant, "time_unreadable"),
    Reader("array", 2, nested.array, "array_too_large", _JSON),
    Reader("object", 3, nested.object_, "object_too_large", _JSON),
    Reader("objects", 2, nested.objects, "object_too_large", _JSON),
    Reader("field", 2, nested.field, "object_too_large", _JSON),
)

READERS: Final[Mapping[str, Reader]] = MappingProxyType({kind.name: kind for kind in _ALL})
"""Every way to read raw values, by name."""
