"""Countries, languages and time zones in many spellings, to their codes.

Names come from pycountry (ISO 3166 and 639 with translations) and the IANA database; other words
are in the word lists next to this file. A code is never guessed by dropping accents: Áo is Austria
in Vietnamese, and AO is Angola.
"""

from __future__ import annotations

import gettext
import re
import unicodedata
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import available_timezones

from braze_pipeline.profiles.normalise.outcome import Outcome, bad, good
from braze_pipeline.wordlists import meanings

_TRANSLATIONS: Final = """
    ar bg ca cs da de el es et eu fi fr gl he hi hr hu id is it ja ko lt lv nb nl nn pl pt pt_BR
    ro ru sk sl sr sv th tr uk vi zh_CN zh_TW
"""
"""Languages with reliable country names; in others some names belong to the wrong country."""

NO_COUNTRY: Final = (
    r"(?i)[\p{P}\p{S}\p{Z}]*|none|null|nan|n/?a|other"
    r"|(un|not )(specified|known|defined|available|set|given|provided)"
)
"""What tables write where they have no country, unless it is the code of one (RE2)."""

_LISTS: Final = Path(__file__).parent
_NOT_ONE: Final = "-"
_LONGEST_CODE: Final = 3
_NO_PLACE: Final = frozenset({"Factory", "localtime", "posixrules", "leapseconds", "tzdata.zi"})

_NO_LANGUAGE: Final = frozenset({"NA", "N/A"})
_VARIANTS: Final = frozenset({"cmn", "yue", "valencia", "1901", "1996"})
_NOT_WORD: Final = re.compile(r"[\W_]+")


@cache
def country_codes() -> tuple[str, ...]:
    """All codes of ISO 3166-1 alpha-2."""
    import pycountry

    return tuple(sorted(country.alpha_2 for country in pycountry.countries))


@cache
def language_codes() -> tuple[str, ...]:
    """All codes of ISO 639-1. Braze's own list is not published beyond that."""
    return tuple(sorted(language.alpha_2 for language in _languages()))


@cache
def zone_names() -> tuple[str, ...]:
    """All names of the IANA time zone database that name a place or an offset."""
    return tuple(
        sorted(
            name
            for name in available_timezones()
            if name not in _NO_PLACE and not name.startswith(("posix/", "right/"))
        )
    )


def country(raw: str, _: str = "") -> Outcome:
    """A country's name or code in any of the usual forms to ISO 3166-1 alpha-2."""
    text = raw.strip()
    words, word = _country_words(), _word(raw)
    code = _flag(text) or words.get(text) or words.get(word) or words.get(_bare(word))
    if code == _NOT_ONE:
        return bad("country_not_one")
    return good(code) if code is not None else bad("country_unreadable")


def language(raw: str, _params: str = "") -> Outcome:
    """A language's name, its ISO 639 code, or a locale such as ``en-GB``, to ISO 639-1."""
    words, word = _language_words(), _word(raw)
    if raw.strip() in _NO_LANGUAGE:
        return bad("language_unreadable")
    code = words.get(word) or words.get(_bare(word))
    if code is None:
        first, second, *_rest = [*re.split(r"[-_.@;, ]", raw.strip().lower(), maxsplit=2), ""]
        rest = raw.strip()[len(first) :]
        # "no_value" is no Norwegian.
        region = re.fullmatch(r"[a-z]{2}|[0-9]{3}", second)
        if re.fullmatch(r"[-_]\w+([-_.@;,][\w.@=-]*)?", rest) and (region or second in _subtags()):
            code = words.get(first)
    return good(code) if code is not None else bad("language_unreadable")


@cache
def _subtags() -> frozenset[str]:
    """What else may follow a language in a locale: a script, or one of the usual variants."""
    import pycountry

    return frozenset(script.alpha_4.lower() for script in pycountry.scripts) | _VARIANTS


def time_zone(raw: str, _: str = "") -> Outcome:
    """An IANA time zone in any case, spaces for underscores, or a Rails name, to IANA's name."""
    word = " ".join(raw.split()).lower()
    name = _zones().get(word.replace(" ", "_")) or _zones().get(word)
    return good(name) if name is not None else bad("time_zone_unreadable")


@cache
def _zones() -> dict[str, str]:
    return meanings(_LISTS / "zones.txt") | {name.lower(): name for name in zone_names()}


@cache
def _country_words() -> dict[str, str]:
    """Our own words, then those that pycountry has for exactly one country, English ones first."""
    import pycountry

    words = meanings(_LISTS / "countries.txt")
    for one in pycountry.countries:
        for part in ("alpha_2", "alpha_3", "numeric", "name", "official_name", "common_name"):
            words.setdefault(_word(getattr(one, part, "")), one.alpha_2)
    for one in pycountry.countries:
        for part in ("name", "common_name"):
            words.setdefault(_bare(_word(getattr(one, part, ""))), one.alpha_2)
    for word, codes in _translated_countries().items():
        if len(codes) == 1:
            words.setdefault(word, next(iter(codes)))
            words.setdefault(_bare(word), next(iter(codes)))
    words.pop("", None)
    return words


def _translated_countries() -> dict[str, set[str]]:
    import pycountry

    found: dict[str, set[str]] = defaultdict(set)
    for locale in _TRANSLATIONS.split():
        translate = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, [locale]).gettext
        for one in pycountry.countries:
            for part in ("name", "common_name"):
                found[_word(translate(getattr(one, part, one.name)))].add(one.alpha_2)
    return found


@cache
def _language_words() -> dict[str, str]:
    """Codes of two and three letters, English names, and each language's name for itself."""
    words = meanings(_LISTS / "languages.txt")
    for one in _languages():
        for part in ("alpha_2", "alpha_3", "bibliographic", "name", "common_name"):
            word = _word(getattr(one, part, ""))
            words.setdefault(word, one.alpha_2)
        # "Greek, Modern (1453-)" and "Nepali (macrolanguage)" are known by their first word.
        words.setdefault(_word(re.split(r"[,(]", one.name)[0]), one.alpha_2)
    for one in _languages():
        own = _own_name(one.alpha_2, one.name)
        if own is not None:
            words.setdefault(_word(own), one.alpha_2)
            words.setdefault(_bare(_word(own)), one.alpha_2)
    words.pop("", None)
    return words


def _own_name(code: str, english: str) -> str | None:
    import pycountry

    if gettext.find("iso639-3", pycountry.LOCALES_DIR, [code]) is None:
        return None
    own = gettext.translation("iso639-3", pycountry.LOCALES_DIR, [code]).gettext(english)
    return None if own == english else own


@cache
def _languages() -> list[Any]:
    """The languages of pycountry that have a code of two letters."""
    import pycountry

    return [one for one in pycountry.languages if hasattr(one, "alpha_2")]


def _word(text: str) -> str:
    """Lower case and normal width, with a single space for everything but letters and digits."""
    flat = unicodedata.normalize("NFKC", text).casefold().replace("&", " and ")
    # Marks are vowels in many scripts, so they are kept.
    kept = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in flat)
    return _NOT_WORD.sub(" ", kept).strip() if kept.isascii() else " ".join(kept.split())


def _bare(word: str) -> str:
    """A word without accents, unless that would make it as short as a code."""
    flat = unicodedata.normalize("NFKD", word)
    bare = "".join(c for c in flat if not unicodedata.combining(c))
    return bare if len(bare) > _LONGEST_CODE else word


def _flag(text: str) -> str | None:
    """The country of a flag emoji: two regional indicators."""
    letters = [ord(c) - 0x1F1E6 for c in text]
    if len(letters) != len("GB") or not all(0 <= letter < 26 for letter in letters):  # noqa: PLR2004
        return None
    code = "".join(chr(ord("A") + letter) for letter in letters)
    return code if code in country_codes() else None
