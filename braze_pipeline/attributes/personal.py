"""Which attributes are personal data where the template does not say so.

An attribute is personal when its column feeds a profile field of personal data, is named like such
a field, or is made from such columns by the brand's SQL. Counts, and tests whether a value is
there, are not personal. How the SQL is traced is in `lineage`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from braze_pipeline.attributes.lineage import Lineage
from braze_pipeline.braze import names
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.settings import ValueType, replace
from braze_pipeline.storage.sql_text import name_key

if TYPE_CHECKING:
    from braze_pipeline.settings import TemplateSettings

_IMPERSONAL: Final = frozenset({ValueType.INTEGER, ValueType.FLOAT, ValueType.BOOLEAN})
"""Types that count as not personal where the SQL cannot be traced."""


def field_named_by(name: str) -> str | None:
    """The profile field of personal data that a column or attribute is named like.

    Identifiers do not count: every user is sent under one, whatever else is sent.
    """
    field = FIELDS.get(names.field_for(name) or "")
    return field.name if field is not None and field.pii and field.sendable else None


def why_personal(column: str, declared: Collection[str], lineage: Lineage) -> str | None:
    """Why a column of the customer attributes table is personal; None where nothing says so.

    Args:
        column: The column.
        declared: Columns that feed profile fields of personal data, or are marked `pii: true`.
        lineage: The lineage of the SQL that gives the column.
    """
    roots = {name_key(one) for one in declared}
    if name_key(column) in roots:
        return f"the column {column} feeds a profile field or is marked as personal"
    if field := field_named_by(column):
        return f"the column {column} is named like the profile field {field!r}"
    fed = {source for root in roots for source in lineage.values.get(root, ())}
    for table, source in lineage.content.get(name_key(column), ()):
        if (table, source) in fed or field_named_by(source):
            where = f"{table}.{source}" if table else source
            return f"the SQL makes the column {column} from {where}"
    return None


def is_traced(column: str, lineage: Lineage) -> bool:
    """Whether the lineage shows which source columns a column is made from."""
    return lineage.complete or name_key(column) in lineage.content


def decide_personal(t: TemplateSettings, lineage: Lineage) -> TemplateSettings:
    """The template, with ``pii`` decided for each attribute that its configuration leaves open.

    Where the SQL cannot be traced, text and dates are personal; numbers and booleans are not.
    """
    attributes = tuple(
        replace(
            a,
            pii_undecided=False,
            pii=why_personal(a.column, t.personal_columns, lineage) is not None
            or not (is_traced(a.column, lineage) or a.type in _IMPERSONAL),
        )
        if a.pii_undecided
        else a
        for a in t.attributes
    )
    return replace(t, attributes=attributes)
