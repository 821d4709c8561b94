"""Rules for the names that attributes have in Braze.

What belongs here: whether a name may be used, and what to use instead. What does not: where the
name stands in a file; the configuration turns these problems into errors with file and line.

Sources: Braze docs, "Custom attributes" (length, trimming, case) and "Standard attributes" (a
mis-cased field name becomes a custom attribute). For characters of top-level names the docs state
no rule; `$` and `.` are what Braze forbids in nested keys, so they are avoided here as well.
"""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze import limits
from braze_pipeline.braze.fields import CONTROL_KEYS, EXPORT_ONLY_PREFIXES, FIELDS, SETTABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RESERVED_PREFIX: Final = "__"
"""Names that begin so are columns of our own tables."""

_FORBIDDEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "$": "a dollar sign, which Braze reads as an operator",
        ".": "a full stop, which Braze reads as a path",
        '"': "a double quote",
        "'": "a single quote",
        "`": "a back quote",
        "\\": "a backslash",
    }
)

ALIASES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "external_id": ("external user id", "ext id"),
        "braze_id": ("appboy id", "braze user id"),
        "user_alias": ("alias", "alias name", "alias label"),
        "first_name": (
            "given name",
            "given names",
            "forename",
            "fname",
            "first",
            "christian name",
            "customer first name",
            "vorname",
            "prénom",
            "prenom",
        ),
        "last_name": (
            "surname",
            "family name",
            "lname",
            "last",
            "customer last name",
            "nachname",
            "nom de famille",
        ),
        "email": ("e-mail", "mail", "email address", "e-mail address", "mail address", "emailaddr"),
        "phone": (
            "mobile",
            "phone number",
            "mobile number",
            "mobile phone",
            "telephone",
            "telephone number",
            "tel",
            "cell",
            "cellphone",
            "cell phone",
            "msisdn",
            "sms number",
            "contact number",
            "handy",
        ),
        "dob": (
            "birthday",
            "birthdate",
            "birth date",
            "date of birth",
            "birth day",
            "born",
            "born on",
            "day of birth",
            "geburtsdatum",
        ),
        "gender": ("sex",),
        "country": (
            "nation",
            "country code",
            "country name",
            "iso country",
            "country iso",
            "home country",
            "country of residence",
        ),
        "home_city": ("city", "town", "home town", "hometown", "city name"),
        "language": ("lang", "locale", "preferred language", "language code", "user language"),
        "time_zone": ("tz", "timezone", "user timezone", "time zone name"),
        "current_location": (
            "location",
            "geo",
            "geolocation",
            "coordinates",
            "lat long",
            "lat lon",
            "latlng",
            "most recent location",
        ),
        "image_url": ("avatar", "avatar url", "profile picture", "profile image", "picture url"),
        "email_subscribe": ("email subscription", "email subscription state", "email opt in"),
        "push_subscribe": ("push subscription", "push subscription state", "push opt in"),
        "subscription_groups": ("subscription group",),
        "push_tokens": ("push token",),
        "twitter": ("twitter handle",),
    }
)
"""What tables call a profile field, in any case and spacing, to what Braze calls it."""


@dataclass(frozen=True, kw_only=True)
class NameProblem:
    """Why a name cannot be used.

    Attributes:
        code: Which rule it breaks, e.g. ``shadows_field``.
        message: What is wrong, in a sentence.
        suggestion: The name to use instead, None where none can be told.
    """

    code: str
    message: str
    suggestion: str | None = None


def comparison_key(name: str) -> str:
    """What is left of a name when case, width, spacing, ``_`` and ``-`` do not count."""
    flat = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    # Marks stay: in many scripts they are vowels.
    kept = "".join(sign for sign in flat if unicodedata.category(sign)[0] in "LNM")
    # Signs that were apart may stand together now, and be one letter.
    return unicodedata.normalize("NFKC", kept)


_BY_KEY: Final[Mapping[str, str]] = MappingProxyType(
    {comparison_key(name): name for name in FIELDS}
    | {comparison_key(alias): field for field, all_ in ALIASES.items() for alias in all_}
)

_CONTROL_BY_KEY: Final = MappingProxyType({comparison_key(key): key for key in CONTROL_KEYS})


def field_for(name: str) -> str | None:
    """The profile field that a name is, or means; None for a name of the brand's own."""
    if name in FIELDS:
        return name
    return _BY_KEY.get(comparison_key(name))


def nearest_field(name: str) -> str | None:
    """The settable profile field spelled most like ``name``; None where none is near."""
    near = difflib.get_close_matches(name.strip().lower(), SETTABLE, n=1, cutoff=0.75)
    return near[0] if near else None


def check_name(name: str) -> tuple[NameProblem, ...]:
    """All that is wrong with a Braze name, a profile field's or a custom attribute's.

    An exact, settable profile field has no problem. Consent fields are settable here; that they
    are dropped unless asked for is the configuration's to say.
    """
    if name in FIELDS:
        return _field_problems(name)
    return (*_spelling_problems(name), *_shadow_problems(name))


def collisions(names: Iterable[str]) -> tuple[NameProblem, ...]:
    """Names that are equal when case and spacing do not count, each told beside the first one."""
    first: dict[str, str] = {}
    problems = []
    for name in names:
        # Names of signs alone have no key of their own to compare by.
        key = comparison_key(name) or name.strip()
        other = first.get(key)
        if other is None:
            first[key] = name
            continue
        how = "is there twice" if other == name else f"differs from {other!r} in case or spacing"
        problems.append(
            NameProblem(
                code="duplicate_name",
                message=f"The name {name!r} {how}; Braze would make two attributes of it.",
                suggestion=other if other != name else None,
            )
        )
    return tuple(problems)


def _field_problems(name: str) -> tuple[NameProblem, ...]:
    field = FIELDS[name]
    if field.settable:
        return ()
    what = {
        "excluded": "cannot stand in an object that names its user by another identifier",
        "read_only": "is read-only",
        "export_only": "is only exported by Braze",
        "refused": "is refused by Braze",
    }[field.access]
    instead = "current_location" if name == "last_coordinates" else None
    return (
        NameProblem(
            code=f"field_{field.access}",
            message=f"The profile field {name!r} {what}: {field.rule}.",
            suggestion=instead,
        ),
    )


def _spelling_problems(name: str) -> Iterable[NameProblem]:
    if not name.strip():
        yield NameProblem(code="name_empty", message="A name must not be empty.")
        return
    if name != name.strip():
        yield NameProblem(
            code="name_untrimmed",
            message=f"The name {name!r} begins or ends with white space, which Braze trims.",
            suggestion=name.strip(),
        )
    if len(name) > limits.MAX_NAME:
        yield NameProblem(
            code="name_too_long",
            message=f"The name has {len(name)} characters; Braze takes {limits.MAX_NAME}.",
        )
    if name.startswith(RESERVED_PREFIX):
        yield NameProblem(
            code="name_reserved",
            message=f"The name {name!r} begins with {RESERVED_PREFIX!r}, which this pipeline keeps "
            "for itself.",
            suggestion=name.lstrip("_") or None,
        )
    yield from _sign_problems(name)


def _sign_problems(name: str) -> Iterable[NameProblem]:
    clean = "".join(sign for sign in name if sign not in _FORBIDDEN and not _unprintable(sign))
    for sign, what in _FORBIDDEN.items():
        if sign in name:
            yield NameProblem(
                code="name_sign",
                message=f"The name {name!r} holds {what}.",
                suggestion=clean.strip() or None,
            )
    if any(_unprintable(sign) for sign in name):
        yield NameProblem(
            code="name_control",
            message=f"The name {name!r} holds a control or invisible character.",
            suggestion=clean.strip() or None,
        )


def _unprintable(sign: str) -> bool:
    """Control, format, surrogate, private and unassigned characters, and separators but a space."""
    category = unicodedata.category(sign)
    return category[0] == "C" or category in {"Zl", "Zp"} or (category == "Zs" and sign != " ")


def _shadow_problems(name: str) -> Iterable[NameProblem]:
    key = comparison_key(name)
    control = _CONTROL_BY_KEY.get(key) if key else None
    if control is not None:
        yield NameProblem(
            code="control_key",
            message=f"{name!r} is a key that steers Braze ({control}), not an attribute.",
        )
        return
    field = field_for(name)
    if field is not None:
        yield _shadow(name, field)
    elif name.strip().lower().startswith(EXPORT_ONLY_PREFIXES):
        yield NameProblem(
            code="field_export_only",
            message=f"{name!r} is one of Braze's attribution fields, which are only exported.",
        )


def _shadow(name: str, field: str) -> NameProblem:
    problem = _field_problems(field)
    if problem:
        return NameProblem(
            code="shadows_field",
            message=f"A custom attribute {name!r} would shadow a profile field. "
            f"{problem[0].message}",
            suggestion=problem[0].suggestion,
        )
    miscased = comparison_key(name) == comparison_key(field)
    why = "is a profile field misspelled" if miscased else "means a profile field"
    return NameProblem(
        code="shadows_field",
        message=f"{name!r} {why}: Braze would make a custom attribute of it. Use {field!r}.",
        suggestion=field,
    )
