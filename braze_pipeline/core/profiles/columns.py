"""How a column of the customer attributes table becomes one of Braze's types, in SQL.

What belongs here: the expressions of one attribute, by its declared type and the column's own. A
value that is canonical already, or needs arithmetic only, never leaves SQL; text that people
wrote is handed over to a reader (`normalise`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze import limits
from braze_pipeline.braze.fields import FIELDS
from braze_pipeline.braze.shapes import SHAPED_FIELDS
from braze_pipeline.core.profiles import numbers
from braze_pipeline.core.profiles.normalise import contact, places
from braze_pipeline.core.warehouse import literal, quote
from braze_pipeline.settings import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable

    from braze_pipeline.settings import AttributeSettings

_WHITE = literal(" \t\n\r\f\v\u00a0\u3000\ufeff")
_FIRST_DAY, _LAST_DAY = f"{limits.MIN_YEAR:04}-01-01", f"{limits.MAX_YEAR}-12-31"
_SPACES: Final = r"[\s\p{Z}]+"


@dataclass(frozen=True, kw_only=True)
class ColumnMapping:
    """The SQL of one attribute, over a row of the customer attributes table.

    Attributes:
        value: The canonical value where SQL can tell it, else NULL; of the attribute's type.
        problem: The code of what is wrong, else NULL; None where a reader decides.
        raw: The text for the reader, NULL where ``value`` holds; None where SQL does it all.
        kind: The reader.
        params: What reading depends on; None for a phone, whose region comes from the row.
        source: The column itself, for masks.
    """

    value: str
    source: str
    problem: str | None = None
    raw: str | None = None
    kind: str | None = None
    params: str | None = ""


def map_column(attribute: AttributeSettings, type_: str, *, time_zone: str) -> ColumnMapping:
    """The mapping of an attribute from a column of DuckDB type ``type_``."""
    column = quote(attribute.column)
    name = attribute.name if attribute.is_field else None
    if name in SHAPED_FIELDS:
        return _read(column, json_text(column, type_), "field", params=str(name))
    if name is not None and attribute.type is ValueType.STRING:
        return _text_field(name, column, type_)
    return _BY_TYPE[attribute.type](attribute, type_, time_zone)


def family(type_: str) -> str:
    """The sort of a DuckDB type: what its values have in common for a mapping."""
    bare = type_.upper()
    if bare.endswith("]"):
        return "list"
    if bare.startswith(("STRUCT", "MAP", "UNION")):
        return "struct"
    if bare.startswith("DECIMAL"):
        return "decimal"
    return _FAMILIES.get(bare, "other")


_FAMILIES: Final = {
    "VARCHAR": "text",
    "JSON": "json",
    "BOOLEAN": "boolean",
    "FLOAT": "double",
    "DOUBLE": "double",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "instant",
} | {
    f"{sign}{size}INT{end}": "integer"
    for sign in ("", "U")
    for size, end in (("TINY", ""), ("SMALL", ""), ("", "EGER"), ("BIG", ""), ("HUGE", ""))
}


def text(column: str, type_: str) -> str:
    """A column as text with no outer white space; blank text is no value."""
    return f"nullif(trim({_plain_text(column, type_)}, {_WHITE}), '')"


def json_text(column: str, type_: str) -> str:
    """A column as JSON text; blank text and JSON's null are no value."""
    if family(type_) in {"list", "struct"}:
        return f"to_json({column})::VARCHAR"
    return f"nullif(nullif(trim({column}::VARCHAR, {_WHITE}), ''), 'null')"


def _plain_text(column: str, type_: str) -> str:
    return f"({column} ->> '$')" if family(type_) == "json" else f"{column}::VARCHAR"


def _read(
    column: str, raw: str, kind: str, *, params: str | None = "", fast: str = "NULL"
) -> ColumnMapping:
    """A mapping that a reader completes: ``fast`` is tried first, NULL where it does not hold."""
    rest = raw if fast == "NULL" else f"CASE WHEN ({fast}) IS NULL THEN {raw} END"
    return ColumnMapping(value=fast, raw=rest, kind=kind, params=params, source=column)


def _string(attribute: AttributeSettings, type_: str, _: str) -> ColumnMapping:
    column = quote(attribute.column)
    value = _plain_text(column, type_)
    if family(type_) in {"list", "struct"}:
        wrong = f"{column} IS NOT NULL"
    elif family(type_) == "json":
        wrong = f"json_type({column}) IN ('OBJECT', 'ARRAY')"
    else:
        return ColumnMapping(value=value, problem="NULL", source=column)
    return ColumnMapping(
        value=f"CASE WHEN NOT ({wrong}) THEN {value} END",
        problem=f"CASE WHEN {wrong} THEN 'not_text' END",
        source=column,
    )


def _text_field(name: str, column: str, type_: str) -> ColumnMapping:
    raw = text(column, type_)
    codes = codes_of(name)
    if codes:
        listed = ", ".join(literal(code) for code in codes)
        return _read(column, raw, name, fast=f"CASE WHEN {raw} IN ({listed}) THEN {raw} END")
    if name == "email":
        good = (
            f"regexp_full_match({raw}, {literal(contact.FAST_EMAIL)}) AND length({raw}) <= 150 "
            f"AND NOT regexp_matches({raw}, {literal(contact.SLOW_EMAIL_ENDS)})"
        )
        return _read(column, raw, name, fast=f"CASE WHEN {good} THEN {raw} END")
    if name == "phone":
        good = f"regexp_full_match({raw}, {literal(contact.fast_phone())})"
        return _read(column, raw, name, params=None, fast=f"CASE WHEN {good} THEN {raw} END")
    squished = f"trim(regexp_replace({raw}, {literal(_SPACES)}, ' ', 'g'))"
    return ColumnMapping(
        value=raw if name == "image_url" or FIELDS[name].consent else squished,
        problem="NULL",
        source=column,
    )


def codes_of(name: str) -> tuple[str, ...]:
    """The codes there are for a profile field whose values are words for codes, else none."""
    match name:
        case "country":
            return places.country_codes()
        case "language":
            return places.language_codes()
        case "time_zone":
            return places.zone_names()
        case "gender":
            return FIELDS["gender"].allowed or ()
        case _:
            return ()


def _integer(attribute: AttributeSettings, type_: str, _: str) -> ColumnMapping:
    column = quote(attribute.column)
    value, problem = numbers.integer(column, text(column, type_), family(type_))
    return ColumnMapping(value=value, problem=problem, source=column)


def _float(attribute: AttributeSettings, type_: str, _: str) -> ColumnMapping:
    column = quote(attribute.column)
    value, problem = numbers.floating(
        column, text(column, type_), family(type_), attribute.precision
    )
    return ColumnMapping(value=value, problem=problem, source=column)


def _boolean(attribute: AttributeSettings, type_: str, _: str) -> ColumnMapping:
    column = quote(attribute.column)
    value, problem = numbers.boolean(column, text(column, type_), family(type_))
    return ColumnMapping(value=value, problem=problem, source=column)


def _object(attribute: AttributeSettings, type_: str, zone: str) -> ColumnMapping:
    column = quote(attribute.column)
    kind = "object" if attribute.type is ValueType.OBJECT else "objects"
    return _read(column, json_text(column, type_), kind, params=zone)


def _date(attribute: AttributeSettings, type_: str, zone: str) -> ColumnMapping:
    column, order = quote(attribute.column), attribute.date_order
    match family(type_):
        case "date" | "timestamp":
            day = f"{column}::DATE"
        case "instant":
            day = f"timezone({literal(zone)}, {column})::DATE"
        case _:
            raw = text(column, type_)
            iso = f"regexp_full_match({raw}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')"
            day = f"CASE WHEN {iso} THEN TRY_CAST({raw} AS DATE) END"
            good = f"({day}) BETWEEN DATE '{_FIRST_DAY}' AND DATE '{_LAST_DAY}'"
            return _read(column, raw, "date", params=order, fast=f"CASE WHEN {good} THEN {day} END")
    within = f"isfinite({column}) AND ({day}) BETWEEN DATE '{_FIRST_DAY}' AND DATE '{_LAST_DAY}'"
    return ColumnMapping(
        value=f"CASE WHEN {within} THEN {day} END",
        problem=f"CASE WHEN {column} IS NOT NULL AND NOT ({within}) THEN 'date_out_of_range' END",
        source=column,
    )


def _time(attribute: AttributeSettings, type_: str, zone: str) -> ColumnMapping:
    column = quote(attribute.column)
    utc = "timezone('UTC', {})"
    match family(type_):
        case "date":
            # A calendar day is its midnight in UTC, as Braze reads a date alone.
            moment = f"{column}::TIMESTAMP"
        case "timestamp":
            # A time with no zone is one of the brand's own clock.
            moment = utc.format(f"timezone({literal(zone)}, {column}::TIMESTAMP)")
        case "instant":
            moment = utc.format(column)
        case _:
            return _time_text(column, type_, f"{zone}|{attribute.date_order}")
    bounds = f"TIMESTAMP '{_FIRST_DAY}' AND TIMESTAMP '{_LAST_DAY} 23:59:59.999999'"
    within = f"isfinite({column}) AND ({moment}) BETWEEN {bounds}"
    return ColumnMapping(
        # Braze's formats have milliseconds.
        value=f"CASE WHEN {within} THEN date_trunc('millisecond', {moment}) END",
        problem=f"CASE WHEN {column} IS NOT NULL AND NOT ({within}) THEN 'time_out_of_range' END",
        source=column,
    )


def _time_text(column: str, type_: str, params: str) -> ColumnMapping:
    raw = text(column, type_)
    iso = r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?Z"
    moment = f"timezone('UTC', TRY_CAST({raw} AS TIMESTAMPTZ))"
    fast = f"CASE WHEN regexp_full_match({raw}, {literal(iso)}) THEN {moment} END"
    return _read(column, raw, "time", params=params, fast=fast)


def _array(attribute: AttributeSettings, type_: str, _: str) -> ColumnMapping:
    column, array_as = quote(attribute.column), attribute.array_as
    if family(type_) != "list":
        return _read(column, json_text(column, type_), "array", params=array_as)
    inner = family(re.sub(r"\[\d*\]$", "", type_))
    if inner in {"list", "struct", "json"}:
        wrong = f"CASE WHEN {column} IS NOT NULL THEN 'not_an_array' END"
        return ColumnMapping(value="NULL::VARCHAR[]", problem=wrong, source=column)
    items = f"{column}::VARCHAR[]"
    holes = f"len({items}) <> list_count({items})"
    unique = f"list_distinct({items})"
    if array_as == "set":
        value = f"list_sort({unique})"
    else:
        # Of equal elements the last stays, as in Braze; too many are left for the schema to judge.
        back = f"list_reverse({items})"
        ordered = (
            f"list_reverse(list_filter({back}, lambda item, n: list_position({back}, item) = n))"
        )
        value = (
            f"CASE WHEN len({unique}) = len({items}) OR len({unique}) > {limits.MAX_ARRAY} "
            f"THEN {items} ELSE {ordered} END"
        )
    return ColumnMapping(
        value=f"CASE WHEN NOT ({holes}) THEN {value} END",
        problem=f"CASE WHEN {holes} THEN 'array_has_null' END",
        source=column,
    )


_BY_TYPE: Final[dict[ValueType, Callable[[AttributeSettings, str, str], ColumnMapping]]] = {
    ValueType.STRING: _string,
    ValueType.INTEGER: _integer,
    ValueType.FLOAT: _float,
    ValueType.BOOLEAN: _boolean,
    ValueType.DATE: _date,
    ValueType.TIME: _time,
    ValueType.ARRAY: _array,
    ValueType.OBJECT: _object,
    ValueType.OBJECTS: _object,
}
