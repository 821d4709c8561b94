"""Attributes that moved to another template, or out of every template and back.

Values belong to attributes, but what proves them belongs to templates: ``unconfirmed_J`` and
``full_at_J``. So a template takes over these marks with an attribute; a renamed template takes
over all of its attributes. And when a user is confirmed, values that no template vouches for are
forgotten. Until when a template had an attribute is a matter of ``watermarks``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.ledger.columns import AttributeColumns, TemplateColumns

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from braze_pipeline.ledger.ledger import Ledger


def take_over_marks(ledger: Ledger, template_no: int, columns: Sequence[AttributeColumns]) -> None:
    """Give a template the marks of all others, for users who have a value of these attributes.

    Otherwise values that Braze may have ignored would count as confirmed for good. It may be
    repeated until a plan with the attributes is carried out: the price is one more full object for
    users who were unconfirmed.
    """
    own = TemplateColumns(template_no=template_no)
    others = [
        TemplateColumns(template_no=state.template_no)
        for state in ledger.templates()
        if state.template_no != template_no
    ]
    if not columns or not others:
        return
    unconfirmed = " OR ".join(f"{other.unconfirmed} IS TRUE" for other in others)
    full_at = f"greatest({', '.join(other.full_at for other in others)})"
    ledger.con.execute(
        f"""
        UPDATE {ledger.users_table}
        SET {own.unconfirmed} = CASE WHEN {unconfirmed} THEN true ELSE {own.unconfirmed} END,
            {own.full_at} = coalesce({own.full_at}, {full_at})
        WHERE ({" OR ".join(f"{c.ack} IS NOT NULL" for c in columns)})
            AND (({own.unconfirmed} IS NOT TRUE AND ({unconfirmed}))
                OR ({own.full_at} IS NULL AND {full_at} IS NOT NULL))
        """
    )


def columns_of_no_template(
    ledger: Ledger, template_no: int, names: Collection[str]
) -> list[AttributeColumns]:
    """The attributes that neither a plan with these names has, nor any other template."""
    taken = set(names).union(
        *(state.attributes for state in ledger.templates() if state.template_no != template_no)
    )
    rows = ledger.con.execute(
        "SELECT attribute, column_no FROM ledger.attributes WHERE ledger = ? ORDER BY column_no",
        [ledger.name],
    ).fetchall()
    return [AttributeColumns(no=no) for name, no in rows if name not in taken]
