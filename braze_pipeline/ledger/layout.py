"""The wide table of a ledger: one row a user, two columns an attribute.

==================  =============================================================================
user_id             the identifier, as sent
known               TRUE: Braze has the user. FALSE: it was asked and has not. NULL: nobody knows
known_how           list | lookup | export
known_at            when that became known (UTC)
v{k}, a{k}          acknowledged value of attribute k, and the number of its acknowledgement
s{j}                newest day that template j evaluated for the user (``tables.CURRENT``: the
                    newest that was carried out)
f{j}                when template j's attributes were first, or last in full, acknowledged (UTC)
u{j}                TRUE: unconfirmed: acknowledged while nobody knew whether Braze has the user
==================  =============================================================================

Wide rather than long: measured in ``benchmarks/ledger.py`` and told in ``docs/decisions``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from braze_pipeline.braze.fields import sendable
from braze_pipeline.ledger import tables
from braze_pipeline.settings import ValueType
from braze_pipeline.storage import warehouse

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

    from braze_pipeline.settings import AttributeSettings, TemplateSettings

_KIND = {
    ValueType.INTEGER: "number",
    ValueType.FLOAT: "number",
    ValueType.DATE: "time",
    ValueType.TIME: "time",
}
_WIDER = {"number": "DOUBLE", "time": "TIMESTAMP"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """An attribute of a template, and where the ledger keeps it.

    Attributes:
        no: The column number k.
        settings: The template's attribute.
        stored: DuckDB type of v{k}.
        new: Braze never acknowledged the name in this ledger.
        reset_ack: Acknowledgements up to this number no longer count.
    """

    no: int
    settings: AttributeSettings
    stored: str
    new: bool
    reset_ack: int | None

    @property
    def name(self) -> str:
        """The Braze name."""
        return self.settings.name


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
class Layout:
    """Where a template's attributes lie in its ledger.

    Attributes:
        ledger: The ledger's name.
        template_no: The number j of the template.
        columns: Attributes that can be sent, in the template's order.
        stopped: Attributes that cannot: their type changed, or Braze would lose the values.
        retired: Names of the last plan carried out that the template no longer has; Braze keeps
            their values.
    """

    ledger: str
    template_no: int
    columns: tuple[Column, ...]
    stopped: tuple[BlockedAttribute, ...]
    retired: tuple[str, ...]


def kind(type_: ValueType) -> str:
    """What Braze sees of a type: integers and floats are numbers, dates and instants are times.

    Source: Braze docs, "Custom attribute data types".
    """
    return _KIND.get(type_, type_.value)


def ensure_layout(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    stopped_by_braze: Mapping[str, BlockedAttribute] = MappingProxyType({}),
) -> Layout:
    """Give each attribute of the template its column, and find the types that changed.

    ``stopped_by_braze`` are attributes that must not be sent as Braze stands now.
    """
    ledger = tables.ledger_name(t)
    with tables.transaction(con):
        _ensure_ledger(con, t, ledger)
        template_no, earlier = _ensure_template(con, t, ledger)
    known = _known(con, ledger)
    stored = dict(warehouse.columns(con, tables.wide(ledger)))
    columns: list[Column] = []
    stopped: list[BlockedAttribute] = []
    for attribute in sendable(t):
        if attribute.name in stopped_by_braze:
            stopped.append(stopped_by_braze[attribute.name])
            continue
        found = _ensure_attribute(con, ledger, attribute, known.get(attribute.name), stored)
        if isinstance(found, Column):
            columns.append(found)
        else:
            stopped.append(found)
    names = {attribute.name for attribute in t.attributes}
    return Layout(
        ledger=ledger,
        template_no=template_no,
        columns=tuple(columns),
        stopped=tuple(stopped),
        retired=tuple(sorted(set(earlier) - names)),
    )


def _ensure_ledger(con: duckdb.DuckDBPyConnection, t: TemplateSettings, ledger: str) -> None:
    if ledger not in tables.ledgers(con):
        con.execute(
            "INSERT INTO ledger.ledgers (ledger, destination, identifier, version) "
            "VALUES (?, ?, ?, 0)",
            [ledger, t.destination.name, t.destination.identifier],
        )
    con.execute(
        f"CREATE TABLE IF NOT EXISTS {tables.wide(ledger)} (user_id VARCHAR, "
        "known BOOLEAN, known_how VARCHAR, known_at TIMESTAMP)"
    )


def _ensure_template(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, ledger: str
) -> tuple[int, Sequence[str]]:
    row = con.execute(
        "SELECT template_no, attributes FROM ledger.templates WHERE ledger = ? AND template = ?",
        [ledger, t.name],
    ).fetchone()
    if row is not None:
        return int(row[0]), row[1]
    number = 1 + tables.count(
        con, "SELECT max(template_no) FROM ledger.templates WHERE ledger = ?", [ledger]
    )
    con.execute(
        "INSERT INTO ledger.templates (ledger, template, template_no, evaluations, attributes) "
        "VALUES (?, ?, ?, 0, [])",
        [ledger, t.name, number],
    )
    for column in (f"s{number} DATE", f"f{number} TIMESTAMP", f"u{number} BOOLEAN"):
        con.execute(f"ALTER TABLE {tables.wide(ledger)} ADD COLUMN {column}")
    return number, ()


class _Known(NamedTuple):
    """An attribute as ``ledger.attributes`` has it."""

    number: int
    type: str | None
    first_sent_at: datetime | None
    reset_ack: int | None


def _known(con: duckdb.DuckDBPyConnection, ledger: str) -> dict[str, _Known]:
    rows = con.execute(
        "SELECT attribute, column_no, type, first_sent_at, reset_ack FROM ledger.attributes "
        "WHERE ledger = ?",
        [ledger],
    ).fetchall()
    return {name: _Known(*rest) for name, *rest in rows}


def _ensure_attribute(
    con: duckdb.DuckDBPyConnection,
    ledger: str,
    attribute: AttributeSettings,
    known: _Known | None,
    stored_types: Mapping[str, str],
) -> Column | BlockedAttribute:
    if known is None:
        number = _add_attribute(con, ledger, attribute)
        return _column(attribute, number, attribute.type.duckdb, new=True, reset_ack=None)
    number, was = known.number, known.type
    never = known.first_sent_at is None
    stored = stored_types[f"v{number}"]
    if was is None or (never and was != attribute.type):
        stored = _retype(con, ledger, attribute, number, stored)
    elif kind(ValueType(was)) != kind(attribute.type):
        return _type_changed(attribute, ValueType(was))
    elif stored != attribute.type.duckdb:
        stored = _widen(con, ledger, number, stored, _WIDER[kind(attribute.type)])
    return _column(attribute, number, stored, new=never, reset_ack=known.reset_ack)


def _type_changed(attribute: AttributeSettings, was: ValueType) -> BlockedAttribute:
    return BlockedAttribute(
        name=attribute.name,
        reason="type_changed",
        brief=f"{was} to {attribute.type}",
        text=(
            f"Braze has {attribute.name} as {was}; the template now says {attribute.type}. Nothing "
            "of it is sent. To send it anew: change the type in Braze, then reset the attribute "
            "in the ledger."
        ),
    )


def _column(
    attribute: AttributeSettings, number: int, stored: str, *, new: bool, reset_ack: int | None
) -> Column:
    return Column(no=number, settings=attribute, stored=stored, new=new, reset_ack=reset_ack)


def _add_attribute(
    con: duckdb.DuckDBPyConnection, ledger: str, attribute: AttributeSettings
) -> int:
    wide = tables.wide(ledger)
    with tables.transaction(con):
        number = 1 + tables.count(
            con, "SELECT max(column_no) FROM ledger.attributes WHERE ledger = ?", [ledger]
        )
        con.execute(
            "INSERT INTO ledger.attributes (ledger, attribute, column_no, type) "
            "VALUES (?, ?, ?, ?)",
            [ledger, attribute.name, number, attribute.type.value],
        )
        con.execute(f"ALTER TABLE {wide} ADD COLUMN v{number} {attribute.type.duckdb}")
        con.execute(f"ALTER TABLE {wide} ADD COLUMN a{number} INTEGER")
    return number


def _retype(
    con: duckdb.DuckDBPyConnection,
    ledger: str,
    attribute: AttributeSettings,
    number: int,
    stored: str,
) -> str:
    """A column of another type, with no values; a{k} still tells who has an old value."""
    wide, wanted = tables.wide(ledger), attribute.type.duckdb
    with tables.transaction(con):
        if stored != wanted:
            con.execute(f"ALTER TABLE {wide} DROP COLUMN v{number}")
            con.execute(f"ALTER TABLE {wide} ADD COLUMN v{number} {wanted}")
        con.execute(
            "UPDATE ledger.attributes SET type = ? WHERE ledger = ? AND column_no = ?",
            [attribute.type.value, ledger, number],
        )
    return wanted


def _widen(
    con: duckdb.DuckDBPyConnection, ledger: str, number: int, stored: str, wider: str
) -> str:
    """Integers become floats, dates become instants: to Braze these are one type."""
    if stored != wider:
        con.execute(f"ALTER TABLE {tables.wide(ledger)} ALTER v{number} TYPE {wider}")
    return wider
