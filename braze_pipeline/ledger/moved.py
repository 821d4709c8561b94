"""Attributes that moved to another template, or out of every template and back.

Values belong to attributes, but what proves them belongs to templates: ``unconfirmed_J`` and
``full_at_J``. So a template takes over these marks with an attribute; a renamed template takes
over all of its attributes. And when a user is confirmed, values that no template vouches for are
forgotten. Until when a template had an attribute is a matter of ``watermarks``.

A destination's two identifiers name the same people in two ledgers, and neither knows who is who in
the other. So what one of them sends makes the other's values of that attribute worthless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from braze_pipeline.ledger import in_doubt
from braze_pipeline.ledger.columns import AttributeColumns, TemplateColumns
from braze_pipeline.ledger.ledger import Ledger, count

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

OTHER_IDENTIFIER = "other identifier"
"""Why values of a ledger are in doubt, or its plans outdated."""


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


def mark_sent_by_other_identifier(ledger: Ledger, name: str | None = None) -> None:
    """Of what Braze acknowledged in the destination's other ledger, this one knows no value.

    Args:
        ledger: One that has no values, or none of the attribute.
        name: The attribute; None: all of the ledger.
    """
    for other in _other_identifiers(ledger):
        rows = ledger.con.execute(
            "SELECT a.column_no FROM ledger.attributes a "
            "JOIN ledger.attributes o USING (attribute) "
            "WHERE a.ledger = $ledger AND o.ledger = $other AND o.first_sent_at IS NOT NULL "
            "AND a.attribute = coalesce($name, a.attribute)",
            {"ledger": ledger.name, "other": other.name, "name": name},
        ).fetchall()
        if rows:
            in_doubt.mark_for_everybody(ledger, OTHER_IDENTIFIER, [no for (no,) in rows])


def outdate_other_identifier(ledger: Ledger, names: Sequence[str]) -> None:
    """These attributes were sent now: the destination's other ledger sends them all again.

    What it will send again anyway is left alone: its plans would be outdated every day.
    """
    for other in _other_identifiers(ledger):
        if outdated := _outdated(other, names):
            ledger.con.execute(
                "UPDATE ledger.attributes SET reset_ack = ? "
                "WHERE ledger = ? AND list_contains(?::INTEGER[], column_no)",
                [other.last_ack_no(), other.name, outdated],
            )
            in_doubt.mark_for_everybody(other, OTHER_IDENTIFIER, outdated)
            other.record_change(OTHER_IDENTIFIER, None)


def would_outdate(ledger: Ledger, names: Sequence[str]) -> list[str]:
    """The destination's other ledgers that send attributes again once one of these is sent."""
    return [other.name for other in _other_identifiers(ledger) if _outdated(other, names)]


def _outdated(other: Ledger, names: Sequence[str]) -> list[int]:
    in_doubt_already = other.in_doubt_for_everybody()
    rows = other.con.execute(
        "SELECT column_no, coalesce(reset_ack, 0) FROM ledger.attributes "
        "WHERE ledger = ? AND list_contains(?::VARCHAR[], attribute)",
        [other.name, list(names)],
    ).fetchall()
    return [
        no
        for no, reset_ack in rows
        if no not in in_doubt_already
        or count(
            other.con,
            f"SELECT count(*) FROM {other.users_table} "
            f"WHERE {AttributeColumns(no=no).ack} > {reset_ack}",
        )
    ]


def _other_identifiers(ledger: Ledger) -> list[Ledger]:
    rows = ledger.con.execute(
        "SELECT o.ledger FROM ledger.ledgers l JOIN ledger.ledgers o USING (destination) "
        "WHERE l.ledger = ? AND o.ledger <> l.ledger",
        [ledger.name],
    ).fetchall()
    return [Ledger(ledger.con, name) for (name,) in rows]
