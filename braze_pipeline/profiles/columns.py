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
from braze_pipeline.profiles import numbers
from braze_pipeline.profiles.normalise import contact, places
from braze_pipeline.settings import ValueType
from braze_pipeline.storage.warehouse import family, literal, quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from braze_pipeline.settings import AttributeSettings

_WHITE = literal(" \t\n\r\f\v\u00a0\u3000\ufeff")
_FIRST_DAY, _LAST_DAY = f"{limits.MIN_YEAR:04}-01-01", f"{limits.MAX_YEAR}-12-31"
_SPACES: Final = r"[\s\v\x{85}\x{feff}\p{Z}]+"


@dataclass(frozen=True, kw_only=True)
class ColumnMapping:
    """The SQL of one attribute.

    Attributes:
        text: The source as text or JSON text, over a row of the customer attributes table; None
            where nothing is read as text. ``value`` and ``problem`` may refer to it by the name
            that `Source.text` gives, so that it is computed once.
        value: The canonical value where SQL can tell it, else NULL; of the attribute's type.
        problem: The code of what is wrong, else NULL; None where a reader decides on the text.
        kind: The reader of texts for which ``value`` is NULL; None where SQL does it all.
        params: What reading depends on; None for a phone, whose region comes from the row.
    """

    value: str
    text: str | None = None
    problem: str | None = None
    kind: str | None = None
    params: str | None = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A column that is to become an attribute.

    Attributes:
        attribute: The attribute.
        type: The column's DuckDB type.
        number: The attribute's number in the temporary tables.
        zone: The time zone of the brand's clock.
    """

    attribute: AttributeSettings
    type: str
    number: int
    zone: str

    @property
    def column(self) -> str:
        """The column as SQL."""
        return quote(self.attribute.column)

    @property
    def family(self) -> str:
        """The sort of the column's type."""
        return family(self.type)

    @property
    def text(self) -> str:
        """The name by which the column's text is known once it was computed."""
        return f"__t{self.number}"

    def plain(self) -> str:
        """The expression of that text, for what people wrote."""
        return text(self.column, self.type)

    def json(self) -> str:
        """The expression of that text, for nested values."""
        return json_text(self.column, self.type)


def map_column(source: Source) -> ColumnMapping:
    """How a column becomes its attribute."""
    attribute = source.attribute
    if attribute.is_field and attribute.name in SHAPED_FIELDS:
        return ColumnMapping(value="NULL", text=source.json(), kind="field", params=attribute.name)
    if attribute.is_field and attribute.type is ValueType.STRING:
        return _text_field(source)
    return _BY_TYPE[attribute.type](source)


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


def _string(source: Source) -> ColumnMapping:
    value = _plain_text(source.column, source.type)
    if source.family in {"list", "struct"}:
        wrong = f"{source.column} IS NOT NULL"
    elif source.family == "json":
        wrong = f"json_type({source.column}) IN ('OBJECT', 'ARRAY')"
    else:
        return ColumnMapping(value=value, problem="NULL")
    return ColumnMapping(
        value=f"CASE WHEN NOT ({wrong}) THEN {value} END",
        problem=f"CASE WHEN {wrong} THEN 'not_text' END",
    )


def _text_field(source: Source) -> ColumnMapping:
    raw, name = source.text, source.attribute.name
    codes = codes_of(name)
    if codes:
        listed = ", ".join(literal(code) for code in codes)
        value = f"CASE WHEN {raw} IN ({listed}) THEN {raw} END"
        return ColumnMapping(value=value, text=source.plain(), kind=name)
    if name == "email":
        good = (
            f"regexp_full_match({raw}, {literal(contact.FAST_EMAIL)}) AND length({raw}) <= 150 "
            f"AND NOT regexp_matches({raw}, {literal(contact.SLOW_EMAIL_ENDS)})"
        )
        value = f"CASE WHEN {good} THEN {raw} END"
        return ColumnMapping(value=value, text=source.plain(), kind=name)
    if name == "phone":
        good = f"regexp_full_match({raw}, {literal(contact.fast_phone())})"
        value = f"CASE WHEN {good} THEN {raw} END"
        return ColumnMapping(value=value, text=source.plain(), kind=name, params=None)
    value = raw
    if name != "image_url":
        value = f"nullif(trim(regexp_replace({raw}, {literal(_SPACES)}, ' ', 'g')), '')"
    return ColumnMapping(value=value, text=source.plain(), problem="NULL")


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


def _integer(source: Source) -> ColumnMapping:
    value, problem = numbers.integer(source.column, source.text, source.family)
    return ColumnMapping(value=value, problem=problem, text=source.plain())


def _float(source: Source) -> ColumnMapping:
    column = source.column
    if source.type == "FLOAT":
        # As it is written: 1.1 is 1.10000002384185791015625 as a double.
        column = f"{column}::VARCHAR::DOUBLE"
    value, problem = numbers.floating(
        column, source.text, source.family, source.attribute.precision
    )
    return ColumnMapping(value=value, problem=problem, text=source.plain())


def _boolean(source: Source) -> ColumnMapping:
    value, problem = numbers.boolean(source.column, source.text, source.family)
    return ColumnMapping(value=value, problem=problem, text=source.plain())


def _object(source: Source) -> ColumnMapping:
    kind = "object" if source.attribute.type is ValueType.OBJECT else "objects"
    return ColumnMapping(value="NULL", text=source.json(), kind=kind, params=source.zone)


def _date(source: Source) -> ColumnMapping:
    column, raw = source.column, source.text
    match source.family:
        case "date" | "timestamp":
            day = f"{column}::DATE"
        case "instant":
            day = f"timezone({literal(source.zone)}, {column})::DATE"
        case _:
            iso = f"regexp_full_match({raw}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')"
            day = f"CASE WHEN {iso} THEN TRY_CAST({raw} AS DATE) END"
            good = f"({day}) BETWEEN DATE '{_FIRST_DAY}' AND DATE '{_LAST_DAY}'"
            return ColumnMapping(
                value=f"CASE WHEN {good} THEN {day} END",
                text=source.plain(),
                kind="date",
                params=source.attribute.date_order,
            )
    within = f"isfinite({column}) AND ({day}) BETWEEN DATE '{_FIRST_DAY}' AND DATE '{_LAST_DAY}'"
    return ColumnMapping(
        value=f"CASE WHEN {within} THEN {day} END",
        problem=f"CASE WHEN {column} IS NOT NULL AND NOT ({within}) THEN 'date_out_of_range' END",
    )


def _time(source: Source) -> ColumnMapping:
    column, utc = source.column, "timezone('UTC', {})"
    match source.family:
        case "date":
            # A calendar day is its midnight in UTC, as Braze reads a date alone.
            moment = f"{column}::TIMESTAMP"
        case "timestamp":
            # A time with no zone is one of the brand's own clock.
            moment = utc.format(f"timezone({literal(source.zone)}, {column}::TIMESTAMP)")
        case "instant":
            moment = utc.format(column)
        case _:
            return _time_text(source)
    bounds = f"TIMESTAMP '{_FIRST_DAY}' AND TIMESTAMP '{_LAST_DAY} 23:59:59.999999'"
    within = f"isfinite({column}) AND ({moment}) BETWEEN {bounds}"
    return ColumnMapping(
        # Braze's formats have milliseconds.
        value=f"CASE WHEN {within} THEN date_trunc('millisecond', {moment}) END",
        problem=f"CASE WHEN {column} IS NOT NULL AND NOT ({within}) THEN 'time_out_of_range' END",
    )


def _time_text(source: Source) -> ColumnMapping:
    iso = r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?Z"
    moment = f"timezone('UTC', TRY_CAST({source.text} AS TIMESTAMPTZ))"
    return ColumnMapping(
        value=f"CASE WHEN regexp_full_match({source.text}, {literal(iso)}) THEN {moment} END",
        text=source.plain(),
        kind="time",
        params=f"{source.zone}|{source.attribute.date_order}",
    )


def _array(source: Source) -> ColumnMapping:
    column, array_as = source.column, source.attribute.array_as
    if source.family != "list":
        return ColumnMapping(value="NULL", text=source.json(), kind="array", params=array_as)
    inner = family(re.sub(r"\[\d*\]$", "", source.type))
    if inner in {"list", "struct", "json"}:
        wrong = f"CASE WHEN {column} IS NOT NULL THEN 'not_an_array' END"
        return ColumnMapping(value="NULL::VARCHAR[]", problem=wrong)
    items = f"{column}::VARCHAR[]"
    holes = f"len({items}) <> list_count({items})"
    unique = f"list_distinct({items})"
    if array_as == "set":
        value = f"list_sort({unique})"
    else:
        # Of equal elements the last stays, as in Braze; too many are left for the schema to judge.
        back = f"list_reverse({items})"
        last = f"lambda __item, __n: list_position({back}, __item) = __n"
        ordered = f"list_reverse(list_filter({back}, {last}))"
        value = (
            f"CASE WHEN len({unique}) = len({items}) OR len({unique}) > {limits.MAX_ARRAY} "
            f"THEN {items} ELSE {ordered} END"
        )
    return ColumnMapping(
        value=f"CASE WHEN NOT ({holes}) THEN {value} END",
        problem=f"CASE WHEN {holes} THEN 'array_has_null' END",
    )


_BY_TYPE: Final[dict[ValueType, Callable[[Source], ColumnMapping]]] = {
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
