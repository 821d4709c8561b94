"""What a person sees of the profiles: the rules in words, and some rows as masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.braze.fields import FIELDS, sendable
from braze_pipeline.braze.values import TYPE_WORDS
from braze_pipeline.profiles.profile_store import TABLE
from braze_pipeline.profiles.schema import rules_of
from braze_pipeline.storage.masking import mask_sql
from braze_pipeline.storage.warehouse import quote

if TYPE_CHECKING:
    from datetime import date

    import duckdb

    from braze_pipeline.settings import AttributeSettings, TemplateSettings


def rule_for(attribute: AttributeSettings) -> str:
    """What a value must be to leave."""
    words = (
        FIELDS[attribute.name].rule
        if attribute.is_field
        else "; ".join([TYPE_WORDS[attribute.type], *(rule.words for rule in rules_of(attribute))])
    )
    more = []
    if attribute.required:
        more.append("required")
    if attribute.precision is not None:
        more.append(f"rounded to {attribute.precision} places")
    return "; ".join([words, *more])


def preview(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date, rows: int = 5
) -> list[dict[str, str | None]]:
    """Some profiles as a person may see them: identifiers and personal data as masks."""
    shown = [f"{mask_sql('__user_id')} AS {quote(t.destination.identifier)}"]
    for attribute in sendable(t):
        name = quote(attribute.name)
        value = mask_sql(name) if attribute.pii else f"{name}::VARCHAR"
        shown.append(f"{value} AS {name}")
    # Chosen first: only what is shown needs a mask.
    found = con.execute(
        f"SELECT {', '.join(shown)} FROM (SELECT * FROM {t.table(TABLE)} WHERE __as_of = ? "
        f"ORDER BY hash(__user_id) LIMIT {rows})",
        [as_of],
    )
    names = [str(column[0]) for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
