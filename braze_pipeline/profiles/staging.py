"""The day's audience, mapped to Braze's types in temporary tables.

``__profiles_base`` holds what SQL alone can tell of each value, and the raw text of the rest;
``__profiles_mapped`` adds what the readers made of that text, and takes its place. Its rows are
numbered (``__rid``, from 0, without gaps), so that a page of them is a range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze.fields import sendable
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.profiles import cache
from braze_pipeline.profiles.columns import ColumnMapping, Source, map_column, text
from braze_pipeline.profiles.normalise import READERS
from braze_pipeline.profiles.normalise.contact import INTERNATIONAL
from braze_pipeline.settings import CUSTOMER, ValueType, replace
from braze_pipeline.storage import warehouse
from braze_pipeline.storage.warehouse import literal, name_key, quote

if TYPE_CHECKING:
    from datetime import date

    import duckdb

    from braze_pipeline.settings import AttributeSettings, TemplateSettings

BASE: Final = "__profiles_base"
MAPPED: Final = "__profiles_mapped"


@dataclass(frozen=True, kw_only=True)
class Staged:
    """An attribute with its mapping and its number in the temporary tables.

    Attributes:
        number: It names the attribute's columns in ``BASE``: ``v`` the value that SQL tells,
            ``e`` the code of what is wrong, ``r`` the raw text of what is wrong or to be read,
            ``h`` the country of a phone as text.
        attribute: The attribute, its column spelled as the table has it.
        mapping: Its SQL.
        region: For a phone: the text of the country, over a row of the customer attributes.
        default_region: For a phone: the country of customers that have none.
    """

    number: int
    attribute: AttributeSettings
    mapping: ColumnMapping
    region: str | None = None
    default_region: str = ""

    @property
    def joins(self) -> str:
        """What ``params`` needs beside ``BASE`` (alias ``b``): a phone's country from the cache."""
        if self.mapping.params is not None:
            return ""
        k = self.number
        return f"LEFT JOIN {_known('country')} AS g{k} ON g{k}.params = '' AND g{k}.raw = b.h{k}"

    @property
    def params(self) -> str:
        """What the reader depends on, as SQL over ``BASE`` and ``joins``."""
        if self.mapping.params is not None:
            return literal(self.mapping.params)
        k = self.number
        national = f"NOT regexp_matches(b.r{k}, {literal(INTERNATIONAL)})"
        region = f"coalesce(g{k}.value, {literal(self.default_region)})"
        return f"CASE WHEN {national} THEN {region} ELSE '' END"


def _known(kind: str) -> str:
    """The cache's entries of a kind, as a subquery."""
    return f"(SELECT params, raw, value, problem FROM {cache.TABLE} WHERE kind = {literal(kind)})"


def source_types(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> dict[str, str]:
    """The columns of the customer attributes table and their DuckDB types."""
    return dict(warehouse.columns(con, t.table("customer_attributes")))


def plan_columns(t: TemplateSettings, types: dict[str, str]) -> tuple[Staged, ...]:
    """How each attribute that may leave is mapped.

    Raises:
        ConfigurationError: the customer attributes table lacks a column of the template.
    """
    known = {name_key(name): (name, type_) for name, type_ in types.items()}
    staged = []
    for number, attribute in enumerate(sendable(t)):
        column, type_ = _find(known, attribute.column, t)
        there = replace(attribute, column=column)
        mapping = map_column(Source(attribute=there, type=type_, number=number, zone=t.time_zone))
        staged.append(
            Staged(
                number=number,
                attribute=there,
                mapping=mapping,
                region=_region(t, known, there) if mapping.kind == "phone" else None,
                default_region=t.default_region or "",
            )
        )
    return tuple(staged)


def _find(known: dict[str, tuple[str, str]], column: str, t: TemplateSettings) -> tuple[str, str]:
    found = known.get(name_key(column))
    if found is None:
        raise ConfigurationError(
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
    """Make ``BASE``: one row for each row of the day's audience.

    The layers of the query keep each expression from being computed more than once. In all but the
    last the brand's columns stand beside ours, whose names begin with two underscores.
    """
    texts = [f"{c.mapping.text} AS __t{c.number}" for c in columns if c.mapping.text]
    values = [
        f"({c.mapping.value})::{c.attribute.type.duckdb} AS __v{c.number}, "
        f"({c.mapping.problem or 'NULL'})::VARCHAR AS __e{c.number}"
        for c in columns
    ]
    kept = [part for c in columns for part in _kept(c)]
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {BASE} AS
        SELECT
            nullif({quote(t.identifier_column)}::VARCHAR, '') AS __user_id,
            {CUSTOMER}::VARCHAR AS __customer_id,
            {", ".join(["__groups", *kept])}
        FROM (
            SELECT {", ".join(["*", *values])}
            FROM (
                SELECT {", ".join(["__attributes.*", "__audience.__groups", *texts])}
                FROM (
                    SELECT * FROM {t.table("customer_attributes")} WHERE __as_of = ?
                ) AS __attributes
                JOIN (
                    SELECT customer_id AS __audience_id, any_value(groups) AS __groups
                    FROM {t.table("audience")}
                    WHERE __as_of = ? AND left_out_by IS NULL
                    GROUP BY customer_id
                ) AS __audience
                ON __attributes.{CUSTOMER} IS NOT DISTINCT FROM
                    __audience.__audience_id
            )
        )
        """,
        [as_of, as_of],
    )


def _kept(one: Staged) -> list[str]:
    k = one.number
    if one.mapping.kind is None:
        raw = f"CASE WHEN __e{k} IS NOT NULL THEN {quote(one.attribute.column)}::VARCHAR END"
    else:
        raw = f"CASE WHEN __v{k} IS NULL THEN __t{k} END"
    columns = [f"__v{k} AS v{k}", f"__e{k} AS e{k}", f"{raw} AS r{k}"]
    if one.mapping.params is None:
        columns.append(f"{one.region or 'NULL::VARCHAR'} AS h{k}")
    return columns


def read_raw(con: duckdb.DuckDBPyConnection, columns: tuple[Staged, ...], today: date) -> int:
    """Have the readers read what the cache does not know; how many raw values that were."""
    new = 0
    for one in columns:
        if one.mapping.params is None:
            pairs = f"SELECT '' AS params, b.h{one.number} AS raw FROM {BASE} AS b"
            short = f"length(b.h{one.number}) <= {READERS['country'].longest}"
            new += cache.read_new(con, kind="country", pairs=f"{pairs} WHERE {short}", today=today)
    kinds = {one.mapping.kind for one in columns if one.mapping.kind is not None}
    for kind in sorted(kinds):
        pairs = " UNION ALL ".join(_pairs(one) for one in columns if one.mapping.kind == kind)
        new += cache.read_new(con, kind=kind, pairs=pairs, today=today)
    return new


def _pairs(one: Staged) -> str:
    k = one.number
    return (
        f"SELECT {one.params} AS params, b.r{k} AS raw FROM {BASE} AS b {one.joins} "
        f"WHERE length(b.r{k}) <= {READERS[str(one.mapping.kind)].longest}"
    )


def map_rows(con: duckdb.DuckDBPyConnection, columns: tuple[Staged, ...]) -> None:
    """Make ``MAPPED`` out of ``BASE``.

    It has the canonical values under their Braze names, and for each value that could not be read
    the code of what is wrong (``__e``) and the raw text (``__r``).
    """
    chosen = ["__rid", "__user_id", "__customer_id", "__groups"]
    for one in columns:
        k = one.number
        chosen += [
            f"{_mapped_value(one)} AS {quote(one.attribute.name)}",
            f"{_mapped_problem(one)} AS __e{k}",
            f"CASE WHEN __e{k} IS NOT NULL THEN b.r{k} END AS __r{k}",
        ]
    joins = " ".join(_join(one) for one in columns if one.mapping.kind is not None)
    # The row ids of a table made at once count from 0 without gaps, and cost nothing.
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {MAPPED} AS SELECT {', '.join(chosen)} "
        f"FROM (SELECT rowid AS __rid, * FROM {BASE}) AS b {joins}"
    )
    con.execute(f"DROP TABLE {BASE}")


def _join(one: Staged) -> str:
    k = one.number
    return (
        f"{one.joins} LEFT JOIN {_known(str(one.mapping.kind))} AS n{k} "
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
    too_long = literal(READERS[one.mapping.kind].too_long)
    return (
        f"CASE WHEN b.r{k} IS NOT NULL AND n{k}.value IS NULL "
        f"THEN coalesce(n{k}.problem, {too_long}) END"
    )
