"""The user identifier: without one, Braze cannot know whom to update.

What belongs here: the cases of the workflow action "Missing required field". The template names no
identifier, the SQL does not give its column, or nobody in the audience has one. Where only some
customers have none, these are rejected and the others are sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import ContractBroken, MissingRequiredField
from braze_pipeline.storage.sql_text import has_fraction, name_key, quote

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings

NO_IDENTIFIER: Final = "user_id_missing"
"""The reason for rejecting the row of a customer without an identifier."""


def require_configured(t: TemplateSettings) -> None:
    """Refuse a template that names no identifier, or omits it from a recipient group.

    It loads nevertheless, so that its runs fail with a workflow action that people are notified of.

    Raises:
        MissingRequiredField: names file, line and key.
    """
    if t.missing_identifier:
        raise MissingRequiredField(
            f"No unique identifier would be sent to Braze:\n{t.missing_identifier}",
            fix="Fix the keys named above, and check with `braze-pipeline template check`.",
        )


def require_column(t: TemplateSettings, names: Iterable[str]) -> None:
    """Refuse customer attributes without the identifier's column.

    Raises:
        MissingRequiredField: also where the template names none, see ``require_configured``.
    """
    require_configured(t)
    if name_key(t.identifier_column) not in map(name_key, names):
        raise MissingRequiredField(
            f"{t.attributes_sql} gives no column '{t.identifier_column}', which holds the "
            f"{t.destination.identifier} of the template {t.name!r}.",
            fix="Select it there, or name the right column with `identifier_column` in defs.yaml.",
        )


def require_exact(t: TemplateSettings, types: Mapping[str, str]) -> None:
    """Refuse an identifier with a fraction: as text, the customer 12346 would be ``12346.0``.

    pandas writes whole numbers so as soon as one of them is missing.

    Args:
        t: The template.
        types: The columns with their DuckDB types.

    Raises:
        ContractBroken: names the column and its type.
    """
    key = name_key(t.identifier_column)
    column, type_ = next((name, type_) for name, type_ in types.items() if name_key(name) == key)
    if has_fraction(type_):
        raise ContractBroken(
            f"{t.attributes_sql} gives '{column}', the {t.destination.identifier} of the template "
            f"{t.name!r}, as {type_}: the customer 12346 would be '12346.0' in Braze.",
            fix=f"Write `{quote(column)}::BIGINT AS {quote(column)}` there, if all of them are "
            "whole numbers of at most 15 digits (a DOUBLE rounds longer ones). Better still, keep "
            "them as text in the source.",
        )


def no_identifiers(t: TemplateSettings, audience: int) -> MissingRequiredField:
    """The error of a day on which no member of the audience has an identifier."""
    return MissingRequiredField(
        f"None of the {audience:,} customers in the audience has the identifier "
        f"{t.destination.identifier} (column '{t.identifier_column}'): all of them were rejected.",
        fix=f"Fill '{t.identifier_column}' in {t.attributes_sql.name} or in its source table, then "
        "run the day again in full.",
    )


def missing_identifier_summary(t: TemplateSettings, *, without: int, audience: int) -> str:
    """How many customers have no identifier, in one or two sentences; the others are sent."""
    if not without:
        return f"Every customer in the audience has the identifier {t.destination.identifier}."
    return (
        f"{without:,} of {audience:,} customers in the audience have no {t.destination.identifier} "
        f"(column '{t.identifier_column}'). They were rejected; the others were not affected."
    )
