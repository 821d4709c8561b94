"""Which columns go out under which names: the part of a template that is checked hardest.

A name that is only almost a profile field makes Braze create a custom attribute and leave the
field as it was, with no error. So every name is a field, or a name of the brand's own that cannot
be mistaken for one, or says ``custom: true``, or is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

from braze_pipeline.attributes.lineage import Lineage
from braze_pipeline.attributes.personal import field_named_by, is_traced, why_personal
from braze_pipeline.braze import names
from braze_pipeline.braze.fields import FIELDS, UNSENT_CONSENT, ProfileField
from braze_pipeline.config.models import AttributePart, OnLeavePart, TemplatePart
from braze_pipeline.config.problems import Key, Problem
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.profiles.leave import leave_value
from braze_pipeline.settings import (
    AttributeSettings,
    DestinationSettings,
    Json,
    RecipientGroup,
    ValueType,
)
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


class Resolved(NamedTuple):
    """What becomes of a template's attributes; see ``TemplateSettings``."""

    attributes: tuple[AttributeSettings, ...]
    dropped: tuple[str, ...]
    withheld: tuple[str, ...]
    identifier_column: str


def resolve_attributes(
    part: TemplatePart,
    key: Key,
    destination: DestinationSettings,
    problems: list[Problem],
    *,
    zone: str,
    personal_columns: tuple[str, ...],
    lineage: Lineage,
) -> Resolved:
    """The attributes of a template; ``lineage`` of its SQL is needed for a restricted one."""
    identifier_column = part.identifier_column or _default_identifier(destination)
    attributes: list[AttributeSettings] = []
    dropped: list[str] = []
    for index, item in enumerate(part.attributes):
        here = (*key, "attributes", index)
        name = _name(item)
        field = FIELDS.get(name)
        if name == destination.identifier:
            identifier_column = item.column
        elif name in UNSENT_CONSENT:
            dropped.append(item.column)
        elif field is not None:
            _field_problems(field, item, here, problems)
            attributes.append(_left(_of_field(field, item, part), here, zone, problems))
        else:
            _custom_problems(name, item, here, problems)
            attributes.append(_left(_custom(name, item, personal_columns), here, zone, problems))
    _duplicates(attributes, part, key, problems)
    everything = [attribute.name for attribute in attributes]
    if part.restricted_pii:
        problems += _identifier_problems(identifier_column, key, personal_columns)
        attributes = _restricted(attributes, part, key, personal_columns, lineage, problems)
    if not attributes and not dropped:
        problems.append(Problem((*key, "attributes"), "No attribute would be sent."))
    kept = {attribute.name for attribute in attributes}
    withheld = tuple(name for name in everything if name not in kept)
    return Resolved(tuple(attributes), tuple(dropped), withheld, identifier_column)


def personal_columns(part: TemplatePart) -> tuple[str, ...]:
    """The columns of a template that feed profile fields of personal data, or say `pii: true`."""
    return tuple(item.column for item in part.attributes if item.pii or _feeds_field(_name(item)))


def _feeds_field(name: str) -> bool:
    return name in FIELDS and field_named_by(name) is not None


def _name(item: AttributePart) -> str:
    usual = item.column if item.custom else FIELD_OF_COLUMN.get(item.column, item.column)
    return item.braze_name or usual


def _identifier_problems(column: str, key: Key, personal: tuple[str, ...]) -> list[Problem]:
    why = why_personal(column, personal, Lineage())
    if why is None:
        return []
    return [
        Problem(
            (*key, "identifier_column"),
            f"{why[0].upper()}{why[1:]}: a template with `restricted_pii` cannot identify users by "
            "it. Name a column with an id of your own.",
        )
    ]


def _restricted(
    attributes: list[AttributeSettings],
    part: TemplatePart,
    key: Key,
    personal: tuple[str, ...],
    lineage: Lineage,
    problems: list[Problem],
) -> list[AttributeSettings]:
    """What a template with `restricted_pii` sends: nothing personal, whatever `pii` says."""
    said = {_name(item): (index, item.pii) for index, item in enumerate(part.attributes)}
    kept = []
    for attribute in attributes:
        index, pii = said[attribute.name]
        here = (*key, "attributes", index, "pii")
        why = why_personal(attribute.column, personal, lineage)
        if why is not None and pii is False:
            problems.append(
                Problem(
                    here,
                    f"{attribute.name!r} is personal data ({why}), which a template with "
                    "`restricted_pii` does not send. Remove this attribute, or send it from a "
                    "template without `restricted_pii`.",
                )
            )
        elif attribute.pii_open and why is None and not is_traced(attribute.column, lineage):
            problems.append(
                Problem(
                    here,
                    f"Whether {attribute.name!r} is made from personal data cannot be determined: "
                    f"the parser does not follow {part.attributes_sql}. Add `pii: true` (it is "
                    "not sent) or `pii: false`.",
                )
            )
        elif why is None and (attribute.pii_open or not attribute.pii):
            kept.append(replace(attribute, pii=False, pii_open=False))
    return kept


def _default_identifier(destination: DestinationSettings) -> str:
    return "braze_id" if destination.identifier == "braze_id" else "customer_id"


def _of_field(field: ProfileField, item: AttributePart, part: TemplatePart) -> AttributeSettings:
    leave, value = _leave(item)
    return AttributeSettings(
        column=item.column,
        name=field.name,
        type=field.type,
        is_field=True,
        pii=field.pii if item.pii is None else item.pii,
        required=item.required,
        precision=item.precision,
        array_as=item.array_as,
        send_null=item.send_null,
        on_leave=leave,
        leave_value=value,
        region_column=_region_column(field, item, part),
        date_order=item.date_order,
    )


def _region_column(field: ProfileField, item: AttributePart, part: TemplatePart) -> str | None:
    """National phone numbers belong to the country that the same template sends."""
    if field.name != "phone":
        return None
    if item.region_column:
        return item.region_column
    countries = [
        other.column for other in part.attributes if (other.braze_name or other.column) == "country"
    ]
    return countries[0] if countries else None


def _custom(name: str, item: AttributePart, personal: tuple[str, ...]) -> AttributeSettings:
    leave, value = _leave(item)
    told = field_named_by(name) or why_personal(item.column, personal, Lineage())
    return AttributeSettings(
        column=item.column,
        name=name,
        type=ValueType(item.type or "string"),
        is_field=False,
        pii=item.pii is not False,
        pii_open=item.pii is None and told is None,
        required=item.required,
        precision=item.precision,
        array_as=item.array_as,
        send_null=item.send_null,
        on_leave=leave,
        leave_value=value,
        date_order=item.date_order,
    )


def _leave(item: AttributePart) -> tuple[Literal["keep", "clear", "set"], Json]:
    if isinstance(item.on_leave, OnLeavePart):
        return "set", item.on_leave.set
    return item.on_leave, None


def _left(
    attribute: AttributeSettings, key: Key, zone: str, problems: list[Problem]
) -> AttributeSettings:
    """The attribute with the value that it is set to on leave in the form that leaves."""
    if attribute.on_leave == "set":
        try:
            return replace(attribute, leave_value=leave_value(attribute, zone=zone))
        except ValueError as error:
            problems.append(
                Problem((*key, "on_leave"), f"{attribute.name!r} cannot be set to this: {error}.")
            )
    return attribute


def _field_problems(
    field: ProfileField, item: AttributePart, key: Key, problems: list[Problem]
) -> None:
    problems += _name_problems(field.name, item, key)
    if item.custom:
        problems.append(
            Problem(
                (*key, "custom"),
                f"{field.name!r} is the exact name of a profile field: Braze stores it there, "
                "whatever this says. Leave `custom` out, or use another name.",
            )
        )
    if item.type is not None and item.type != field.type.value:
        problems.append(
            Problem(
                (*key, "type"),
                f"The profile field {field.name!r} is of type {field.type.value}; leave this out.",
            )
        )


def _custom_problems(name: str, item: AttributePart, key: Key, problems: list[Problem]) -> None:
    if item.type is None:
        allowed = ", ".join(kind.value for kind in ValueType)
        problems.append(
            Problem(
                (*key, "type"),
                f"The custom attribute {name!r} needs a type: {allowed}. "
                "Braze keeps the first type it sees.",
            )
        )
    if item.precision is not None and item.type != "float":
        problems.append(Problem((*key, "precision"), "Only a float has decimal places."))
    problems += _name_problems(name, item, key)


def _name_problems(name: str, item: AttributePart, key: Key) -> list[Problem]:
    return [
        Problem((*key, "as"), problem.message + _instead(problem))
        for problem in names.check_name(name, custom=item.custom)
    ]


def _instead(problem: names.NameProblem) -> str:
    if not problem.suggestion or repr(problem.suggestion) in problem.message:
        return ""
    return f" Use {problem.suggestion!r}."


def _duplicates(
    attributes: list[AttributeSettings], part: TemplatePart, key: Key, problems: list[Problem]
) -> None:
    """Names that differ only in case or spacing are two attributes in Braze and one in a mind."""
    first: dict[str, str] = {}
    for attribute in attributes:
        # Names without a letter or digit have no key of their own to compare by.
        folded = names.comparison_key(attribute.name) or attribute.name
        if folded in first:
            index = next(
                i
                for i, item in reversed(list(enumerate(part.attributes)))
                if item.column == attribute.column
            )
            problems.append(
                Problem(
                    (*key, "attributes", index),
                    f"{attribute.name!r} is named twice (also {first[folded]!r}): names that "
                    "differ only in case, spacing or punctuation are told apart by Braze.",
                )
            )
        first.setdefault(folded, attribute.name)


def resolve_groups(
    part: TemplatePart,
    key: Key,
    destination: DestinationSettings,
    attributes: tuple[AttributeSettings, ...],
    withheld: tuple[str, ...],
    problems: list[Problem],
) -> tuple[RecipientGroup, ...]:
    """The recipient groups of a campaign; none for an orchestration."""
    if part.kind == "orchestration":
        if part.recipient_groups:
            problems.append(
                Problem((*key, "recipient_groups"), "Only `kind: campaign` has recipient groups.")
            )
        return ()
    if not part.recipient_groups:
        problems.append(
            Problem((*key, "recipient_groups"), "`kind: campaign` needs at least one group.")
        )
    known = [*(attribute.name for attribute in attributes), *withheld]
    groups = []
    for index, group in enumerate(part.recipient_groups):
        problems += _condition_problems(group.where, (*key, "recipient_groups", index, "where"))
        here = (*key, "recipient_groups", index, "attributes")
        listed = [name for name in group.attributes if name != destination.identifier]
        if len(listed) == len(group.attributes):
            problems.append(
                Problem(
                    here,
                    f"The group {group.name!r} does not include {destination.identifier!r}: "
                    "Braze could not tell whom to update. Add it to this list.",
                    missing_identifier=True,
                )
            )
        problems += [
            Problem(
                here, f"{name!r} is not among the template's attributes.{did_you_mean(name, known)}"
            )
            for name in listed
            if name not in known
        ]
        sent = tuple(name for name in listed if name not in withheld)
        groups.append(RecipientGroup(name=group.name, where=group.where, attributes=sent))
    return tuple(groups)


def _condition_problems(where: str, key: Key) -> list[Problem]:
    try:
        condition(where)
    except ConfigurationError as error:
        return [Problem(key, f"{error.what} {error.fix}")]
    return []
