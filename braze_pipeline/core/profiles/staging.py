"""The day's audience, mapped to Braze's types in temporary tables.

``__profiles_base`` holds what SQL alone can tell of each value, and the raw text of the rest;
``__profiles_mapped`` adds what the readers made of that text. Rows are numbered (``__rid``), so
that a page of them is a range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from braze_pipeline.core.masking import mask_sql
from braze_pipeline.core.profiles import cache
from braze_pipeline.core.profiles.columns import ColumnMapping, map_column, text
from braze_pipeline.core.profiles.normalise import KINDS
from braze_pipeline.core.profiles.normalise.contact import INTERNATIONAL
from braze_pipeline.core.profiles.normalise.places import country_codes
from braze_pipeline.core.profiles.schema import attributes_of
from braze_pipeline.core.warehouse import literal, quote
from braze_pipeline.errors import SourceChanged
from braze_pipeline.settings import ValueType

if TYPE_CHECKING:
    from datetime import date

    import duckdb

    from braze_pipeline.settings import AttributeSettings, TemplateSettings

BASE: Final = "__profiles_base"
MAPPED: Final = "__profiles_mapped"


@dataclass(frozen=True, kw_only=True)
class Staged:
    """An attribute with its mapping and its number in the temporary tables."""

    number: int
    attribute: AttributeSettings
    mapping: ColumnMapping
    region: str | None = None

    @property
    def params(self) -> str:
        """What the reader depends on, as SQL over ``BASE``."""
        if self.mapping.params is not None:
            return literal(self.mapping.params)
        national = f"NOT regexp_matches(b.r{self.number}, {literal(INTERNATIONAL)})"
        return f"CASE WHEN {national} THEN b.g{self.number} ELSE '' END"


def source_types(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> dict[str, str]:
    """The columns of the customer attributes table and their DuckDB types."""
    rows = con.execute(f"DESCRIBE {t.table('customer_attributes')}").fetchall()
    return {str(row[0]): str(row[1]) for row in rows}


def plan_columns(t: TemplateSettings, types: dict[str, str]) -> tuple[Staged, ...]:
    """How each attribute that may leave is mapped.

    Raises:
        SourceChanged: the customer attributes table lacks a column of the template.
    """
    known = {name.lower(): (name, type_) for name, type_ in types.items()}
    staged = []
    for number, attribute in enumerate(attributes_of(t)):
        column, type_ = _find(known, attribute.column, t)
        mapping = map_column(replace(attribute, column=column), type_, time_zone=t.time_zone)
        region = None
        if mapping.kind == "phone":
            region = _region(t, known, attribute)
        staged.append(Staged(number=number, attribute=attribute, mapping=mapping, region=region))
    return tuple(staged)


def _find(known: dict[str, tuple[str, str]], column: str, t: TemplateSettings) -> tuple[str, str]:
    found = known.get(column.lower())
    if found is None:
        raise SourceChanged(
            f"The customer attributes of template {t.name!r} have no column {column!r}.",
            fix=f"Add it to {t.attributes_sql.name} or take it out of the template.",
        )
    return found


def _region(
    t: TemplateSettings, known: dict[str, tuple[str, str]], phone: AttributeSettings
) -> str | None:
    """The text of the column with a phone's country; the country field's unless one is named."""
    column = phone.region_column or next(
        (a.column for a in t.attributes if a.is_field and a.name == "country"), None
    )
    if column is None:
        return None
    name, type_ = _find(known, column, t)
    return text(quote(name), type_)


def stage(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, columns: tuple[Staged, ...], as_of: date
) -> None:
    """Make ``BASE``: one row for each row of the day's audience."""
    parts = [part for one in columns for part in _base_columns(one)]
    identifier = quote(t.identifier_column)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {BASE} AS
        SELECT
            row_number() OVER () - 1 AS __rid,
            nullif({identifier}::VARCHAR, '') AS __user_id,
            {quote(t.customer_column)}::VARCHAR AS __customer_id,
            audience.__groups,
            {", ".join(parts) or "NULL AS __none"}
        FROM (SELECT * FROM {t.table("customer_attributes")} WHERE __as_of = ?) AS attributes
        JOIN (
            SELECT customer_id AS __audience_id, any_value(groups) AS __groups
            FROM {t.table("audience")}
            WHERE __as_of = ? AND left_out_by IS NULL
            GROUP BY customer_id
        ) AS audience
        ON attributes.{quote(t.customer_column)} IS NOT DISTINCT FROM audience.__audience_id
        """,
        [as_of, as_of],
    )


def _base_columns(one: Staged) -> list[str]:
    k, mapping = one.number, one.mapping
    if mapping.kind is None:
        problem = mapping.problem or "NULL"
        return [
            f"({mapping.value})::{one.attribute.type.duckdb} AS v{k}",
            f"({problem})::VARCHAR AS e{k}",
            f"CASE WHEN ({problem}) IS NOT NULL THEN {mask_sql(mapping.source)} END AS x{k}",
        ]
    columns = [
        f"({mapping.value})::{one.attribute.type.duckdb} AS v{k}",
        f"{mapping.raw} AS r{k}",
    ]
    if mapping.params is None:
        columns.append(f"{one.region or 'NULL::VARCHAR'} AS h{k}")
    return columns


def read_raw(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, columns: tuple[Staged, ...], today: date
) -> int:
    """Have the readers read what the cache does not know; how many raw values that were."""
    new = 0
    phones = [one for one in columns if one.mapping.params is None]
    for one in phones:
        codes = _country_list()
        pairs = f"SELECT '' AS params, h{one.number} AS raw FROM {BASE}"
        new += cache.read_new(
            con, kind="country", pairs=f"{pairs} WHERE {_short('h', one)} AND raw NOT IN ({codes})",
            today=today,
        )  # fmt: skip
        _resolve_region(con, one.number, t.default_region or "")
    kinds = {one.mapping.kind for one in columns if one.mapping.kind is not None}
    for kind in sorted(kinds):
        pairs = " UNION ALL ".join(
            f"SELECT {one.params} AS params, b.r{one.number} AS raw FROM {BASE} AS b "
            f"WHERE {_short('r', one)}"
            for one in columns
            if one.mapping.kind == kind
        )
        new += cache.read_new(con, kind=kind, pairs=pairs, today=today)
    return new


def _short(letter: str, one: Staged) -> str:
    longest = KINDS[one.mapping.kind or "country"].longest
    return f"length({letter}{one.number}) <= {longest}"


def _resolve_region(con: duckdb.DuckDBPyConnection, number: int, default: str) -> None:
    """Add the region of each phone (``g``) to ``BASE``: the country's code, else the default."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {BASE} AS
        SELECT b.*, CASE
            WHEN b.h{number} IN ({_country_list()}) THEN b.h{number}
            ELSE coalesce(n.value, {literal(default)})
        END AS g{number}
        FROM {BASE} AS b
        LEFT JOIN {cache.TABLE} AS n
        ON n.kind = 'country' AND n.params = '' AND n.raw = b.h{number}
        """
    )


def _country_list() -> str:
    return ", ".join(literal(code) for code in country_codes())


def map_rows(con: duckdb.DuckDBPyConnection, columns: tuple[Staged, ...]) -> None:
    """Make ``MAPPED``: the canonical values under their Braze names, and the codes (``e``)."""
    values = [f"{_mapped_value(one)} AS {quote(one.attribute.name)}" for one in columns]
    problems = [f"{_mapped_problem(one)} AS __e{one.number}" for one in columns]
    joins = " ".join(_join(one) for one in columns if one.mapping.kind is not None)
    chosen = ", ".join(["b.__rid", "b.__user_id", *values, *problems])
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {MAPPED} AS SELECT {chosen} FROM {BASE} AS b {joins} "
        "ORDER BY b.__rid"
    )


def _join(one: Staged) -> str:
    k = one.number
    return (
        f"LEFT JOIN (SELECT params, raw, value, problem FROM {cache.TABLE} "
        f"WHERE kind = {literal(str(one.mapping.kind))}) AS n{k} "
        f"ON n{k}.params = {one.params} AND n{k}.raw = b.r{k}"
    )


def _mapped_value(one: Staged) -> str:
    k, type_ = one.number, one.attribute.type
    if one.mapping.kind is None:
        return f"b.v{k}"
    read = f"n{k}.value"
    if type_ is ValueType.ARRAY:
        read = f"{read}::JSON::VARCHAR[]"
    return f"coalesce(b.v{k}, ({read})::{type_.duckdb})"


def _mapped_problem(one: Staged) -> str:
    k = one.number
    if one.mapping.kind is None:
        return f"b.e{k}"
    too_long = literal(KINDS[one.mapping.kind].too_long)
    return (
        f"CASE WHEN b.r{k} IS NOT NULL AND n{k}.value IS NULL "
        f"THEN coalesce(n{k}.problem, {too_long}) END"
    )


def masked_raw(one: Staged) -> str:
    """The mask of the raw value of a problem, as SQL over ``BASE``."""
    return f"b.x{one.number}" if one.mapping.kind is None else mask_sql(f"b.r{one.number}")
