"""An independent checker of attributes objects, written from Braze's docs alone.

It is a second opinion: it shares no table, pattern or limit with the package, so a mistake there is
not repeated here. `complaints` takes one object as it would be sent.
"""

from __future__ import annotations

import json
import math
import re
import zoneinfo
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pycountry

_COUNTRIES = {country.alpha_2 for country in pycountry.countries}
_LANGUAGES = {one.alpha_2 for one in pycountry.languages if hasattr(one, "alpha_2")}
_ZONES = zoneinfo.available_timezones()

_NAME_TEXT = {"first_name", "last_name", "home_city"}
_BOOLEANS = {"email_open_tracking_disabled", "email_click_tracking_disabled"}
_MOMENTS = {"marked_email_as_spam_at", "date_of_first_session", "date_of_last_session"}
_NEVER = {
    "braze_id",
    "created_at",
    "random_bucket",
    "total_revenue",
    "uninstalled_at",
    "apps",
    "devices",
    "last_coordinates",
    "custom_events",
    "purchases",
    "campaigns_received",
    "canvases_received",
    "email_subscription_info",
    "user_alias",
    "email_subscribe",
    "push_subscribe",
    "subscription_groups",
}
_TIME_FORMATS = (
    "%Y-%m-%dT%H:%M:%S:%f%z",
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d",
    "%m/%d/%Y",
)


def complaints(sent: dict[str, Any], *, kinds: dict[str, str]) -> list[str]:
    """What Braze would reject, drop or misread in an object.

    Args:
        sent: The object.
        kinds: The declared type of each custom attribute: string, integer, float, boolean, date,
            time, array, object or array_of_objects.
    """
    found = []
    if not isinstance(sent.get("external_id"), str) or not sent["external_id"].strip():
        found.append("external_id: none")
    elif len(sent["external_id"].encode()) > 987:
        found.append("external_id: too long")
    for name, value in sent.items():
        if name in {"external_id", "_update_existing_only"}:
            continue
        wrong = _custom(kinds[name], value) if name in kinds else _standard(name, value)
        if wrong is not None:
            found.append(f"{name}: {wrong}")
    return found


def _standard(name: str, value: Any) -> str | None:
    if name in _NEVER or name.startswith("attributed_"):
        return "cannot be set"
    if value is None:
        return None
    if name in _NAME_TEXT:
        return _text(value) or (None if value.strip() else "blank")
    if name in _BOOLEANS:
        return None if isinstance(value, bool) else "not a boolean"
    if name in _MOMENTS:
        return _moment(value)
    return _STANDARD[name](value)


def _email(value: Any) -> str | None:
    good = isinstance(value, str) and re.fullmatch(
        r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
        r"@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{1,63}",
        value,
    )
    return None if good and len(value) <= 254 and len(value.split("@")[0]) <= 64 else "no address"


def _phone(value: Any) -> str | None:
    return None if isinstance(value, str) and re.fullmatch(r"\+[1-9]\d{4,14}", value) else "E.164"


def _dob(value: Any) -> str | None:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return "not YYYY-MM-DD"
    born = date.fromisoformat(value)
    return None if date(1900, 1, 1) < born <= date(2011, 11, 1) else "implausible"


def _one_of(allowed: set[str]) -> Callable[[Any], str | None]:
    return lambda value: None if value in allowed else "not an accepted value"


def _location(value: Any) -> str | None:
    if not isinstance(value, dict) or set(value) != {"longitude", "latitude"}:
        return "shape"
    if not all(isinstance(part, float) and math.isfinite(part) for part in value.values()):
        return "not floats"
    return None if abs(value["longitude"]) <= 180 and abs(value["latitude"]) <= 90 else "range"


def _image(value: Any) -> str | None:
    good = isinstance(value, str) and re.match(r"https?://\S+$", value) and len(value) <= 1024
    return None if good else "no address"


def _facebook(value: Any) -> str | None:
    types = {"id": str, "likes": list, "num_friends": int}
    return _record(value, types) or (
        None if all(isinstance(like, str) for like in value.get("likes", [])) else "likes"
    )


def _twitter(value: Any) -> str | None:
    whole = dict.fromkeys(("id", "followers_count", "friends_count", "statuses_count"), int)
    return _record(value, {"screen_name": str, **whole})


def _record(value: Any, types: dict[str, type]) -> str | None:
    if not isinstance(value, dict) or not set(value) <= set(types):
        return "shape"
    fits = all(type(part) is types[key] for key, part in value.items())
    return None if fits else "types"


def _tokens(value: Any) -> str | None:
    for one in value:
        if set(one) - {"device_id"} != {"app_id", "token"}:
            return "shape"
        if not 8 <= len(one.get("device_id", "12345678").encode()) <= 255:
            return "device"
    return None


_STANDARD: dict[str, Callable[[Any], str | None]] = {
    "email": _email,
    "phone": _phone,
    "dob": _dob,
    "gender": _one_of({"M", "F", "O", "N", "P"}),
    "country": _one_of(_COUNTRIES),
    "language": _one_of(_LANGUAGES),
    "time_zone": _one_of(_ZONES),
    "current_location": _location,
    "image_url": _image,
    "facebook": _facebook,
    "twitter": _twitter,
    "push_tokens": _tokens,
}


def _custom(kind: str, value: Any) -> str | None:
    if value is None:
        return None
    return _KINDS[kind](value)


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return "not text"
    if len(value) > 255:
        return "over 255 characters"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "half a character"
    return "control character" if re.search(r"[\x00-\x08\x0e-\x1f\x7f]", value) else None


def _string(value: Any) -> str | None:
    return _text(value) or ("reads as a time" if reads_as_time(value) else None)


def reads_as_time(text: str) -> bool:
    """Whether Braze would take a text for a time."""
    for form in _TIME_FORMATS:
        try:
            moment = datetime.strptime(text, form)  # noqa: DTZ007 - only its year matters
        except ValueError:
            continue
        if moment.year <= 3000 and re.match(r"\d{4}-\d\d-\d\d|\d\d/\d\d/\d{4}", text):
            return True
    return False


def _integer(value: Any) -> str | None:
    if type(value) is not int:
        return "not an integer"
    return None if abs(value) <= 2**53 and int(float(value)) == value else "inexact"


def _float(value: Any) -> str | None:
    return None if type(value) is float and math.isfinite(value) else "not a finite number"


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "not a boolean"


def _date(value: Any) -> str | None:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return "not a date"
    return None if 0 <= date.fromisoformat(value).year <= 3000 else "year"


def _moment(value: Any) -> str | None:
    if not isinstance(value, str):
        return "not text"
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", value):
        return "not ISO 8601"
    return None if 0 <= datetime.fromisoformat(value).year <= 3000 else "year"


def _array(value: Any) -> str | None:
    if not isinstance(value, list) or len(value) > 500 or len(set(value)) < len(value):
        return "length or duplicates"
    if len(json.dumps(value, ensure_ascii=False).encode()) > 102_400 + len(value):
        return "size"
    return next((wrong for wrong in map(_text, value) if wrong), None)


def _object(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "not an object"
    return _size(value) or _nested(value, 1)


def _objects(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return "not an array of objects"
    return _size(value) or _nested(value, 1)


def _size(value: Any) -> str | None:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return None if len(text.encode()) <= 102_400 else "over 100 KB"


def _nested(value: Any, depth: int) -> str | None:
    if depth > 50:
        return "too deep"
    if value is None:
        return "nested null"
    if isinstance(value, dict):
        if "$time" in value:
            return _moment(value["$time"]) if len(value) == 1 else "$time with company"
        for key in value:
            if not key or len(key) > 255 or re.search(r"[\s.$]", key):
                return "key"
        return next((w for w in (_nested(v, depth + 1) for v in value.values()) if w), None)
    if isinstance(value, list):
        return next((w for w in (_nested(v, depth + 1) for v in value) if w), None)
    if isinstance(value, str):
        return _text(value) or ("a date as text" if _iso_like(value) else None)
    if isinstance(value, bool):
        return None
    return _integer(value) if isinstance(value, int) else _float(value)


def _iso_like(text: str) -> bool:
    return bool(re.match(r"\d{4}-\d\d-\d\d", text)) and reads_as_time(text)


_KINDS: dict[str, Callable[[Any], str | None]] = {
    "string": _string,
    "integer": _integer,
    "float": _float,
    "boolean": _boolean,
    "date": _date,
    "time": _moment,
    "array": _array,
    "object": _object,
    "array_of_objects": _objects,
}
