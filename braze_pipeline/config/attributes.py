"""Which columns are sent under which names: the part of a template that is checked hardest.

A name that is only almost a profile field makes Braze create a custom attribute and leave the
field as it was, with no error. So every name must be a profile field, a name of the brand's own
that cannot be mistaken for one, or marked ``custom: true``. Anything else is refused.
"""

from __future__ import annotations

from typing import NamedTuple

from braze_pipeline.attributes.lineage import Lineage
from braze_pipeline.attributes.personal import field_named_by, is_traced, why_personal
from braze_pipeline.braze import names
from braze_pipeline.braze.fields import FIELDS, UNSENT_CONSENT
from braze_pipeline.config.models import AttributeConfig, OnLeave, TemplateConfig
from braze_pipeline.config.problems import Problems
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.profiles.leave import leave_value
from braze_pipeline.settings import (
    CUSTOMER,
    AttributeSettings,
    DestinationSettings,
    RecipientGroup,
    ValueType,
    replace,
)
from braze_pipeline.settings.places import Connection
from braze_pipeline.settings.section import values_of
from braze_pipeline.settings.template import AttributeOptions
from braze_pipeline.sources.dialects import condition_in, dialect_of
from braze_pipeline.sources.reach import condition
from braze_pipeline.user_input import did_you_mean

# The column names of the source tables to the profile fields that they fill
# (Braze docs, "Standard attributes").
FIELD_OF_COLUMN = {
    "given_name": "first_name",
    "surname": "last_name",
    "birthdate": "dob",
    "city": "home_city",
}


_ONLY_FOR = {
    "precision": ({ValueType.FLOAT}, "Only a float has decimal places."),
    "array_as": ({ValueType.ARRAY}, "Only an array is sent as a list or a set."),
    "date_order": ({ValueType.DATE, ValueType.TIME}, "Only a date or a time has a date order."),
}
"""Options that have no effect on values of another type."""


class Resolved(NamedTuple):
    """The attributes of a template, sorted by what happens to them; see ``TemplateSettings``."""

    attributes: tuple[AttributeSettings, ...]
    dropped: tuple[str, ...]
    withheld: tuple[str, ...]
    identifier_column: str


def resolve_attributes(
    part: TemplateConfig,
    destination: DestinationSettings,
    problems: Problems,
    *,
    zone: str,
    personal_columns: tuple[str, ...],
    lineage: Lineage,
) -> Resolved:
    """The attributes of a template.

    Args:
        part: The template.
        destination: Where it goes.
        problems: Collects what is wrong, at the template.
        zone: The time zone of times with no offset.
        personal_columns: Columns that some template over the same SQL sends as personal data.
        lineage: Of the template's SQL; needed only for ``restricted_pii``.
    """
    identifier_column = part.identifier_column
    attributes: list[AttributeSettings] = []
    dropped: list[str] = []
    withheld: list[str] = []
    first: dict[str, str] = {}
    for index, item in enumerate(part.attributes):
        here = problems.at("attributes", index)
        name = _name(item)
        if name == destination.identifier:
            if identifier_column not in {None, "", item.column}:
                here.add(
                    f"The {name} would be {item.column!r} here, and {identifier_column!r} by "
                    "`identifier_column` or an attribute above. Keep one."
                )
            identifier_column = item.column
            continue
        if name in UNSENT_CONSENT:
            dropped.append(item.column)
            continue
        _check(name, item, here)
        key = names.comparison_key(name)
        if key in first:
            here.add(
                f"{name!r} is used twice (also {first[key]!r}). Braze treats names that differ "
                "only in case, spacing or punctuation as different attributes."
            )
        first.setdefault(key, name)
        attribute = _attribute(name, item, part, personal_columns)
        attribute = _on_leave(attribute, item, here.at("on_leave"), zone)
        if part.restricted_pii:
            why = why_personal(attribute.column, personal_columns, lineage)
            _check_restricted(attribute, item, part, why, lineage, here.at("pii"))
            if why is not None or (attribute.pii and not attribute.pii_undecided):
                withheld.append(name)
                continue
            attribute = replace(attribute, pii=False, pii_undecided=False)
        attributes.append(attribute)
    identifier_column = identifier_column or (
        "braze_id" if destination.identifier == "braze_id" else CUSTOMER
    )
    if part.restricted_pii:
        _check_identifier(identifier_column, personal_columns, problems.at("identifier_column"))
    if not attributes and not dropped:
        problems.at("attributes").add("No attribute would be sent.")
    return Resolved(tuple(attributes), tuple(dropped), tuple(withheld), identifier_column)


def personal_columns(part: TemplateConfig) -> tuple[str, ...]:
    """The columns of a template that feed profile fields of personal data, or say `pii: true`."""
    return tuple(
        item.column
        for item in part.attributes
        if item.pii or (_name(item) in FIELDS and field_named_by(_name(item)))
    )


def _name(item: AttributeConfig) -> str:
    usual = item.column if item.custom else FIELD_OF_COLUMN.get(item.column, item.column)
    return usual if item.braze_name is None else item.braze_name


def _check_identifier(column: str, personal: tuple[str, ...], problems: Problems) -> None:
    why = why_personal(column, personal, Lineage())
    if why is not None:
        problems.add(
            f"{why[0].upper()}{why[1:]}: a template with `restricted_pii` cannot identify users by "
            "it. Name a column with an id of your own."
        )


def _check_restricted(
    attribute: AttributeSettings,
    item: AttributeConfig,
    part: TemplateConfig,
    why: str | None,
    lineage: Lineage,
    problems: Problems,
) -> None:
    """A template with `restricted_pii` sends nothing personal, whatever `pii` says."""
    if why is not None and item.pii is False:
        problems.add(
            f"{attribute.name!r} is personal data ({why}), which a template with `restricted_pii` "
            "does not send. Remove this attribute, or send it from a template without "
            "`restricted_pii`."
        )
    if why is None and attribute.pii_undecided and not is_traced(attribute.column, lineage):
        problems.add(
            f"Whether {attribute.name!r} is made from personal data cannot be determined: the "
            f"parser cannot follow {part.attributes_sql}. Add `pii: true` (it is not sent) or "
            "`pii: false`."
        )


def _attribute(
    name: str, item: AttributeConfig, part: TemplateConfig, personal: tuple[str, ...]
) -> AttributeSettings:
    field = FIELDS.get(name)
    why = field_named_by(name) or why_personal(item.column, personal, Lineage())
    # National phone numbers belong to the country that the same template sends.
    countries = [other.column for other in part.attributes if _name(other) == "country"]
    region = item.region_column or next(iter(countries), None)
    return AttributeSettings(
        **values_of(item, AttributeOptions)
        | {"region_column": region if name == "phone" else None},
        name=name,
        type=field.type if field else item.type or ValueType.STRING,
        is_field=field is not None,
        pii=(field is None or field.pii) if item.pii is None else item.pii,
        pii_undecided=item.pii is None and field is None and why is None,
    )


def _on_leave(
    attribute: AttributeSettings, item: AttributeConfig, problems: Problems, zone: str
) -> AttributeSettings:
    """The attribute with what happens on leave; a value to set is in the form that is sent."""
    if not isinstance(item.on_leave, OnLeave):
        return replace(attribute, on_leave=item.on_leave)
    given = replace(attribute, on_leave="set", leave_value=item.on_leave.set)
    try:
        return replace(given, leave_value=leave_value(given, zone=zone))
    except ValueError as error:
        problems.add(f"{attribute.name!r} cannot be set to this: {error}.")
        return given


def _check(name: str, item: AttributeConfig, problems: Problems) -> None:
    for problem in names.check_name(name, custom=item.custom):
        named = not problem.suggestion or repr(problem.suggestion) in problem.message
        problems.at("as").add(problem.message + ("" if named else f" Use {problem.suggestion!r}."))
    field = FIELDS.get(name)
    if name != "phone" and item.region_column is not None:
        problems.at("region_column").add("Only `phone` has national numbers. Remove this key.")
    for key, (types, why) in _ONLY_FOR.items():
        written = key in item.model_fields_set and getattr(item, key) is not None
        if written and (field.type if field else item.type) not in types:
            problems.at(key).add(f"{why} Remove this key.")
    if field is None:
        if item.type is None:
            problems.at("type").add(
                f"The custom attribute {name!r} needs a type: {', '.join(ValueType)}. "
                "Braze keeps the first type it sees."
            )
        return
    if item.custom:
        problems.at("custom").add(
            f"{name!r} is the exact name of a profile field, so Braze stores it there in any "
            "case. Remove `custom`, or use another name."
        )
    if item.type not in {None, field.type}:
        problems.at("type").add(
            f"The profile field {name!r} is of type {field.type}. Remove this key."
        )


def checked_condition(where: str, run_in: Connection | None) -> None:
    """Refuse what is not one condition in the dialect of whoever runs it.

    Raises:
        ConfigurationError: see ``reach.condition`` and ``dialects.condition_in``.
    """
    if run_in is None:
        condition(where)
    else:
        condition_in(dialect_of(run_in), where)


def resolve_groups(
    part: TemplateConfig,
    destination: DestinationSettings,
    resolved: Resolved,
    run_in: Connection | None,
    problems: Problems,
) -> tuple[RecipientGroup, ...]:
    """The recipient groups of a campaign; none for an orchestration."""
    if part.kind == "orchestration":
        if part.recipient_groups:
            problems.add("Only `kind: campaign` has recipient groups.")
        return ()
    if not part.recipient_groups:
        problems.add("`kind: campaign` needs at least one group.")
    known = [*(attribute.name for attribute in resolved.attributes), *resolved.withheld]
    groups: list[RecipientGroup] = []
    for index, group in enumerate(part.recipient_groups):
        here = problems.at(index, "attributes")
        if group.name.casefold() in {one.name.casefold() for one in groups}:
            problems.at(index, "name").add(
                f"Two groups are named {group.name!r}, and a group's name tells what its users get."
                " Use another name, or make them one group."
            )
        try:
            checked_condition(group.where, run_in)
        except ConfigurationError as error:
            problems.at(index, "where").add_error(error)
        listed = [name for name in group.attributes if name != destination.identifier]
        if len(listed) == len(group.attributes):
            here.add(
                f"The group {group.name!r} does not include {destination.identifier!r}, so Braze "
                "could not tell which user to update. Add it to this list.",
                missing_identifier=True,
            )
        for name in listed:
            if name not in known:
                here.add(
                    f"{name!r} is not among the template's attributes.{did_you_mean(name, known)}"
                )
        sent = tuple(name for name in listed if name not in resolved.withheld)
        groups.append(replace(group, attributes=sent))
    return tuple(groups)
