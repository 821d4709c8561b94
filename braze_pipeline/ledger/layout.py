"""The wide table of a ledger: one row a user, two columns an attribute.

==================  =============================================================================
user_id             the identifier, as sent
known               TRUE: Braze has the user. FALSE: it was asked and has not. NULL: unknown
known_how           list | lookup | export
known_at            when that became known (UTC)
value_K, ack_K      acknowledged value of attribute K, and the number of its acknowledgement
evaluated_J         newest day that template J evaluated for the user (``ledger.CURRENT``: the
                    newest that was carried out)
full_at_J           when template J's attributes were first, or last in full, acknowledged (UTC)
unconfirmed_J       TRUE: acknowledged while nobody knew whether Braze has the user
==================  =============================================================================

``columns`` has these names. Wide rather than long: measured in ``benchmarks/ledger.py``, and the
reasons are in ``docs/decisions``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from braze_pipeline.braze.fields import sendable
from braze_pipeline.ledger.columns import AttributeColumns, TemplateColumns
from braze_pipeline.ledger.ledger import Ledger, count
from braze_pipeline.ledger.moved import mark_sent_by_other_identifier, take_over_marks
from braze_pipeline.settings import ValueType
from braze_pipeline.storage import warehouse
from braze_pipeline.storage.sql_text import quote
from braze_pipeline.storage.transaction import transaction

if TYPE_CHECKING:
    from datetime import datetime

    from braze_pipeline.settings import AttributeSettings, TemplateSettings

_KIND = {
    ValueType.INTEGER: "number",
    ValueType.FLOAT: "number",
    ValueType.DATE: "time",
    ValueType.TIME: "time",
}
_WIDER = {"number": "DOUBLE", "time": "TIMESTAMP"}


@dataclass(frozen=True, kw_only=True)
class Column(AttributeColumns):
    """An attribute of a template, and where the ledger keeps it.

    Attributes:
        settings: The template's attribute.
        stored: DuckDB type of its value.
        first_time: Braze never acknowledged the name in this ledger.
        reset_ack: Acknowledgements up to this number no longer count.
        doubtful: Braze may have a value although there is no acknowledgement (``EVERYBODY``).
    """

    settings: AttributeSettings
    stored: str
    first_time: bool
    reset_ack: int | None
    doubtful: bool = False

    @property
    def reset(self) -> str | None:
        """Whether it is to be sent whatever user ``l`` of the ledger has; None: for nobody."""
        if self.reset_ack is None and not self.doubtful:
            return None
        return f"coalesce(l.{self.ack} <= {self.reset_ack or 0}, {str(self.doubtful).lower()})"

    @property
    def name(self) -> str:
        """The Braze name."""
        return self.settings.name

    @property
    def of_profile(self) -> str:
        """What the profile ``p`` has of it, as the ledger stores it.

        An empty array of objects counts as no value until Braze has acknowledged another one: as
        the first value of an attribute it would make Braze's type of it a plain array, and Braze
        would drop every object that follows.
        """
        value = f"p.{quote(self.name)}::{self.stored}"
        first_of_objects = self.first_time and self.settings.type is ValueType.OBJECTS
        return f"nullif({value}, '[]')" if first_of_objects else value


@dataclass(frozen=True, kw_only=True)
class BlockedAttribute:
    """An attribute of which nothing is sent.

    Attributes:
        reason: As the rejections have it.
        brief: The cause in a few words.
        text: The cause, and what to do.
    """

    name: str
    reason: str
    brief: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Layout(TemplateColumns):
    """Where a template's attributes are in its ledger.

    Attributes:
        columns: Attributes that can be sent, in the template's order.
        blocked: Attributes that cannot: their type changed, or Braze would lose the values.
        retired: Names of the last plan carried out that the template no longer has; Braze keeps
            their values.
    """

    ledger: Ledger
    columns: tuple[Column, ...]
    blocked: tuple[BlockedAttribute, ...]
    retired: tuple[str, ...]


def kind(type_: ValueType) -> str:
    """What Braze sees of a type: integers and floats are numbers, dates and instants are times.

    Source: Braze docs, "Custom attribute data types".
    """
    return _KIND.get(type_, type_.value)


def ensure_layout(
    ledger: Ledger,
    t: TemplateSettings,
    blocked_by_braze: Mapping[str, BlockedAttribute] = MappingProxyType({}),
) -> Layout:
    """Give each attribute of the template its column, and find the types that changed.

    ``blocked_by_braze`` are attributes that must not be sent in Braze's present state.
    """
    with transaction(ledger.con):
        _ensure_ledger(ledger, t)
        template_no, earlier = _ensure_template(ledger, t)
    known = known_attributes(ledger)
    stored = dict(warehouse.columns(ledger.con, ledger.users_table))
    columns: list[Column] = []
    blocked: list[BlockedAttribute] = []
    for attribute in sendable(t):
        if attribute.name in blocked_by_braze:
            blocked.append(blocked_by_braze[attribute.name])
            continue
        found = _ensure_attribute(ledger, attribute, known.get(attribute.name), stored)
        if isinstance(found, Column):
            columns.append(found)
        else:
            blocked.append(found)
    came = [c for c in columns if c.name not in earlier and not c.first_time]
    take_over_marks(ledger, template_no, came)
    doubtful = ledger.in_doubt_for_everybody()
    names = {attribute.name for attribute in t.attributes}
    return Layout(
        template_no=template_no,
        ledger=ledger,
        columns=tuple(replace(c, doubtful=c.no in doubtful) for c in columns),
        blocked=tuple(blocked),
        retired=tuple(sorted(set(earlier) - names)),
    )


def _ensure_ledger(ledger: Ledger, t: TemplateSettings) -> None:
    if not ledger.exists():
        ledger.con.execute(
            "INSERT INTO ledger.ledgers (ledger, destination, identifier, version) "
            "VALUES (?, ?, ?, 0)",
            [ledger.name, t.destination.name, t.destination.identifier],
        )
    ledger.con.execute(
        f"CREATE TABLE IF NOT EXISTS {ledger.users_table} (user_id VARCHAR, "
        "known BOOLEAN, known_how VARCHAR, known_at TIMESTAMP)"
    )


def _ensure_template(ledger: Ledger, t: TemplateSettings) -> tuple[int, Sequence[str]]:
    if (state := ledger.template(t.name)) is not None:
        return state.template_no, state.attributes
    return add_template(ledger, t.name), ()


def add_template(ledger: Ledger, name: str) -> int:
    """Give a template its columns; returns its number."""
    numbers = [state.template_no for state in ledger.templates()]
    new = TemplateColumns(template_no=1 + max(numbers, default=0))
    ledger.con.execute(
        "INSERT INTO ledger.templates (ledger, template, template_no, evaluations, attributes) "
        "VALUES (?, ?, ?, 0, [])",
        [ledger.name, name, new.template_no],
    )
    for column in (
        f"{new.evaluated} DATE", f"{new.full_at} TIMESTAMP", f"{new.unconfirmed} BOOLEAN",
    ):  # fmt: skip
        ledger.con.execute(f"ALTER TABLE {ledger.users_table} ADD COLUMN {column}")
    return new.template_no


class KnownAttribute(NamedTuple):
    """An attribute as ``ledger.attributes`` has it."""

    no: int
    type: str | None
    first_sent_at: datetime | None
    reset_ack: int | None


def known_attributes(ledger: Ledger) -> dict[str, KnownAttribute]:
    """What ``ledger.attributes`` has of each name."""
    rows = ledger.con.execute(
        "SELECT attribute, column_no, type, first_sent_at, reset_ack FROM ledger.attributes "
        "WHERE ledger = ?",
        [ledger.name],
    ).fetchall()
    return {name: KnownAttribute(*rest) for name, *rest in rows}


def _ensure_attribute(
    ledger: Ledger,
    attribute: AttributeSettings,
    known: KnownAttribute | None,
    stored_types: Mapping[str, str],
) -> Column | BlockedAttribute:
    if known is None:
        with transaction(ledger.con):
            no = add_attribute(ledger, attribute.name, attribute.type, attribute.type.duckdb)
            mark_sent_by_other_identifier(ledger, attribute.name)
        return Column(
            no=no, settings=attribute, stored=attribute.type.duckdb, first_time=True, reset_ack=None
        )
    column = Column(
        no=known.no, settings=attribute, stored="", first_time=known.first_sent_at is None,
        reset_ack=known.reset_ack,
    )  # fmt: skip
    stored, was = stored_types[column.value], known.type
    if was is None or (column.first_time and was != attribute.type):
        stored = _retype(ledger, column, stored)
    elif kind(ValueType(was)) != kind(attribute.type):
        return _type_changed(attribute, ValueType(was))
    elif stored != attribute.type.duckdb:
        stored = _widen(ledger, column, stored)
    return replace(column, stored=stored)


def _type_changed(attribute: AttributeSettings, was: ValueType) -> BlockedAttribute:
    return BlockedAttribute(
        name=attribute.name,
        reason="type_changed",
        brief=f"{was} to {attribute.type}",
        text=(
            f"{attribute.name} was sent to Braze as {was}; the template now declares it as "
            f"{attribute.type}. The attribute is not sent. To send it with the new type, change "
            "the type in Braze, then reset the attribute in the ledger."
        ),
    )


def add_attribute(ledger: Ledger, name: str, type_: str | None, stored: str) -> int:
    """Give an attribute its columns, the values with a type of DuckDB's; returns its number."""
    con, table = ledger.con, ledger.users_table
    no = 1 + count(
        con, "SELECT max(column_no) FROM ledger.attributes WHERE ledger = ?", [ledger.name]
    )
    con.execute(
        "INSERT INTO ledger.attributes (ledger, attribute, column_no, type) VALUES (?, ?, ?, ?)",
        [ledger.name, name, no, type_],
    )
    columns = AttributeColumns(no=no)
    con.execute(f"ALTER TABLE {table} ADD COLUMN {columns.value} {stored}")
    con.execute(f"ALTER TABLE {table} ADD COLUMN {columns.ack} INTEGER")
    return no


def _retype(ledger: Ledger, column: Column, stored: str) -> str:
    """A column of another type, with no values; the acknowledgements show who has an old value.

    After a reset the attribute has no type until Braze has acknowledged a value: until then the
    type may change once more.
    """
    con, table, wanted = ledger.con, ledger.users_table, column.settings.type
    with transaction(con):
        if stored != wanted.duckdb:
            con.execute(f"ALTER TABLE {table} DROP COLUMN {column.value}")
            con.execute(f"ALTER TABLE {table} ADD COLUMN {column.value} {wanted.duckdb}")
        con.execute(
            "UPDATE ledger.attributes SET type = ? "
            "WHERE ledger = ? AND column_no = ? AND type IS NOT NULL",
            [wanted.value, ledger.name, column.no],
        )
    return wanted.duckdb


def _widen(ledger: Ledger, column: Column, stored: str) -> str:
    """Integers become floats, dates become instants: to Braze these are one type."""
    wider = _WIDER[kind(column.settings.type)]
    if stored != wider:
        ledger.con.execute(f"ALTER TABLE {ledger.users_table} ALTER {column.value} TYPE {wider}")
    return wider
