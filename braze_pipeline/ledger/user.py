"""One user of the ledgers: what Braze acknowledged about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from braze_pipeline.ledger.columns import AttributeColumns, TemplateColumns
from braze_pipeline.ledger.ledger import CURRENT, Ledger
from braze_pipeline.settings import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """What Braze acknowledged of one attribute of a user; ``value`` is JSON text."""

    attribute: str
    value: str | None
    as_of: date | None
    acknowledged_at: datetime
    run_id: str | None
    how: str


@dataclass(frozen=True, kw_only=True)
class LedgerUser:
    """A user of a ledger.

    Attributes:
        known: Whether Braze has the user; None: unknown.
        unconfirmed: Acknowledged while that was unknown: planned in full again.
        evaluated: By template, the newest day that found the user up to date.
        refused_by: The templates for which Braze refused the user's last object.
    """

    ledger: str
    user_id: str
    known: bool | None
    unconfirmed: bool
    evaluated: dict[str, date] = field(default_factory=dict)
    entries: tuple[LedgerEntry, ...] = ()
    refused_by: tuple[str, ...] = ()


def find_user(
    ledger: Ledger, user_id: str, value_sql: Callable[[ValueType, str], str]
) -> LedgerUser | None:
    """What a ledger has of a user; None if it has no such user.

    ``value_sql`` makes JSON text of a value, by its type and its column. The values are real: for
    the operator's terminal only.
    """
    row = ledger.con.execute(
        f"SELECT known FROM {ledger.users_table} WHERE user_id = ?", [user_id]
    ).fetchone()
    if row is None:
        return None
    evaluated, unconfirmed = _by_template(ledger, user_id)
    refused = ledger.con.execute(
        "SELECT template FROM ledger.refused WHERE ledger = ? AND user_id = ? ORDER BY template",
        [ledger.name, user_id],
    ).fetchall()
    return LedgerUser(
        ledger=ledger.name,
        user_id=user_id,
        known=row[0],
        unconfirmed=unconfirmed,
        evaluated=evaluated,
        entries=_entries(ledger, user_id, value_sql),
        refused_by=tuple(name for (name,) in refused),
    )


def _entries(
    ledger: Ledger, user_id: str, value_sql: Callable[[ValueType, str], str]
) -> tuple[LedgerEntry, ...]:
    entries = []
    for name, number, type_ in ledger.con.execute(
        "SELECT attribute, column_no, type FROM ledger.attributes WHERE ledger = ? "
        "AND first_sent_at IS NOT NULL ORDER BY attribute",
        [ledger.name],
    ).fetchall():
        columns = AttributeColumns(no=number)
        value = value_sql(ValueType(type_ or "string"), f"l.{columns.value}")
        row = ledger.con.execute(
            f"SELECT {value}, k.as_of, k.acknowledged_at, k.run_id, k.how "
            f"FROM {ledger.users_table} l "
            f"JOIN ledger.acks k ON k.ack_no = l.{columns.ack} AND k.ledger = ? "
            "WHERE l.user_id = ?",
            [ledger.name, user_id],
        ).fetchone()
        if row is not None:
            entries.append(
                LedgerEntry(
                    attribute=name, value=row[0], as_of=row[1], acknowledged_at=row[2],
                    run_id=row[3], how=row[4],
                )
            )  # fmt: skip
    return tuple(entries)


def _by_template(ledger: Ledger, user_id: str) -> tuple[dict[str, date], bool]:
    evaluated, unconfirmed = {}, False
    for state in ledger.templates():
        c = TemplateColumns(template_no=state.template_no)
        day, current, unproven = ledger.con.execute(
            f"SELECT {c.evaluated}, {c.evaluated} = {CURRENT}, {c.unconfirmed} "
            f"FROM {ledger.users_table} WHERE user_id = ?",
            [user_id],
        ).fetchone() or (None, False, False)
        newest = state.as_of if current else day
        if newest is not None:
            evaluated[state.template] = newest
        unconfirmed = unconfirmed or bool(unproven)
    return evaluated, unconfirmed
