"""Braze's standard profile fields, as data.

One table that configuration, mapping, validation, documentation and the sandbox share. Names are
case sensitive; a mis-cased name silently becomes a custom attribute in Braze.

Sources: Braze docs, "Standard attributes", "User attributes object" and "Data points (Legacy)".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from braze_pipeline.braze import limits
from braze_pipeline.settings import ValueType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from braze_pipeline.settings import AttributeSettings, TemplateSettings

STANDARD_PAGE: Final = "/user_guide/data/activation/attributes/standard_attributes"
OBJECT_PAGE: Final = "/api/objects_filters/user_attributes_object"
TRACK_PAGE: Final = "/api/endpoints/user_data/post_user_track"
EXPORT_PAGE: Final = "/api/objects_filters/user_export_object"

E164: Final = r"\+[1-9][0-9]{5,14}"
"""A phone number as Braze takes it."""

Access = Literal["settable", "excluded", "read_only", "export_only", "refused"]


@dataclass(frozen=True, kw_only=True)
class ProfileField:
    """One standard profile field.

    Attributes:
        name: As Braze spells it.
        type: The type of its values.
        rule: What a value must be, in words; for a field that cannot be set, why not.
        access: What Braze does with it: ``settable``; ``excluded`` (settable, but never in an
            object that identifies its user by external_id or braze_id, as ours do); ``read_only``;
            ``export_only``; ``refused`` (Braze rejects the object).
        identifier: Whether it can identify the user of an object.
        consent: Whether it is a subscription state. Braze owns consent; it is never sent.
        pii: Whether values are personal data unless the template says otherwise.
        billable: Whether setting it counts as a data point. Fields that the docs do not list count.
        free_keys: Keys of an object field that do not count.
        allowed: The accepted values, where they can be listed.
        pattern: A regular expression (RE2 and Python) that a value matches in full.
        max_chars, max_bytes: Longest text.
        page: Path of the docs page that states the rule.
    """

    name: str
    rule: str
    type: ValueType = ValueType.STRING
    access: Access = "settable"
    identifier: bool = False
    consent: bool = False
    pii: bool = True
    billable: bool = True
    free_keys: tuple[str, ...] = ()
    allowed: tuple[str, ...] | None = None
    pattern: str | None = None
    max_chars: int | None = None
    max_bytes: int | None = None
    page: str = STANDARD_PAGE

    @property
    def settable(self) -> bool:
        """Whether Braze accepts a value for it."""
        return self.access == "settable"

    @property
    def sendable(self) -> bool:
        """Whether a template may map a column to it."""
        return self.settable and not self.identifier and not self.consent


_SUBSCRIPTION_STATES = ("opted_in", "subscribed", "unsubscribed")
_TIME_RULE = "ISO 8601, sent in UTC; years 1 to 3000"


def _text(name: str, rule: str = "text") -> ProfileField:
    return ProfileField(
        name=name,
        rule=f"{rule} of at most {limits.MAX_STRING} characters, no control characters",
        max_chars=limits.MAX_STRING,
    )


def _name(name: str) -> ProfileField:
    text = _text(name)
    return replace(text, rule=f"{text.rule}; no placeholder such as NULL, N/A or -")


def _state(name: str) -> ProfileField:
    return ProfileField(
        name=name,
        rule="consent belongs to Braze: opted_in, subscribed or unsubscribed",
        allowed=_SUBSCRIPTION_STATES,
        consent=True,
        pii=False,
        billable=False,
    )


def _tracking(name: str) -> ProfileField:
    return ProfileField(
        name=name,
        type=ValueType.BOOLEAN,
        rule="true or false; honoured for SparkPost and SendGrid",
        pii=False,
    )


def _session(name: str) -> ProfileField:
    return ProfileField(
        name=name,
        type=ValueType.TIME,
        rule=f"{_TIME_RULE}; normally set by the SDK, meant for migrations",
        pii=False,
    )


def _no(name: str, type_: ValueType, why: str, access: Access = "export_only") -> ProfileField:
    return ProfileField(
        name=name, type=type_, rule=why, access=access, billable=False, page=EXPORT_PAGE
    )


_IDENTIFIERS = (
    ProfileField(
        name="external_id",
        rule=f"not empty, at most {limits.MAX_EXTERNAL_ID_BYTES} bytes; cannot be removed",
        max_bytes=limits.MAX_EXTERNAL_ID_BYTES,
        identifier=True,
        billable=False,
        page=TRACK_PAGE,
    ),
    ProfileField(
        name="user_alias",
        type=ValueType.OBJECT,
        rule=(
            "alias_name and alias_label, both text; never beside external_id or braze_id in one "
            "object; cannot be removed"
        ),
        access="excluded",
        identifier=True,
        billable=False,
        page=OBJECT_PAGE,
    ),
    ProfileField(
        name="braze_id",
        rule="set by Braze; it can identify a user, but cannot be changed",
        access="read_only",
        identifier=True,
        billable=False,
        page=OBJECT_PAGE,
    ),
)

_SETTABLE = (
    _name("first_name"),
    _name("last_name"),
    _name("home_city"),
    ProfileField(
        name="email",
        rule="a valid e-mail address in lower case; Braze rejects the whole object otherwise",
        max_chars=254,
        page=TRACK_PAGE,
    ),
    ProfileField(
        name="phone",
        rule="E.164: + and at most 15 digits; national numbers get the customer's country",
        pattern=E164,
    ),
    ProfileField(
        name="dob",
        type=ValueType.DATE,
        rule="YYYY-MM-DD; after 1900-01-01 and not after the as-of date",
    ),
    ProfileField(
        name="gender",
        rule="M, F, O (other), N (not applicable) or P (prefers not to say)",
        allowed=("M", "F", "O", "N", "P"),
    ),
    ProfileField(
        name="country",
        rule="ISO 3166-1 alpha-2, upper case; setting it stops the SDK's own detection",
        pattern=r"[A-Z]{2}",
    ),
    ProfileField(
        name="language",
        rule="ISO 639-1, lower case; setting it stops the SDK's own detection",
        pattern=r"[a-z]{2}",
    ),
    ProfileField(
        name="time_zone",
        rule="a name of the IANA time zone database, such as Europe/London",
        pattern=r"[A-Za-z][A-Za-z0-9_+/-]*",
    ),
    ProfileField(
        name="current_location",
        type=ValueType.OBJECT,
        rule="longitude (-180 to 180) and latitude (-90 to 90), both numbers, nothing else",
    ),
    ProfileField(
        name="image_url",
        rule=f"an http or https address of at most {limits.MAX_IMAGE_URL} characters",
        pattern=r"https?://[!#-;=?-\[\]_a-z~]+",
        max_chars=limits.MAX_IMAGE_URL,
    ),
    _state("email_subscribe"),
    _state("push_subscribe"),
    ProfileField(
        name="subscription_groups",
        type=ValueType.OBJECTS,
        rule=(
            "consent belongs to Braze, and a change would affect every user with the same e-mail "
            "address"
        ),
        consent=True,
        pii=False,
        billable=False,
        page=TRACK_PAGE,
    ),
    _tracking("email_open_tracking_disabled"),
    _tracking("email_click_tracking_disabled"),
    ProfileField(name="marked_email_as_spam_at", type=ValueType.TIME, rule=_TIME_RULE, pii=False),
    _session("date_of_first_session"),
    _session("date_of_last_session"),
    ProfileField(
        name="push_tokens",
        type=ValueType.OBJECTS,
        rule=(
            "objects of app_id and token, optionally device_id "
            f"({limits.MIN_DEVICE_ID} to {limits.MAX_DEVICE_ID} bytes)"
        ),
        billable=False,
        page=OBJECT_PAGE,
    ),
    ProfileField(
        name="facebook",
        type=ValueType.OBJECT,
        rule="any of id (text), likes (array of text) and num_friends (integer)",
        free_keys=("likes",),
    ),
    ProfileField(
        name="twitter",
        type=ValueType.OBJECT,
        rule=(
            "any of id (integer), screen_name (text), followers_count, friends_count and "
            "statuses_count (integers)"
        ),
        free_keys=("followers_count", "friends_count", "statuses_count"),
    ),
)

_EXPORTED = (
    _no("created_at", ValueType.TIME, "set by Braze when the profile is created"),
    _no("random_bucket", ValueType.INTEGER, "drawn by Braze"),
    _no("total_revenue", ValueType.FLOAT, "summed by Braze from purchases"),
    _no("uninstalled_at", ValueType.TIME, "set by Braze when the app is uninstalled"),
    _no("apps", ValueType.OBJECTS, "collected by the SDK"),
    _no("devices", ValueType.OBJECTS, "collected by the SDK"),
    _no("last_coordinates", ValueType.ARRAY, "set current_location instead"),
    _no("attributed_campaign", ValueType.STRING, "set by Braze's attribution partners"),
    _no("attributed_source", ValueType.STRING, "set by Braze's attribution partners"),
    _no("attributed_adgroup", ValueType.STRING, "set by Braze's attribution partners"),
    _no("attributed_ad", ValueType.STRING, "set by Braze's attribution partners"),
    _no("custom_events", ValueType.OBJECTS, "aggregated by Braze; send events instead"),
    _no("purchases", ValueType.OBJECTS, "aggregated by Braze; send purchases instead"),
    _no("campaigns_received", ValueType.OBJECTS, "recorded by Braze"),
    _no("canvases_received", ValueType.OBJECTS, "recorded by Braze"),
    _no("email_subscription_info", ValueType.OBJECT, "Braze rejects an object with it", "refused"),
)

FIELDS: Final[Mapping[str, ProfileField]] = MappingProxyType(
    {field.name: field for field in (*_IDENTIFIERS, *_SETTABLE, *_EXPORTED)}
)
"""Every standard profile field by name, settable or not, in the order of the docs."""

CONTROL_KEYS: Final = ("_update_existing_only", "_merge_objects", "push_token_import")
"""Keys of an attributes object that control Braze; they are neither fields nor attributes."""

SENDABLE: Final = tuple(name for name, field in FIELDS.items() if field.sendable)
"""The fields that a template may map a column to."""

UNSENT_CONSENT: Final = ("email_subscribe", "push_subscribe")
"""Consent fields that tables often contain. A template may list them: they are reported and not
sent. Other fields that are not sendable are an error."""


def sendable(t: TemplateSettings) -> tuple[AttributeSettings, ...]:
    """The attributes of a template that may be sent; profiles and plan use only these."""
    return tuple(
        attribute
        for attribute in t.attributes
        if not (attribute.is_field and not FIELDS[attribute.name].sendable)
        and not (t.restricted_pii and attribute.pii)
    )
