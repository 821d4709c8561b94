"""Under which name and type each column would be sent, and what only a person can decide."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from braze_pipeline.attributes.personal import field_named_by
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.names import check_name, comparison_key, field_for
from braze_pipeline.errors import UsageError
from braze_pipeline.operations.scaffold.names import contains, is_named, words_of
from braze_pipeline.operations.scaffold.table import Table, TableColumn
from braze_pipeline.settings import CUSTOMER, ValueType
from braze_pipeline.storage.sql_text import has_fraction

_TYPES: Final = {
    "integer": ValueType.INTEGER,
    "decimal": ValueType.FLOAT,
    "double": ValueType.FLOAT,
    "boolean": ValueType.BOOLEAN,
    "date": ValueType.DATE,
    "timestamp": ValueType.TIME,
    "instant": ValueType.TIME,
    "struct": ValueType.OBJECT,
}
_COMMA: Final = """-- 1.234,56 is read as 1234.56
    CASE
        WHEN regexp_full_match(trim({0}), '[+-]?([0-9]+|[0-9]{{1,3}}(\\.[0-9]{{3}})+)(,[0-9]+)?')
            THEN replace(replace({0}, '.', ''), ',', '.')
        ELSE {0}
    END"""

Kind = Literal["identifier", "field", "custom", "consent", "not sent", "secret"]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What would happen to a column.

    Attributes:
        column: The column.
        kind: ``consent`` and ``not sent`` are in the SQL only, and ``secret`` not even there.
        alias: Its name in the SQL.
        expression: What the SQL selects.
        name: Its name in Braze.
        options: Further keys of the attribute.
        notes: Why, where that is not plain.
        decide: What a person has to decide.
    """

    column: TableColumn
    kind: Kind
    alias: str
    expression: str
    name: str = ""
    options: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()


def propose(table: Table) -> tuple[Proposal, ...]:
    """A proposal for each column, the identifier first.

    Raises:
        UsageError: no column identifies a customer, or none is left to send.
    """
    key = _identifier_of(table)
    proposals = [_identifier(key, table)]
    used: set[str] = set()
    for column in table.columns:
        if column is not key:
            proposals.append(_with_usable_name(_proposal(column, used), used))
            used.add(comparison_key(proposals[-1].name))
    if not any(one.kind in {"field", "custom"} for one in proposals):
        raise UsageError(
            f"{table.name} has no column to send: only {key.sql}, by which users are found"
            f"{' and columns of consent, which Braze owns' if len(proposals) > 1 else ''}.",
            fix="Give a table with one row per customer and the columns that Braze should have.",
        )
    return tuple(proposals)


def _identifier_of(table: Table) -> TableColumn:
    """The column that most probably identifies a customer."""

    def rank(column: TableColumn) -> tuple[bool, ...]:
        shape = column.shape
        contact = shape.has_email or shape.phone or field_for(column.name) in {"email", "phone"}
        return (
            is_named(column.name, "identifier") or field_for(column.name) == "external_id",
            _is_key(column, table) and column.family in {"text", "integer", "other"},
            _sounds_like_an_id(column.name),
            not contact,
            column.family != "text" or shape.whole or table.rows == 0,
        )

    columns = table.columns
    choice = (
        [c for c in columns if rank(c)[0]]
        or [c for c in columns if _is_key(c, table)]
        or [c for c in columns if _sounds_like_an_id(c.name)]
    )
    if not choice:
        raise UsageError(
            f"{table.name} has no column that identifies a customer: in each, values are missing "
            "or occur in several rows.",
            fix="Give a table with one row per customer and a column with their id. If rows repeat "
            "an id, name its column customer_id: init then says how to keep one row of each.",
        )
    # The first of those that are equally good.
    return max(choice, key=rank)


def _sounds_like_an_id(name: str) -> bool:
    endings = ("id", "nr", "no", "number", "nummer", "key")
    return words_of(name)[:1] == ["id"] or "".join(words_of(name)).endswith(endings)


def _is_key(column: TableColumn, table: Table) -> bool:
    return column.shape.filled == column.shape.different == table.rows


def _identifier(column: TableColumn, table: Table) -> Proposal:
    decide = [f"the external_id of your users in Braze must be this id. Is it {column.sql}?"]
    if column.shape.has_email:
        decide.append(
            "an e-mail address changes and an external_id cannot, so a customer with a new address "
            "would be a new user. Use an id of your own if you have one."
        )
    expression = column.sql
    if has_fraction(column.type):
        expression = f"{column.sql}::BIGINT"
        decide.append(f"the ids are {column.type} in the table. Are all of them whole numbers?")
    if lacking := table.rows - column.shape.filled:
        decide.append(
            f"{lacking:,} of {table.rows:,} rows have no id, which stops every run. Exclude them: "
            f"WHERE {column.sql} IS NOT NULL."
        )
    if repeated := column.shape.filled - column.shape.different:
        decide.append(
            f"{repeated:,} of {table.rows:,} rows repeat an id, which stops every run. Keep one "
            "row per customer, such as the newest: QUALIFY row_number() OVER (PARTITION BY "
            f"{column.sql} ORDER BY ... DESC) = 1."
        )
    if not table.rows:
        decide.append("the table has no rows yet, so the types below are guesses by name.")
    return Proposal(
        column=column,
        kind="identifier",
        alias=CUSTOMER,
        expression=expression,
        decide=tuple(decide),
    )


def _proposal(column: TableColumn, used: set[str]) -> Proposal:
    known = field_for(column.name)
    plain = FIELDS.get(known or "")
    unsent = Proposal(column=column, kind="not sent", alias=column.alias, expression=column.sql)
    if (plain and plain.consent) or _is_consent(column):
        return replace(unsent, kind="consent")
    if contains(column.name, "secret"):
        why = "by its name a password or a payment card, so the SQL leaves it out"
        return replace(unsent, kind="secret", notes=(why,))
    if why := _unsendable(column, known):
        return replace(unsent, notes=(why,))
    if plain and plain.sendable and known and _fits(column, plain.type):
        if comparison_key(known) not in used:
            return _profile_field(column, known)
        return _custom(column, f"{known} is taken by another column.")
    return _custom(column)


def _is_consent(column: TableColumn) -> bool:
    name = column.name
    if contains(name, "consent") or contains(name, "refusal"):
        return True
    if column.family == "boolean" or column.shape.yes_no:
        return contains(name, "channel") and not contains(name, "count")
    if column.family in {"integer", "decimal", "double"} or column.shape.decimal:
        return False
    if is_named(name, "channel"):
        return field_for(name) is None and not column.shape.has_email
    return contains(name, "channel") and contains(name, "may send")


def _with_usable_name(one: Proposal, used: Collection[str]) -> Proposal:
    """The proposal, or none to send where the configuration would refuse its name."""
    why = ""
    if one.name and comparison_key(one.name) in used:
        why = f"another column is named like {one.name!r}, too"
    elif one.kind == "custom":
        problems = [found.message for found in check_name(one.name) if not found.optional]
        why = problems[0].rstrip(".") if problems else ""
    return replace(one, kind="not sent", name="", notes=(why,), decide=()) if why else one


def _unsendable(column: TableColumn, known: str | None) -> str:
    if column.family == "binary":
        return "bytes"
    return "an identifier" if known in FIELDS and FIELDS[str(known)].identifier else ""


def _fits(column: TableColumn, type_: ValueType) -> bool:
    """Whether a column can hold the values of a profile field."""
    if type_ in {ValueType.OBJECT, ValueType.OBJECTS}:
        return column.family in {"struct", "list"}
    if type_ is ValueType.TIME:
        return column.family in {"timestamp", "instant"}
    return column.family in {"text", "date", "timestamp", "integer", "boolean", "other"}


def _profile_field(column: TableColumn, name: str) -> Proposal:
    options, decide = _dates(column) if FIELDS[name].type is ValueType.DATE else ({}, ())
    return Proposal(
        column=column,
        kind="field",
        alias=column.alias,
        expression=column.sql,
        name=name,
        options=options,
        decide=decide,
    )


def _custom(column: TableColumn, *notes: str) -> Proposal:
    name = _title(column)
    type_, expression, decide = _value(column)
    options: dict[str, object] = {"type": type_.value}
    if type_ is ValueType.DATE:
        dates, more = _dates(column)
        options |= dates
        decide += more
    if any(problem.optional for problem in check_name(name)):
        options["custom"] = True
    if _is_personal(column):
        options["pii"] = True
    return Proposal(
        column=column,
        kind="custom",
        alias=column.alias,
        expression=expression,
        name=name,
        options=options,
        notes=notes,
        decide=decide,
    )


def _value(column: TableColumn) -> tuple[ValueType, str, tuple[str, ...]]:
    """The type of a custom attribute, how the SQL reads it, and what to decide."""
    expression, shape = column.sql, column.shape
    if column.family == "list":
        objects = column.type.upper().startswith(("STRUCT", "MAP"))
        return ValueType.OBJECTS if objects else ValueType.ARRAY, expression, ()
    if column.family in _TYPES:
        return _TYPES[column.family], expression, ()
    if column.family != "text":
        return ValueType.STRING, f"{expression}::VARCHAR", ()
    if not shape.filled:
        return (
            ValueType.STRING,
            expression,
            ("the column is empty in the rows looked at: which type?",),
        )
    if column.is_raw and shape.zero_or_one:
        return ValueType.INTEGER, expression, ("only 0 and 1: is it a number, or `type: boolean`?",)
    if column.is_raw and shape.comma:
        return ValueType.FLOAT, _COMMA.format(expression), ()
    forms = {
        ValueType.INTEGER: column.is_raw and shape.whole,
        ValueType.FLOAT: column.is_raw and shape.decimal,
        ValueType.BOOLEAN: column.is_raw and shape.boolean,
        ValueType.DATE: shape.iso_date or shape.year_last,
        ValueType.TIME: shape.iso_time,
    }
    return next((one for one, fits in forms.items() if fits), ValueType.STRING), expression, ()


def _dates(column: TableColumn) -> tuple[dict[str, object], tuple[str, ...]]:
    """How to read 03/04/1990 in a column, if its values show it."""
    shape = column.shape
    if not shape.year_last:
        return {}, ()
    if shape.day_first and not shape.day_second:
        return {"date_order": "dmy"}, ()
    if shape.day_second and not shape.day_first:
        return {"date_order": "mdy"}, ()
    return {}, ("03/04/1990 may be March or April: add `date_order: dmy` or `mdy`.",)


def _title(column: TableColumn) -> str:
    """The name of a custom attribute: as in the table, or in words if that has only underscores."""
    words = " ".join(unicodedata.normalize("NFKC", column.name).split())
    if words == words.lower() and " " not in words:
        words = " ".join(word.capitalize() for word in words.replace("_", " ").split())
    problems = [one for one in check_name(words) if not one.optional]
    return column.alias if problems or not words else words


def _is_personal(column: TableColumn) -> bool:
    return (
        field_named_by(column.name) is not None
        or contains(column.name, "personal")
        or is_named(column.name, "personal alone")
        or column.shape.has_email
        or column.shape.phone
    )


def of_kind(proposals: Sequence[Proposal], *kinds: Kind) -> list[Proposal]:
    """The proposals of some kinds, in order."""
    return [one for one in proposals if one.kind in kinds]
