"""How a column of the customer attributes table becomes one of Braze's types, in SQL.

What belongs here: the expressions of one attribute, by its declared type and the type of its
column. A value that is canonical already, or needs only arithmetic, stays in SQL; text that people
wrote is passed to a reader (`normalise`). Who runs these expressions is `staging`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze import limits
from braze_pipeline.braze.nested import TIME_KEY
from braze_pipeline.braze.shapes import SHAPED_FIELDS
from braze_pipeline.profiles import numbers
from braze_pipeline.profiles.normalise import contact
from braze_pipeline.profiles.numbers import checked
from braze_pipeline.profiles.rules import codes_of
from braze_pipeline.settings import ValueType
from braze_pipeline.storage.sql_text import family, literal, number_text, quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from braze_pipeline.settings import AttributeSettings

_WHITE = " \t\n\r\f\v\u00a0\u3000\ufeff"
_FIRST_DAY, _LAST_DAY = f"{limits.MIN_YEAR:04}-01-01", f"{limits.MAX_YEAR}-12-31"
_DAYS: Final = f"DATE '{_FIRST_DAY}' AND DATE '{_LAST_DAY}'"
_MOMENTS: Final = f"TIMESTAMP '{_FIRST_DAY}' AND TIMESTAMP '{_LAST_DAY} 23:59:59.999999'"
_INNER_MOMENTS: Final = (
    f"TIMESTAMP '{limits.MIN_YEAR:04}-01-03' AND TIMESTAMP '{limits.MAX_YEAR}-12-29'"
)
_QUOTED: Final = r""""(?:[^"]|"")*"|'(?:[^']|'')*'"""
"""The names and words in a DuckDB type that have any characters: of fields, and of an ENUM."""

_NOT_FINITE: Final = {
    "double": "number_not_finite",
    "date": "date_out_of_range",
    "timestamp": "time_out_of_range",
    "instant": "time_out_of_range",
}
"""What is wrong with infinity and NaN, by the family of their type; as text they would be words."""

_SPACES: Final = r"[\s\v\x{85}\x{feff}\p{Z}]+"


@dataclass(frozen=True, kw_only=True)
class ColumnMapping:
    """The SQL of one attribute.

    Attributes:
        text: The column as text or JSON text, over a row of the customer attributes table; None
            where nothing is read as text. ``value`` and ``problem`` may refer to it by the name
            `Source.text`, so that it is computed once.
        value: The canonical value where SQL can determine it, else NULL; of the attribute's type.
        problem: The code of what is wrong, else NULL; None where every value is right, or a reader
            decides on the text.
        kind: The reader of texts for which ``value`` is NULL; None where SQL does everything.
        params: What the reader depends on; None for a phone, whose country comes from the row.
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
        zone: The brand's time zone.
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
        """The family of the column's type."""
        return family(self.type)

    @property
    def text(self) -> str:
        """The name of the column's text, once it has been computed."""
        return f"__t{self.number}"

    def plain(self) -> str:
        """The expression for that text, of what people wrote."""
        return text(self.column, self.type)

    def json(self) -> str:
        """The expression for that text, of nested values."""
        if self.family in {"list", "struct"}:
            written = f"to_json({_by_digits(self.column, self.type)})::VARCHAR"
            return (
                _marked_infinity(written)
                if self.has_inner(r"DATE|TIMESTAMP\w*|TIME ZONE")
                else written
            )
        return f"nullif({_trimmed(f'{self.column}::VARCHAR', self.family)}, 'null')"

    def has_inner(self, types: str) -> bool:
        """Whether a list or struct has a type that matches inside, at any depth.

        A field's name, which may be ``BLOB`` too, is followed by its type.
        """
        return re.search(rf"\b({types})[\[,)]", re.sub(_QUOTED, "", self.type)) is not None


def map_column(source: Source) -> ColumnMapping:
    """How a column becomes its attribute."""
    attribute = source.attribute
    if source.family in {"list", "struct"} and source.has_inner("BLOB|BIT"):
        wrong = f"CASE WHEN {source.column} IS NOT NULL THEN 'nested_binary' END"
        return ColumnMapping(value="NULL", problem=wrong)
    if attribute.is_field and attribute.name in SHAPED_FIELDS:
        return ColumnMapping(value="NULL", text=source.json(), kind="field", params=attribute.name)
    if attribute.is_field and attribute.type is ValueType.STRING:
        return _text_field(source)
    return _BY_TYPE[attribute.type](source)


def text(column: str, type_: str) -> str:
    """A column as text without outer white space; blank text is no value.

    It is for readers, to whom the phone number 3471234567.00 would have two more digits.
    """
    plain = _plain_text(column, type_)
    if family(type_) == "decimal":
        plain = f"regexp_replace({plain}, '\\.0+$', '')"
    return _trimmed(plain, family(type_))


def _by_digits(column: str, type_: str) -> str:
    """A nested column whose FLOATs are DOUBLEs of the same digits: 2.7, not 2.700000047683716."""

    def with_floats_as(other: str) -> str:
        return re.sub(
            rf"{_QUOTED}|\bFLOAT\b",
            lambda found: other if found[0] == "FLOAT" else found[0],
            type_,
        )

    texts = with_floats_as("VARCHAR")
    return column if texts == type_ else f"{column}::{texts}::{with_floats_as('DOUBLE')}"


def _marked_infinity(json: str) -> str:
    """JSON text with infinite dates and times as times that are out of range for the reader."""
    never = rf'{{"{TIME_KEY}":"9999-12-31"}}\1'
    return f"""regexp_replace({json}, '"-?infinity"([,\\]}}])', {literal(never)}, 'g')"""


def _trimmed(text: str, family: str) -> str:
    """A text without outer white space; NULL if nothing is left.

    `trim` goes through all of a text, which most texts need not be. Of the ASCII characters, white
    space is below all that can be seen. What is no text yet would be converted for each test.
    """
    trimmed = f"nullif(trim({text}, {literal(_WHITE)}), '')"
    if family != "text":
        return trimmed
    outside = [f"{text} < '!'"]
    outside += [f"starts_with({text}, {literal(one)})" for one in _WHITE if not one.isascii()]
    outside += [f"ends_with({text}, {literal(one)})" for one in _WHITE]
    return f"CASE WHEN {' OR '.join(outside)} THEN {trimmed} ELSE {text} END"


def _plain_text(column: str, type_: str) -> str:
    match family(type_):
        case "json":
            return f"({column} ->> '$')"
        case "double":
            return number_text(column)
    return f"{column}::VARCHAR"


def _in_sql(expressions: tuple[str, str], text: str | None = None) -> ColumnMapping:
    """A mapping that needs no reader: the expressions of the value and of the problem."""
    value, problem = expressions
    return ColumnMapping(value=value, problem=problem, text=text)


def _not_text(source: Source) -> dict[str, str]:
    """When a column is no text, by code; empty for a column that always is one."""
    column, code = source.column, _NOT_FINITE.get(source.family)
    if source.family in {"list", "struct", "binary"}:
        return {"not_text": f"{column} IS NOT NULL"}
    if source.family == "json":
        return {"not_text": f"json_type({column}) IN ('OBJECT', 'ARRAY')"}
    return {code: f"NOT isfinite({column})"} if code else {}


def _string(source: Source) -> ColumnMapping:
    value, wrong = _plain_text(source.column, source.type), _not_text(source)
    return _in_sql(checked(source.column, value, wrong)) if wrong else ColumnMapping(value=value)


def _text_field(source: Source) -> ColumnMapping:
    raw, name = source.text, source.attribute.name
    codes = codes_of(name)
    if codes:
        good = f"{raw} IN ({', '.join(map(literal, codes))})"
    elif name == "email":
        good = (
            f"regexp_full_match({raw}, {literal(contact.FAST_EMAIL)}) AND length({raw}) <= 150 "
            f"AND NOT regexp_matches({raw}, {literal(contact.SLOW_EMAIL_ENDS)})"
        )
    elif name == "phone":
        good = f"regexp_full_match({raw}, {literal(contact.fast_phone())})"
    else:
        value = raw
        if name != "image_url":
            value = f"nullif(trim(regexp_replace({raw}, {literal(_SPACES)}, ' ', 'g')), '')"
        if wrong := _not_text(source):
            return _in_sql(checked(source.column, value, wrong), source.plain())
        return ColumnMapping(value=value, text=source.plain())
    return ColumnMapping(
        value=f"CASE WHEN {good} THEN {raw} END",
        text=source.plain(),
        kind=name,
        params=None if name == "phone" else "",
    )


def _integer(source: Source) -> ColumnMapping:
    return _in_sql(numbers.integer(source.column, source.text, source.family), source.plain())


def _float(source: Source) -> ColumnMapping:
    column = source.column
    if source.type == "FLOAT":
        # By its digits: 1.1 is 1.10000002384185791015625 as a double.
        column = f"{column}::VARCHAR::DOUBLE"
    precision = source.attribute.precision
    return _in_sql(numbers.floating(column, source.text, source.family, precision), source.plain())


def _boolean(source: Source) -> ColumnMapping:
    return _in_sql(numbers.boolean(source.column, source.text, source.family), source.plain())


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
            return ColumnMapping(
                value=f"CASE WHEN ({day}) BETWEEN {_DAYS} THEN {day} END",
                text=source.plain(),
                kind="date",
                params=source.attribute.date_order,
            )
    outside = f"NOT (isfinite({column}) AND ({day}) BETWEEN {_DAYS})"
    return _in_sql(checked(column, day, {"date_out_of_range": outside}))


def _time(source: Source) -> ColumnMapping:
    column, utc = source.column, "timezone('UTC', {})"
    match source.family:
        case "date":
            # A calendar day is its midnight in UTC, as Braze reads a date alone.
            moment = f"{column}::TIMESTAMP"
        case "timestamp":
            # A time without a zone is in the brand's time zone.
            moment = utc.format(_first_instant(f"{column}::TIMESTAMP", literal(source.zone)))
        case "instant":
            moment = utc.format(column)
        case _:
            return _time_text(source)
    # A conversion takes most of the time; no time zone is as far as two days from UTC.
    inside = f"({column}::TIMESTAMP BETWEEN {_INNER_MOMENTS} OR ({moment}) BETWEEN {_MOMENTS})"
    outside = f"NOT (isfinite({column}) AND {inside})"
    # Braze's formats have milliseconds.
    rounded = f"date_trunc('millisecond', {moment})"
    return _in_sql(checked(column, rounded, {"time_out_of_range": outside}))


def _first_instant(local: str, zone: str) -> str:
    """The instant of a local time; of two where the clocks go back the first, as texts are read.

    DuckDB gives the second.
    """
    instant = f"timezone({zone}, {local})"
    hour = "INTERVAL 1 HOUR"
    earlier = f"timezone({zone}, {local} - {hour}) + {hour}"
    is_it_too = f"timezone({zone}, {earlier}) = {local}"
    return f"CASE WHEN {earlier} < {instant} AND {is_it_too} THEN {earlier} ELSE {instant} END"


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
    if inner == "double":
        items = f"list_transform({column}, lambda __one: {number_text('__one')})"
    problems = {"array_has_null": f"len({items}) <> list_count({items})"}
    if code := _NOT_FINITE.get(inner):
        infinite = f"list_filter({column}, lambda __one: NOT isfinite(__one))"
        problems = {code: f"len({infinite}) > 0"} | problems
    unique = f"list_distinct({items})"
    if array_as == "set":
        value = f"list_sort({unique})"
    else:
        # Of equal elements the last is kept, as in Braze; the schema refuses long lists.
        back = f"list_reverse({items})"
        last = f"lambda __item, __n: list_position({back}, __item) = __n"
        ordered = f"list_reverse(list_filter({back}, {last}))"
        value = (
            f"CASE WHEN len({unique}) = len({items}) OR len({unique}) > {limits.MAX_ARRAY} "
            f"THEN {items} ELSE {ordered} END"
        )
    return _in_sql(checked(column, value, problems))


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
