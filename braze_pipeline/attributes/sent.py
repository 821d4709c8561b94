"""What attributes send of two results that are compared, in SQL.

Equal values of two types may be sent as two values: as a text, 12 is ``12`` where it is an INTEGER
and ``12.00`` where it is a DECIMAL, and a time without a zone is another moment than one with it.
So each side is mapped with the types of its own columns, as in profiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from braze_pipeline.profiles.columns import ColumnMapping, Source, map_column
from braze_pipeline.profiles.normalise import READERS
from braze_pipeline.settings import ValueType, replace
from braze_pipeline.storage.sql_text import literal, name_key

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import AttributeSettings, TemplateSettings

_READ: Final = "__read"
Side = Mapping[int, ColumnMapping]
"""The mapping of each attribute whose column a result has, by its number in the template."""


def side(t: TemplateSettings, types: Mapping[str, str]) -> Side:
    """How the columns of a result, with these DuckDB types, become attributes."""
    known = {name_key(name): (name, type_) for name, type_ in types.items()}
    found = {}
    for number, attribute in enumerate(t.attributes):
        if name_key(attribute.column) in known:
            name, type_ = known[name_key(attribute.column)]
            there = replace(attribute, column=name)
            found[number] = map_column(
                Source(attribute=there, type=type_, number=number, zone=t.time_zone)
            )
    return found


def staged(t: TemplateSettings, query: str, mappings: Side) -> str:
    """A result with what SQL alone can say of each attribute: ``__s`` and its number."""
    texts = "".join(f", {m.text} AS __t{k}" for k, m in mappings.items() if m.text)
    values = "".join(f", {_in_sql(t.attributes[k], k, m)} AS __s{k}" for k, m in mappings.items())
    return f"(SELECT *{values} FROM (SELECT *{texts} FROM {query}))"


def _in_sql(attribute: AttributeSettings, number: int, mapping: ColumnMapping) -> str:
    """The value, whether it is rejected, and the text that is left to a reader."""
    raw = f"CASE WHEN ({mapping.value}) IS NULL THEN __t{number} END" if mapping.kind else "NULL"
    wrong = f"({mapping.problem}) IS NOT NULL" if mapping.problem else "false"
    value = f"({mapping.value})::{attribute.type.duckdb}"
    return f"{{'value': {value}, 'wrong': {wrong}, 'raw': {raw}::VARCHAR}}"


def differ(t: TemplateSettings, column: str, here: Side, there: Side) -> list[str]:
    """For each attribute of a column: whether rows of both (``h`` and ``t``) are not sent alike.

    Needs ``add_reader``.
    """
    parts = []
    for k, attribute in enumerate(t.attributes):
        if name_key(attribute.column) != name_key(column):
            continue
        ours = _read(attribute, f"h.__s{k}", here[k])
        theirs = _read(attribute, f"t.__s{k}", there[k])
        # A text is read only where it may matter: readers take their time.
        parts.append(
            f"CASE WHEN h.__s{k} IS NOT DISTINCT FROM t.__s{k} THEN false "
            f"ELSE {ours} IS DISTINCT FROM {theirs} END"
        )
    return parts


def read_as_text(t: TemplateSettings) -> set[str]:
    """The columns whose text counts: the user identifier, and the countries of phones."""
    regions = (attribute.region_column for attribute in t.attributes)
    return {name_key(name) for name in (t.identifier_column, *regions) if name}


def _read(attribute: AttributeSettings, staged: str, mapping: ColumnMapping) -> str:
    """The same after the reader; not of a phone, whose country is in another column."""
    if mapping.kind is None or mapping.params is None:
        return staged
    read = f"{_READ}({literal(mapping.kind)}, {literal(mapping.params)}, {staged}.raw)"
    value = f"{read}::JSON::VARCHAR[]" if attribute.type is ValueType.ARRAY else read
    return (
        f"{{'value': coalesce({staged}.value, ({value})::{attribute.type.duckdb}), "
        f"'wrong': {staged}.wrong OR ({staged}.raw IS NOT NULL AND {read} IS NULL), "
        "'raw': NULL::VARCHAR}"
    )


def add_reader(con: duckdb.DuckDBPyConnection) -> None:
    """Let SQL read what people wrote, one value at a time and without the cache."""
    from duckdb.func import SPECIAL

    con.create_function(_READ, _outcome, null_handling=SPECIAL)


def _outcome(kind: str, params: str, raw: str | None) -> str | None:
    reader = READERS[kind]
    return None if raw is None or len(raw) > reader.longest else reader.read(raw, params).value
