"""Phone numbers and e-mail addresses, read by libraries made for them and without the network.

The patterns of values that need no reading are here too; `columns` uses them in SQL.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import Final

from braze_pipeline.braze.fields import E164
from braze_pipeline.braze.values import EMAIL_PATTERN
from braze_pipeline.profiles.normalise.outcome import Outcome, bad, good

INTERNATIONAL: Final = "^\\s*(?:tel:)?\\s*[(\\[]?\\s*(?:[+\uff0b]|00\\s*[1-9])"
"""How a number with its calling code begins (RE2 and Python)."""

_INTERNATIONAL: Final = re.compile(INTERNATIONAL)

_DASHES: Final = "\\-\u2010-\u2015\u2212\u30fc\uff0d"

SECOND_ENDING: Final = (
    rf"(\d{{4}}|[^\d{_DASHES}]\d{{1,3}})\s*[{_DASHES}]\W*\d\d?\W*$|[{_DASHES}]\W*\d\W*$"
    "|[/\uff0f]\\W*(\\d\\d?|\\d{5,})\\W*$"
    r"|[(\[]\W*\d\d?\W*$|\d{4}\.0$"
)
"""Last digits that may be an alternative ending, an extension, a second number or the .0 of a
spreadsheet: 1234567-8, but not the groups of 12-34-56 (RE2 and Python).
"""

_SECOND_ENDING: Final = re.compile(SECOND_ENDING)

_LABEL: Final = re.compile(r"[\W_]*|.*:\s*|.*[^\W_]{3}.*\W", re.DOTALL)
"""What may stand before a number without a +: `M:` or `Tel. `, but not a single letter O."""

_EXTENSION: Final = re.compile(
    r"[\s,]*(?:;ext=|(?:x|int|anexo|\u0434\u043e\u0431|e?xt(?:ensi(?:o\u0301?|\u00f3))?n?)"
    r"[:.]?[\s,-]*)\d{1,9}\s*$",
    re.IGNORECASE,
)
_NO_DIGIT: Final = re.compile(
    r"[^\W\d\u30fc]|[#*\uff03\uff0a]|[;,~\uff1b\uff0c\uff5e\u2053\u223c].*\d", re.DOTALL
)
"""What may stand for a digit, or between two numbers; the library would drop it, or cut the number
off. \u30fc is a Japanese dash.
"""

_LEADS: Final = {"1": "[2-9]", "7": "[1-79]", "44": "[2-9]", "61": "[2-9]", "86": "[2-9]"}
"""First digits after the calling code that cannot be mistaken for a national prefix."""

_SIMPLE_PREFIX: Final = frozenset({"1", "7", "44", "55", "57", "61", "81", "82", "86"})

_SHORTEST, _LONGEST = 6, 12
"""Digits after the calling code that the fast path accepts."""

FAST_EMAIL: Final = (
    r"[a-z0-9_-]{1,20}([.+][a-z0-9_-]{1,20}){0,2}"
    r"@([a-z0-9]([a-z0-9]|-[a-z0-9]){0,20}\.){1,3}[a-z]{2,12}"
)
"""Addresses that are canonical already (RE2 and Python); all others go to the reader."""

SLOW_EMAIL_ENDS: Final = r"(\.(arpa|invalid|local|localhost|onion|test)$|@xn--|\.xn--)"
"""Endings and parts of domains that the reader must decide on."""


def phone(raw: str, region: str) -> Outcome:
    """A phone number to E.164.

    A number written with + or 00 must be possible: its calling code exists and its length fits.
    A national number is read by the region's numbering plan, so it must be valid there.
    Text that could mean another number than the one that the library finds in it is unreadable.

    Args:
        raw: The text.
        region: ISO 3166-1 alpha-2 of the country that a national number belongs to, or ``""``.
    """
    import phonenumbers

    international = _INTERNATIONAL.match(raw) is not None
    text = re.sub(r"^(\D*)00", r"\1+", raw, count=1) if international and "+" not in raw else raw
    if not international and not region:
        return bad("phone_without_country")
    if not _is_one_number(text, region):
        return bad("phone_unreadable")
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException as error:
        if error.error_type != phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            return bad("phone_unreadable")
        # Antarctica has no numbers of its own.
        return bad("phone_unknown_calling_code" if international else "phone_without_country")
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        return bad("phone_wrong_length")
    if not international and not phonenumbers.is_valid_number(number):
        return bad("phone_not_assigned")
    shown = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    # Leading zeros of some plans push a number past what E.164 allows.
    return good(shown) if re.fullmatch(E164, shown) else bad("phone_wrong_length")


def _is_one_number(text: str, region: str) -> bool:
    """Whether each digit of a text is seen, and all belong to one number and its extension.

    The library drops what it does not know: of 1234O56, with the letter O, it leaves 123456.
    """
    start = re.search(r"[\d+\uff0b]", text)
    if start is None or (start[0].isdigit() and not _LABEL.fullmatch(text[: start.start()])):
        return False
    whole = text[start.start() :]
    number = _EXTENSION.sub("", whole)
    if _NO_DIGIT.search(number) or (number != whole and not _is_assigned(number, region)):
        return False
    if not _SECOND_ENDING.search(number):
        return True
    return not _is_assigned(re.sub(r"\W*\d+\W*$", "", number), region)


def _is_assigned(text: str, region: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region or None))
    except phonenumbers.NumberParseException:
        return False


@cache
def fast_phone() -> str:
    """A pattern (RE2) for numbers that are E.164 already.

    Only for calling codes whose national prefix cannot be mistaken for a part of the number; all
    other numbers go to the reader.
    """
    import phonenumbers

    parts = []
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        metadata = (
            phonenumbers.PhoneMetadata.metadata_for_nongeo_region(code)
            if regions[0] == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY
            else phonenumbers.PhoneMetadata.metadata_for_region(regions[0])
        )
        if metadata is None or metadata.general_desc is None:
            continue
        simple = metadata.national_prefix_for_parsing in {None, "0"}
        if not simple and str(code) not in _SIMPLE_PREFIX:
            continue
        lead = _LEADS.get(str(code), "[1-9]")
        lengths = sorted(
            n for n in metadata.general_desc.possible_length if _SHORTEST <= n <= _LONGEST
        )
        if lengths:
            rest = "|".join(f"[0-9]{{{length - 1}}}" for length in lengths)
            parts.append(f"{code}{lead}({rest})")
    return rf"\+({'|'.join(parts)})"


def email(raw: str, _: str = "") -> Outcome:
    """An e-mail address to lower case with an ASCII domain; RFC syntax, no network.

    An address whose local part is not ASCII is refused: few systems deliver to it, and Braze
    rejects the whole object if it does not accept the address.
    """
    from email_validator import EmailNotValidError, validate_email

    text = raw.strip().strip("<>").removeprefix("mailto:")
    if not text.isascii() and not text.partition("@")[0].isascii():
        return bad("email_not_ascii")
    try:
        with warnings.catch_warnings():
            # The library for domains warns about some code points instead of refusing them.
            warnings.simplefilter("ignore")
            found = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except (EmailNotValidError, UnicodeError, ValueError):
        return bad("email_unreadable")
    shown = (found.ascii_email or "").lower()
    return good(shown) if re.fullmatch(EMAIL_PATTERN, shown) else bad("email_unreadable")
