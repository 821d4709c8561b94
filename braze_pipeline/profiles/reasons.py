"""What a rejection's code means, in words for the operator.

The rules of `braze.values` bring their own words; these are the codes of reading raw values and
of whole rows.
"""

from __future__ import annotations

from typing import Final

from braze_pipeline.braze import limits
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.values import CUSTOM_RULES, field_rules, identifier_rules
from braze_pipeline.profiles.identifier import NO_IDENTIFIER

REASONS: Final[dict[str, str]] = {
    NO_IDENTIFIER: "the row has no user identifier",
    "user_id_duplicate": "another row of the day has the same user identifier",
    "required_missing": "the template requires a value and there is none",
    "email_unreadable": "not a valid e-mail address",
    "email_not_ascii": "the part before the @ has signs that few mail systems deliver to",
    "phone_without_country": "a national number, and no country to read it by",
    "phone_unknown_calling_code": "no country has this calling code",
    "phone_unreadable": "not a phone number",
    "phone_wrong_length": "no number of that country has so many digits",
    "phone_not_assigned": "no such number in the customer's country",
    "country_unreadable": "no country's name or code",
    "country_not_one": "names no single country of ISO 3166-1",
    "language_unreadable": "no language's name or ISO 639 code",
    "time_zone_unreadable": "no time zone of the IANA database",
    "gender_unreadable": "no word or letter for a gender",
    "gender_not_stated": "says that the gender is not known, which is no code of Braze's",
    "date_ambiguous": "day and month cannot be told apart; give the attribute a date_order",
    "date_two_digit_year": "two digits do not tell the century",
    "date_impossible": "no such day or time of day",
    "date_unreadable": "not a date in a known format",
    "time_unreadable": "not a date and time in a known format",
    "not_text": "a list or structure, where text is declared",
    "not_a_number": "not a number",
    "not_an_integer": "a number with a fraction, where an integer is declared",
    "number_inexact": "beyond 2^53, where JSON readers lose digits",
    "number_not_finite": "infinite or not a number",
    "not_a_boolean": "neither true nor false",
    "not_an_array": "not an array of text",
    "not_an_object": "not a JSON object",
    "not_an_array_of_objects": "not a JSON array of objects",
    "array_has_null": "a null in the array",
    "array_too_large": f"above {limits.MAX_OBJECT_BYTES:,} bytes of JSON",
    "object_too_large": f"above {limits.MAX_OBJECT_BYTES:,} bytes of JSON",
    "json_unreadable": "not valid JSON",
    "nested_null": "a null inside a nested value: Braze would drop the whole update",
    "nested_operator": "only the keys add, remove or inc: Braze would change the attribute by them",
    "nested_key": "a key that is empty or holds white space, a full stop or a dollar sign",
    "nested_key_too_long": f"a key of more than {limits.MAX_NAME} characters",
    "nested_duplicate_key": "the same key twice in one object",
    "nested_text_too_long": f"a text of more than {limits.MAX_STRING} characters inside it",
    "nested_text_control": "a control character in a text inside it",
    "nested_time_unreadable": "a $time that is no ISO 8601 date",
    "nested_too_deep": f"more than {limits.MAX_DEPTH} levels deep",
    "lone_surrogate": "half a character (a lone surrogate)",
    "field_shape": "not the keys or types that the profile field has",
    "location_out_of_range": "longitude or latitude out of range",
}
"""Code to what is wrong."""


def message(code: str) -> str:
    """The words for a rejection's code."""
    return _every().get(code, code)


def _every() -> dict[str, str]:
    rules = [rule for some in CUSTOM_RULES.values() for rule in some]
    rules += [rule for name in FIELDS for rule in field_rules(name)]
    rules += identifier_rules("external_id")
    return {rule.code: f"must be: {rule.words}" for rule in rules} | REASONS
